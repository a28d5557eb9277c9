// A copy from file to file: what the algorithm promises, whatever the ends are.
#include "ledger/copy_test_support.h"
#include "ledger/sqlite/sqlite_copy.h"
#include "ledger/sqlite/sqlite_test_support.h"

namespace trued::test {
namespace {

std::string bytes_of(const std::string& file) {
  std::ostringstream bytes;
  bytes << std::ifstream(file, std::ios::binary).rdbuf();
  return bytes.str();
}

/// A source that is filled, and a place to copy it to.
struct Move {
  Move() {
    Lives lives;
    fill_for_copy(*source.open(), lives);
  }
  OpenSource from() const {
    return [this] { return open_sqlite_source(source.file()); };
  }
  OpenDestination to() const {
    return [this] { return open_sqlite_destination(copy.file()); };
  }
  Result<CopyReport> once() const { return copy_once(from(), to()); }
  /// Leaves it unfinished after some pages.
  void kill_in_the_middle() const { ASSERT_TRUE(copy_killed(from(), to(), 5, true)); }
  /// What whoever would serve it is told; and so is whoever would audit it.
  std::string refusal() const {
    const auto opened = SqliteLedger::open({.path = copy.file()});
    const auto audited = audit_sqlite(copy.file(), {});
    if (opened.has_value() || audited.has_value()) return "";
    EXPECT_EQ(opened.error().message, audited.error().message);
    EXPECT_EQ(audited.error().code, ErrorCode::invalid_argument);
    return opened.error().message;
  }

  Folder source;
  Folder copy;
};

TEST(LedgerCopy, T3_the_copy_ends_in_the_same_head_goes_on_and_the_source_is_only_read) {
  const Move move;
  const std::string before = bytes_of(move.source.file());
  const std::string log = bytes_of(move.source.file() + "-wal");
  const auto report = move.once();
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->found, 0U);
  EXPECT_GT(report->written, 30U);
  EXPECT_EQ(bytes_of(move.source.file()), before);
  EXPECT_EQ(bytes_of(move.source.file() + "-wal"), log);
  expect_same(audit_sqlite(move.source.file(), {}), audit_sqlite(move.copy.file(), {}));
  const auto ledger = move.copy.open();
  const auto known = ledger->load(
      std::vector<Identity>{{"default", "write", "second"}, {"default", "write", "zero"}});
  EXPECT_EQ(known->at(0).operation->state, State::confirmed);
  EXPECT_TRUE(known->at(1).tombstone);
  std::vector<std::string> open;
  ASSERT_TRUE(
      ledger->each_open([&](Operation&& each) { open.push_back(each.identity.key.substr(0, 5)); })
          .has_value());
  EXPECT_EQ(open.size(), 4U);
  const auto third = ledger->load(std::vector<Identity>{{"default", "write", "third"}});
  Lives::settle(*ledger, *third->front().operation, State::confirmed);
  EXPECT_EQ(move.copy.audit(), "");
}

TEST(LedgerCopy, T3_killed_at_any_point_it_goes_on_and_nothing_half_copied_is_served) {
  for (const bool carried_out : {false, true}) {
    int calls = 0;
    for (bool died = true; died; ++calls) {
      const Move move;
      died = copy_killed(move.from(), move.to(), calls, carried_out);
      const bool begun = calls > 0 || carried_out;
      const std::string refused = begun ? move.refusal() : "nothing is there";
      if (begun && !refused.empty()) {
        EXPECT_NE(refused.find("unfinished copy"), std::string::npos) << calls << refused;
      }
      const auto report = move.once();
      ASSERT_TRUE(report.has_value()) << calls << ": " << report.error().message;
      EXPECT_EQ(report->before, refused.empty()) << calls;
      expect_same(audit_sqlite(move.source.file(), {}), audit_sqlite(move.copy.file(), {}));
    }
    EXPECT_GT(calls, 20);
  }
}

TEST(LedgerCopy, T3_it_is_killed_again_and_again_and_writes_no_row_twice) {
  const Move move;
  int runs = 0;
  // The first call of each run takes the copy over; the second writes a page.
  while (copy_killed(move.from(), move.to(), 2, true)) ++runs;
  EXPECT_GT(runs, 10);
  expect_same(audit_sqlite(move.source.file(), {}), audit_sqlite(move.copy.file(), {}));
}

TEST(LedgerCopy, T3_a_source_in_use_is_refused) {
  const Move move;
  const auto ledger = move.source.open();
  const auto report = move.once();
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::already_exists);
  EXPECT_NE(report.error().message.find("in use by process"), std::string::npos);
}

TEST(LedgerCopy, T11_a_changed_byte_in_the_source_is_reported_and_nothing_is_begun) {
  const Move move;
  run_sql(move.source.file(),
          "UPDATE record SET body=CAST(substr(body,1,9)||x'3f'||substr(body,11) AS BLOB) WHERE "
          "sequence=(SELECT last FROM operation WHERE key='second')");
  const auto report = move.once();
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::corrupt);
  EXPECT_NE(report.error().message.find("chain at batch"), std::string::npos)
      << report.error().message;
  EXPECT_FALSE(std::filesystem::exists(move.copy.file()));
}

TEST(LedgerCopy, T11_a_source_that_is_changed_between_two_runs_is_found) {
  const Move move;
  move.kill_in_the_middle();
  run_sql(move.source.file(), "UPDATE operation SET state=4 WHERE key='third'");
  const auto report = move.once();
  EXPECT_NE(message_of(report).find("row at"), std::string::npos) << message_of(report);
  EXPECT_NE(message_of(report).find("stays unfinished"), std::string::npos) << message_of(report);
  EXPECT_NE(move.refusal(), "");
}

TEST(LedgerCopy, T11_a_row_of_the_copy_that_is_changed_missing_or_added_is_named) {
  const std::pair<const char*, const char*> changes[] = {
      {"UPDATE record SET at=at+1 WHERE sequence=(SELECT min(sequence) FROM record)", "its at"},
      {"DELETE FROM record WHERE sequence=(SELECT min(sequence) FROM record)", "is missing"},
      {"INSERT INTO record SELECT sequence-1, batch, operation, previous, at, body, digest FROM "
       "record ORDER BY sequence LIMIT 1",
       "the source has none"},
      {"UPDATE record SET body=CAST(body||'x' AS BLOB) WHERE sequence=(SELECT min(sequence) FROM "
       "record WHERE body IS NOT NULL)",
       "its body"},
  };
  for (const auto& [change, expected] : changes) {
    const Move move;
    move.kill_in_the_middle();
    run_sql(move.copy.file(), change);
    const auto report = move.once();
    ASSERT_FALSE(report.has_value()) << change;
    EXPECT_EQ(report.error().code, ErrorCode::corrupt);
    EXPECT_NE(message_of(report).find(expected), std::string::npos) << message_of(report);
    EXPECT_NE(move.refusal(), "") << change;
  }
}

TEST(LedgerCopy, a_destination_that_holds_something_else_is_refused) {
  {
    const Move move;
    Lives lives;
    lives.put(*move.copy.open(), "other");
    EXPECT_NE(message_of(move.once()).find("holds a ledger already"), std::string::npos);
    EXPECT_EQ(move.copy.audit(), "") << "it is as it was";
  }
  const Move move;
  move.kill_in_the_middle();
  const Folder other;
  {
    Lives lives;
    const auto ledger = other.open();
    for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
      Lives::settle(*ledger, lives.put(*ledger, key), State::confirmed);
    }
  }
  const auto report = copy_once([&] { return open_sqlite_source(other.file()); }, move.to());
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::conflict);
  EXPECT_NE(
      message_of(report).find("unfinished copy of another ledger (of sqlite:" + move.source.file()),
      std::string::npos)
      << message_of(report);
  EXPECT_TRUE(move.once().has_value()) << "and can still be finished";
}

TEST(LedgerCopy, T3_a_source_that_went_on_meanwhile_is_copied_anew) {
  const Move move;
  move.kill_in_the_middle();
  {
    const auto ledger = move.source.open();
    const auto known = ledger->load(std::vector<Identity>{{"default", "write", "third"}});
    Lives::settle(*ledger, *known->front().operation, State::confirmed);
  }
  const auto report = move.once();
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_TRUE(report->anew);
  expect_same(audit_sqlite(move.source.file(), {}), audit_sqlite(move.copy.file(), {}));
}

TEST(LedgerCopy, T3_what_was_finished_is_checked_again_and_said_to_be_finished) {
  const Move move;
  ASSERT_TRUE(move.once().has_value());
  const auto again = move.once();
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_TRUE(again->before);
  EXPECT_EQ(again->written, 0U);
  // A row that nobody looks up by its key any more is looked at, too.
  run_sql(move.copy.file(),
          "UPDATE intent SET body=body||' ' WHERE no=(SELECT max(no) FROM intent)");
  EXPECT_NE(message_of(move.once()).find("its body is another"), std::string::npos);
}

TEST(LedgerCopy, a_source_of_another_version_is_refused_with_the_next_step) {
  const Folder older;
  older.restore("schema_v2");
  const Folder copy;
  const auto to = [&] { return open_sqlite_destination(copy.file()); };
  const auto from = [&] { return open_sqlite_source(older.file()); };
  auto report = copy_once(from, to);
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::unsupported);
  EXPECT_NE(message_of(report).find("start the server on it once"), std::string::npos);
  run_sql(older.file(), "PRAGMA user_version=99");
  report = copy_once(from, to);
  EXPECT_NE(message_of(report).find("schema version 99; this program knows up to"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(copy.file()));
  report = copy_once([&] { return open_sqlite_source(copy.path + "/none.db"); }, to);
  EXPECT_EQ(report.error().code, ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(copy.path + "/none.db.lock"));
}

}  // namespace
}  // namespace trued::test
