#include "ledger/postgres/history.h"

#include <gmock/gmock.h>

#include "ledger/postgres/postgres_nodes.h"
#include "ledger/postgres/postgres_test_support.h"
#include "pg/proxy_test.h"

namespace trued::test {
namespace {

using postgres::Taken;
using postgres::Takes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::uint64_t kAll = ~std::uint64_t{0};

// "5 b 51-90 now", "4-4 older_program 11-50", "3 a ?"
std::string shown(const Stretch& stretch) {
  std::string text = std::to_string(stretch.epoch);
  if (stretch.unknown == Stretch::Unknown::no) {
    text += " " + stretch.node;
    EXPECT_EQ(stretch.first_epoch, stretch.epoch);
  } else {
    text = std::to_string(stretch.first_epoch) + "-" + text +
           (stretch.unknown == Stretch::Unknown::not_kept ? " not_kept" : " older_program");
    EXPECT_EQ(stretch.node, "");
  }
  if (!stretch.batches) {
    text += " ?";
  } else if (stretch.batches->count() == 0) {
    text += " none";
  } else {
    text +=
        " " + std::to_string(stretch.batches->first) + "-" + std::to_string(stretch.batches->last);
  }
  return text + (stretch.current ? " now" : "");
}

std::vector<std::string> shown(const NodeHistory& history) {
  std::vector<std::string> lines;
  for (const Stretch& stretch : history.stretches) lines.push_back(shown(stretch));
  return lines;
}

Takes takes(std::uint64_t epoch, std::uint64_t batch, std::vector<Taken> rows,
            std::uint64_t base = 0) {
  return {.epoch = epoch,
          .batch = batch,
          .base = base,
          .before = kAll,
          .newer = {},
          .rows = std::move(rows),
          .all = true};
}

TEST(History, T1_each_epoch_is_a_stretch_of_the_one_chain) {
  EXPECT_THAT(shown(history_of(takes(0, 0, {}), 9)), IsEmpty());
  EXPECT_THAT(shown(history_of(takes(1, 0, {{1, "a", 0, {}}}), 9)), ElementsAre("1 a none now"));
  EXPECT_THAT(
      shown(history_of(takes(3, 90, {{3, "a", 50, {}}, {2, "b", 50, {}}, {1, "a", 0, {}}}), 9)),
      ElementsAre("3 a 51-90 now", "2 b none", "1 a 1-50"));
}

TEST(History, T1_what_an_older_program_may_have_written_is_nobodys) {
  EXPECT_THAT(shown(history_of(takes(5, 90, {{5, "b", 50, {}}, {3, "a", 10, {}}}, 10), 9)),
              ElementsAre("5 b 51-90 now", "4-4 older_program 11-50", "3 a ?"));
  // It acts now; and one that wrote nothing takes nothing away.
  EXPECT_THAT(
      shown(history_of(takes(7, 90, {{4, "a", 10, {}}, {2, "b", 10, {}}}, 10), 9)),
      ElementsAre("5-7 older_program 11-90 now", "4 a ?", "3-3 older_program none", "2 b none"));
}

TEST(History, T11_what_came_before_the_history_is_not_kept) {
  EXPECT_THAT(shown(history_of(takes(4, 90, {{4, "a", 50, {}}}, 20), 9)),
              ElementsAre("4 a 51-90 now", "0-3 not_kept 21-50"));
  EXPECT_THAT(shown(history_of(takes(4, 90, {{4, "a", 20, {}}}, 20), 9)),
              ElementsAre("4 a 21-90 now"));
  EXPECT_THAT(shown(history_of(takes(4, 90, {{4, "a", 5, {}}}, 20), 9)),
              ElementsAre("4 a 6-90 now"));
  EXPECT_THAT(shown(history_of(takes(4, 90, {}), 9)), ElementsAre("0-4 not_kept 1-90 now"));
}

// Page by page it is what it is at once, wherever a page ends.
TEST(History, T13_pages_are_the_whole) {
  const std::vector<Taken> rows{
      {9, "a", 80, {}}, {6, "b", 60, {}}, {5, "c", 60, {}}, {3, "a", 40, {}}};
  const std::vector<std::string> whole = shown(history_of(takes(11, 90, rows, 30), 99));
  EXPECT_THAT(whole, ElementsAre("10-11 older_program 81-90 now", "9 a ?",
                                 "7-8 older_program 61-80", "6 b ?", "5 c none",
                                 "4-4 older_program 41-60", "3 a ?", "0-2 not_kept 31-40"));
  for (std::uint32_t limit = 1; limit <= whole.size(); ++limit) {
    std::vector<std::string> pages;
    std::uint64_t before = kAll;
    do {
      Takes page{.epoch = 11,
                 .batch = 90,
                 .base = 30,
                 .before = before,
                 .newer = {},
                 .rows = {},
                 .all = true};
      for (const Taken& row : rows) {
        if (row.epoch >= before) {
          page.newer = row;
        } else if (page.rows.size() < limit) {
          page.rows.push_back(row);
        } else {
          page.all = false;
        }
      }
      const NodeHistory history = history_of(page, limit);
      EXPECT_LE(history.stretches.size(), limit);
      for (const std::string& line : shown(history)) pages.push_back(line);
      before = history.next;
    } while (before != 0 && pages.size() <= whole.size());
    EXPECT_EQ(pages, whole) << "by " << limit;
  }
}

// ---- on a server

std::unique_ptr<PostgresNodes> nodes(const Area& area) {
  return std::move(PostgresNodes::open(area.place(), {.name = "asks", .url = {}, .version = {}}))
      .value();
}

std::vector<std::string> history(const Area& area) {
  auto told = nodes(area)->history(0, 100);
  EXPECT_TRUE(told.has_value()) << (told.has_value() ? "" : told.error().message);
  return told.has_value() ? shown(*told) : std::vector<std::string>{};
}

std::string audit_of(const Area& area) {
  const auto report = audit_postgres(area.place(), {});
  if (!report.has_value()) return "error: " + report.error().message;
  if (!report->first) return "";
  return report->first->what + " " + report->first->where + ": " + report->first->detail;
}

Claim take(const Area& area, const std::string& node) {
  const auto mine = area.tenure({.node = node});
  area.sql("UPDATE @holder SET released = true");
  EXPECT_TRUE(mine->try_take().value());
  return mine->claim();
}

// As programs of the first two schemas take it.
void take_as_an_older_program(const Area& area) {
  area.sql(
      "WITH taken AS (UPDATE @holder SET epoch = epoch + 1, holder = 'old', node = 'old', beat = "
      "0, released = false, url = '', url_epoch = epoch + 1 RETURNING epoch, holder) UPDATE @head "
      "h SET epoch = t.epoch, holder = t.holder FROM taken t");
}

void put(const Area& area, const Claim& claim, Lives& lives, const std::string& key, int count) {
  const auto ledger = area.open(claim);
  for (int i = 0; i < count; ++i) lives.put(*ledger, key + std::to_string(i));
}

TEST(PostgresHistory, T1_two_nodes_in_turn_are_two_rows_that_fit_the_chain) {
  const Area area;
  Lives lives;
  put(area, take(area, "a"), lives, "a", 3);
  put(area, take(area, "b"), lives, "b", 2);
  EXPECT_THAT(history(area), ElementsAre("2 b 4-5 now", "1 a 1-3"));
  EXPECT_EQ(area.sql("SELECT string_agg(epoch || node || batch, ' ' ORDER BY epoch) FROM @tenure"),
            "1a0 2b3");
  EXPECT_EQ(area.sql("SELECT t.hash = b.hash AND t.holder = h.holder FROM @tenure t JOIN @batch b "
                     "ON b.no = t.batch CROSS JOIN @head h WHERE t.epoch = 2"),
            "t");
  EXPECT_EQ(audit_of(area), "");
  const auto first = nodes(area)->history(0, 1).value();
  EXPECT_THAT(shown(first), ElementsAre("2 b 4-5 now"));
  EXPECT_NEAR(static_cast<double>((SystemClock().wall() - *first.stretches[0].began).count()), 0,
              60'000);
  const auto second = nodes(area)->history(first.next, 1).value();
  EXPECT_THAT(shown(second), ElementsAre("1 a 1-3"));
  EXPECT_EQ(second.next, 0U);
}

// What the one before has under way is decided first, and told as its own.
TEST(PostgresHistory, T1_T6_a_commit_under_way_is_told_of_who_sent_it) {
  const Area area;
  Lives lives;
  put(area, take(area, "a"), lives, "a", 1);
  pg::Session committing = server().session();
  pg::PostgresServer::value(committing, "BEGIN; INSERT INTO " + area.name() +
                                            ".batch SELECT 2, 0, 0, decode(repeat("
                                            "'77', 32), 'hex'); UPDATE " +
                                            area.name() +
                                            ".head SET batch = 2, hash = decode(repeat("
                                            "'77', 32), 'hex')");
  const auto next = area.tenure({.node = "b", .lease = Duration{60'000}});
  area.sql("UPDATE @holder SET released = true");
  std::thread taking([&] { EXPECT_TRUE(next->try_take().value()); });
  EXPECT_TRUE(server().wait_for(
      "(SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
      "application_name = 'trued tenure')"));
  pg::PostgresServer::value(committing, "COMMIT");
  taking.join();
  EXPECT_EQ(area.sql("SELECT batch || ' ' || encode(substring(hash from 1 for 2), 'hex') FROM "
                     "@tenure WHERE epoch = 2"),
            "2 7777");
}

TEST(PostgresHistory, T1_T13_an_older_program_beside_leaves_a_gap_and_nobodys_name) {
  const Area area;
  Lives lives;
  put(area, take(area, "a"), lives, "a", 2);
  take_as_an_older_program(area);
  const Claim old{.epoch = 2, .holder = "old"};
  put(area, old, lives, "old", 3);
  EXPECT_THAT(history(area), ElementsAre("2-2 older_program 1-5 now", "1 a ?"));
  EXPECT_EQ(audit_of(area), "");
  put(area, take(area, "b"), lives, "b", 1);
  EXPECT_THAT(history(area), ElementsAre("3 b 6-6 now", "2-2 older_program 1-5", "1 a ?"));
  EXPECT_EQ(audit_of(area), "");
}

TEST(PostgresHistory, T13_an_older_schema_is_brought_forward_under_a_node_that_runs) {
  const Area area;
  Lives lives;
  const auto running = area.open(take(area, "old"));
  lives.put(*running, "one");
  area.sql("DROP TABLE @tenure; UPDATE @head SET version = 2, oldest = 1");
  EXPECT_EQ(audit_of(area), "") << "as it was audited before";
  lives.put(*running, "two");
  const auto next = area.tenure({.node = "new", .lease = Duration{60'000}});
  EXPECT_EQ(area.sql("SELECT version || ' ' || oldest FROM @head"), "3 1");
  EXPECT_EQ(audit_of(area), "");
  EXPECT_THAT(history(area), ElementsAre("0-1 not_kept 1-2 now"));
  lives.put(*running, "three");
  area.sql("UPDATE @holder SET released = true");
  ASSERT_TRUE(next->try_take().value());
  std::vector<Event> events;
  const Operation late = lives.accept("late", events);
  EXPECT_EQ(running->commit({{Lives::change(late, events, true)}, kStart}).outcome,
            CommitOutcome::fenced);
  EXPECT_THAT(history(area), ElementsAre("2 new none now", "0-1 not_kept 1-3"));
  EXPECT_EQ(audit_of(area), "");
}

// Names as they are in the table must not keep a node from taking the ledger.
TEST(PostgresHistory, T1_a_row_that_is_there_already_is_nobodys_and_in_nobodys_way) {
  const Area area;
  Lives lives;
  put(area, take(area, "a"), lives, "a", 2);
  area.sql("INSERT INTO @tenure VALUES (2, 'liar', 'x', 77, '\\x00', 'epoch')");
  EXPECT_THAT(audit_of(area), StartsWith("tenure epoch 2: nobody has taken it: the ledger's head "
                                         "is at epoch 1"));
  EXPECT_THAT(history(area), ElementsAre("1 a 1-2 now"));
  (void)take(area, "b");
  EXPECT_THAT(history(area), ElementsAre("2 b none now", "1 a 1-2"));
  EXPECT_EQ(area.sql("SELECT began > now() - interval '1 hour' FROM @tenure WHERE epoch = 2"), "t");
  EXPECT_EQ(audit_of(area), "");
}

TEST(PostgresHistory, T11_retention_keeps_the_tenures_of_what_it_keeps) {
  const Area area;
  Lives lives;
  {
    const auto ledger = area.open(take(area, "a"));
    Lives::settle(*ledger, lives.put(*ledger, "zero"), State::confirmed);
    ASSERT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
  }
  (void)take(area, "idle");
  {
    const auto ledger = area.open(take(area, "b"));
    Lives::settle(*ledger, lives.put(*ledger, "one"), State::confirmed);
    ASSERT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
    Lives::settle(*ledger, lives.put(*ledger, "two"), State::confirmed);
    ASSERT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
  }
  EXPECT_EQ(area.sql("SELECT batch > (SELECT batch FROM @tenure WHERE epoch = 3) FROM @base"), "t");
  EXPECT_EQ(area.sql("SELECT string_agg(epoch::text, ' ') FROM @tenure"), "3");
  EXPECT_EQ(history(area).size(), 1U) << "and what is gone is not told as unknown";
  EXPECT_EQ(audit_of(area), "");
}

TEST(PostgresHistory, T13_a_server_out_of_reach_is_said_and_asked_again) {
  pg::Proxy proxy(server().port());
  const Area area;
  (void)take(area, "a");
  const auto asks = std::move(PostgresNodes::open(area.place(proxy.port()),
                                                  {.name = "asks", .url = {}, .version = {}}))
                        .value();
  EXPECT_TRUE(asks->history(0, 1).has_value());
  server().sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
      "'trued nodes'");
  // A connection that was ended is found out by who uses it, and replaced for the next.
  EXPECT_EQ(asks->history(0, 1).error().code, ErrorCode::unavailable);
  EXPECT_THAT(shown(asks->history(0, 1).value()), ElementsAre("1 a none now"));
  proxy.cut(pg::Cut::refuse);
  EXPECT_EQ(asks->history(0, 1).error().code, ErrorCode::unavailable);
}

TEST(PostgresAudit, T11_a_tenure_that_does_not_fit_the_chain_is_found) {
  const Area area;
  Lives lives;
  put(area, take(area, "a"), lives, "a", 3);
  put(area, take(area, "b"), lives, "b", 2);
  (void)take(area, "c");
  ASSERT_EQ(audit_of(area), "");
  area.sql("CREATE TABLE @kept AS TABLE @tenure");
  const std::pair<const char*, const char*> changes[] = {
      {"UPDATE @tenure SET hash = decode(repeat('00', 32), 'hex') WHERE epoch = 2",
       "tenure epoch 2: it says that it began after batch 3 with the hash 0000"},
      {"UPDATE @tenure SET hash = '\\x00' WHERE epoch = 2",
       "tenure epoch 2: it says that it began after batch 3 with the hash (none), and the log has"},
      {"UPDATE @tenure SET hash = decode(repeat('11', 32), 'hex') WHERE epoch = 1",
       "tenure epoch 1: it says that it began after batch 0 with the hash 1111"},
      {"UPDATE @tenure SET batch = 2 WHERE epoch = 2",
       "tenure epoch 2: it says that it began after batch 2 with the hash "},
      {"UPDATE @tenure SET batch = 6 WHERE epoch = 3",
       "tenure epoch 3: it says that it began after batch 6, and the log ends with 5"},
      {"UPDATE @tenure SET batch = -1 WHERE epoch = 1", "tenure epoch 1: it says that it began"},
      {"UPDATE @tenure t SET batch = b.no, hash = b.hash FROM @batch b WHERE b.no = 1 AND epoch = "
       "3",
       "tenure epoch 3: it says that it began after batch 1, and epoch 2, which was before it, "
       "after 3"},
      {"INSERT INTO @tenure SELECT 4, 'd', 'x', batch, hash FROM @head",
       "tenure epoch 4: nobody has taken it: the ledger's head is at epoch 3"},
      {"INSERT INTO @tenure SELECT 0, 'd', 'x', 0, hash FROM @head", "tenure epoch 0: nobody"},
      {"UPDATE @tenure SET node = 'd' WHERE epoch = 3",
       "tenure epoch 3: it names another node or take than the ledger's head has"},
      {"UPDATE @tenure SET holder = 'd' WHERE epoch = 3", "tenure epoch 3: it names another"},
  };
  for (const auto& [change, expected] : changes) {
    area.sql(change);
    EXPECT_THAT(audit_of(area), HasSubstr(expected)) << change;
    area.sql("DELETE FROM @tenure; INSERT INTO @tenure TABLE @kept");
    EXPECT_EQ(audit_of(area), "") << "after " << change;
  }
  area.sql("DROP TABLE @tenure");
  EXPECT_THAT(audit_of(area), HasSubstr("tenure")) << "no table is not an empty one";
}

}  // namespace
}  // namespace trued::test
