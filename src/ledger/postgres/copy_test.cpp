// Copies to a server, from one, and between two places of one.
#include "ledger/copy_test_support.h"
#include "ledger/postgres/postgres_copy.h"
#include "ledger/postgres/postgres_test_support.h"
#include "ledger/sqlite/sqlite_copy.h"
#include "ledger/sqlite/sqlite_test_support.h"

namespace trued::test {
namespace {

OpenSource source_of(const Folder& folder) {
  return [&] { return open_sqlite_source(folder.file()); };
}
OpenSource source_of(const Area& area) {
  return [&] { return open_postgres_source(area.place(), {}); };
}
OpenDestination destination_of(const Folder& folder) {
  return [&] { return open_sqlite_destination(folder.file()); };
}
OpenDestination destination_of(const Area& area) {
  return [&] { return open_postgres_destination(area.place()); };
}

Result<AuditReport> audit_of(const Folder& folder) { return audit_sqlite(folder.file(), {}); }
Result<AuditReport> audit_of(const Area& area) { return audit_postgres(area.place(), {}); }

template <class Place>
void fill(const Place& place) {
  Lives lives;
  fill_for_copy(*place.open(), lives);
}
/// Filled, and given back by whoever filled it.
void fill(const Area& area) {
  {
    Lives lives;
    fill_for_copy(*area.open(), lives);
  }
  area.sql("UPDATE @holder SET released = true");
}

// What a server that would act on it, and an audit, are told; empty if there is a ledger.
std::string refusal(const Area& area) {
  const auto tenure = PostgresTenure::open(area.place(), {});
  const auto audited = audit_of(area);
  if (tenure.has_value() && audited.has_value()) return "";
  EXPECT_FALSE(tenure.has_value() || audited.has_value());
  EXPECT_EQ(tenure.error().message, audited.error().message);
  EXPECT_EQ(audited.error().code, ErrorCode::invalid_argument);
  return audited.error().message;
}

template <class From, class To>
void move_and_compare() {
  const From from;
  const To to;
  fill(from);
  const auto report = copy_once(source_of(from), destination_of(to));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  expect_same(audit_of(from), audit_of(to));
  // It goes on there: numbers, places and the chain.
  {
    const auto ledger = to.open();
    const auto known = ledger->load(
        std::vector<Identity>{{"default", "write", "third"}, {"default", "write", "first"}});
    ASSERT_TRUE(known.has_value());
    Lives::settle(*ledger, *known->at(0).operation, State::confirmed);
    EXPECT_EQ(known->at(1).tombstone->state, State::confirmed);
    EXPECT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 3U);
  }
  EXPECT_EQ(finding_of(audit_of(to)), "");
  EXPECT_GT(audit_of(to)->batches, 0U);
}

TEST(PostgresCopy, T3_from_a_file_to_a_server) { move_and_compare<Folder, Area>(); }
TEST(PostgresCopy, T3_from_a_server_to_a_file) { move_and_compare<Area, Folder>(); }
TEST(PostgresCopy, T3_from_a_server_to_a_server) { move_and_compare<Area, Area>(); }

// There and back, every byte of every table is what it was; of every column, by its type.
TEST(PostgresCopy, T3_there_and_back_the_file_has_the_same_rows) {
  const Folder source;
  fill(source);
  const Area server_side;
  const Folder back;
  ASSERT_TRUE(copy_once(source_of(source), destination_of(server_side)).has_value());
  ASSERT_TRUE(copy_once(source_of(server_side), destination_of(back)).has_value());
  for (const CopyTable& table : copy_tables()) {
    std::string same = "ATTACH '" + source.file() + "' AS a; ATTACH '" + back.file() +
                       "' AS b; CREATE TEMP TABLE differs(x CHECK (0));";
    std::string typed;
    for (const CopyColumn& column : table.columns) {
      typed +=
          (typed.empty() ? "" : ", ") + std::string(column.name) + ", typeof(" + column.name + ")";
    }
    for (const auto& [one, other] : {std::pair("a", "b"), std::pair("b", "a")}) {
      same += " INSERT INTO differs SELECT 1 FROM (SELECT " + typed + " FROM " + one + "." +
              table.name + " EXCEPT SELECT " + typed + " FROM " + other + "." + table.name + ");";
    }
    run_sql(source.path + "/scratch.db", same);
  }
}

TEST(PostgresCopy, T3_killed_at_any_point_it_goes_on_and_nothing_half_copied_is_served) {
  const Folder source;
  fill(source);
  for (const bool carried_out : {false, true}) {
    int calls = 0;
    for (bool died = true; died; ++calls) {
      const Area area;
      died = copy_killed(source_of(source), destination_of(area), calls, carried_out);
      const bool begun = calls > 0 || carried_out;
      const std::string refused = begun ? refusal(area) : "";
      if (begun && !refused.empty()) {
        EXPECT_NE(refused.find("is an unfinished copy of sqlite:" + source.file()),
                  std::string::npos)
            << calls << ": " << refused;
        // Programs from before there were copies look at this alone.
        EXPECT_EQ(area.sql("SELECT oldest FROM @head"), "2147483647");
      }
      const auto report = copy_once(source_of(source), destination_of(area));
      ASSERT_TRUE(report.has_value()) << calls << ": " << report.error().message;
      EXPECT_EQ(report->before, begun && refused.empty()) << calls;
      EXPECT_EQ(finding_of(audit_of(area)), "") << calls;
    }
    EXPECT_GT(calls, 20);
  }
}

TEST(PostgresCopy, T3_what_an_overtaken_run_still_sends_does_nothing) {
  const Folder source;
  fill(source);
  const Area area;
  ASSERT_TRUE(copy_killed(source_of(source), destination_of(area), 4, true));
  const auto first = std::move(open_postgres_destination(area.place())).value();
  ASSERT_TRUE(first->look().has_value());
  ASSERT_TRUE(first->resume().has_value());
  const auto second = std::move(open_postgres_destination(area.place())).value();
  ASSERT_TRUE(second->look().has_value());
  ASSERT_TRUE(second->resume().has_value());
  const CopyTable& record = copy_tables().front();
  const std::string before = area.sql("SELECT count(*) FROM @record");
  const CopyRow row{std::int64_t{1'000}, std::int64_t{1},     std::int64_t{1}, std::int64_t{0},
                    std::int64_t{0},     std::string("body"), std::monostate{}};
  for (const auto& late : {first->add(record, {row}), first->set_frame({}), first->finish()}) {
    ASSERT_FALSE(late.has_value());
    EXPECT_EQ(late.error().code, ErrorCode::already_exists);
    EXPECT_NE(late.error().message.find("another 'trued ledger copy'"), std::string::npos);
  }
  EXPECT_EQ(area.sql("SELECT count(*) FROM @record"), before);
  EXPECT_NE(refusal(area), "");
}

TEST(PostgresCopy, T3_a_source_that_a_node_holds_is_refused_and_a_silent_one_is_waited_for) {
  const Area area;
  const Area copy;
  fill(area);
  const TenureOptions options{.node = "busy", .lease = Duration{1'500}, .margin = Duration{100}};
  auto tenure = area.tenure(options);
  ASSERT_TRUE(tenure->try_take().value());
  std::string notice;
  const OpenSource from = [&] {
    return open_postgres_source(area.place(), [&](const std::string& text) { notice = text; });
  };
  const auto refused = copy_once(from, destination_of(copy));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::already_exists);
  EXPECT_NE(refused.error().message.find("the node busy acts on it"), std::string::npos)
      << refused.error().message;
  // As if it had been killed.
  tenure.reset();
  notice.clear();
  const auto report = copy_once(from, destination_of(copy));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_NE(notice.find("busy has not given back the ledger"), std::string::npos) << notice;
}

TEST(PostgresCopy, T3_a_source_that_is_taken_while_it_is_copied_makes_no_ledger) {
  const Area area;
  const Area copy;
  fill(area);
  const auto to = std::move(open_postgres_destination(copy.place())).value();
  const auto from = std::move(open_postgres_source(area.place(), {})).value();
  bool taken = false;
  LedgerCopy moving(*from, *to,
                    {.progress =
                         [&](std::string_view stage, std::uint64_t, std::uint64_t) {
                           if (stage != "copying" || std::exchange(taken, true)) return;
                           (void)area.seize();
                         },
                     .notice = {}},
                    kSmallPage);
  const auto report = moving.run();
  ASSERT_FALSE(report.has_value());
  EXPECT_TRUE(taken && moving.begun());
  EXPECT_NE(report.error().message.find("was taken by the node"), std::string::npos)
      << report.error().message;
  EXPECT_NE(refusal(copy), "");
}

TEST(PostgresCopy, a_destination_that_holds_something_else_is_refused) {
  const Folder source;
  fill(source);
  const Area area;
  {
    Lives lives;
    lives.put(*area.open(), "other");
  }
  area.sql("UPDATE @holder SET released = true");
  const auto head = audit_of(area)->head;
  EXPECT_NE(
      message_of(copy_once(source_of(source), destination_of(area))).find("holds a ledger already"),
      std::string::npos);
  EXPECT_EQ(audit_of(area)->head, head);
  const auto itself = copy_once(source_of(area), destination_of(area));
  EXPECT_NE(message_of(itself).find("are the same ledger"), std::string::npos)
      << message_of(itself);
  const Area strange;
  strange.sql("CREATE SCHEMA " + strange.name() +
              " AUTHORIZATION app; CREATE TABLE @orders(a int)");
  EXPECT_NE(message_of(copy_once(source_of(source), destination_of(strange)))
                .find("holds something else (orders)"),
            std::string::npos);
}

TEST(PostgresCopy, T3_ids_the_epoch_and_the_uuid_move_along) {
  const Area area;
  const Area copy;
  fill(area);
  ASSERT_TRUE(copy_once(source_of(area), destination_of(copy)).has_value());
  for (const char* what :
       {"SELECT ledger FROM @head", "SELECT epoch FROM @head", "SELECT epoch FROM @holder",
        "SELECT oldest FROM @head", "SELECT version FROM @head",
        "SELECT string_agg(no::text || id::text, ',' ORDER BY no) FROM "
        "@operation"}) {
    EXPECT_EQ(area.sql(what), copy.sql(what)) << what;
  }
  EXPECT_EQ(copy.sql("SELECT to_regclass('@copying')"), "NULL");
  EXPECT_EQ(copy.sql("SELECT count(*) FROM @tenure"), "0") << "they held the other ledger";
  EXPECT_TRUE(copy.tenure()->try_take().value()) << "it is free at once";
  EXPECT_EQ(copy.sql("SELECT t.epoch = h.epoch AND t.batch = h.batch AND t.hash = h.hash FROM "
                     "@tenure t, @head h"),
            "t");
  EXPECT_EQ(finding_of(audit_of(copy)), "");
}

TEST(PostgresCopy, a_source_or_a_copy_of_a_newer_program_is_refused) {
  const Area area;
  const Folder copy;
  fill(area);
  area.sql("UPDATE @head SET version = 99, oldest = 99");
  const auto newer = copy_once(source_of(area), destination_of(copy));
  ASSERT_FALSE(newer.has_value());
  EXPECT_EQ(newer.error().code, ErrorCode::unsupported);
  EXPECT_NE(newer.error().message.find("use the newer program"), std::string::npos);
  const Folder source;
  fill(source);
  const Area begun;
  ASSERT_TRUE(copy_killed(source_of(source), destination_of(begun), 4, true));
  begun.sql("UPDATE @head SET version = 99");
  const auto other = copy_once(source_of(source), destination_of(begun));
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, ErrorCode::unsupported);
  EXPECT_NE(other.error().message.find("DROP SCHEMA \"" + begun.name() + "\" CASCADE"),
            std::string::npos)
      << other.error().message;
}

}  // namespace
}  // namespace trued::test
