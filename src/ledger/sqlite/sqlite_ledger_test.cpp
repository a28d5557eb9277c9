#include "ledger/sqlite/sqlite_ledger.h"

#include <cstdlib>
#include <filesystem>
#include <list>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/ledger_conformance.h"

namespace trued::test {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "trued-ledger-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string file() const { return path + "/ledger.db"; }
  std::unique_ptr<SqliteLedger> open() const {
    return std::move(SqliteLedger::open({.path = file()})).value();
  }
  std::string path;
};

/// A ledger that takes its file with it.
std::unique_ptr<Ledger> scratch_ledger() {
  static std::list<Folder> folders;
  return folders.emplace_back().open();
}

INSTANTIATE_TEST_SUITE_P(Sqlite, LedgerConformance, testing::Values(MakeLedger(&scratch_ledger)));

void run_sql(const std::string& file, const std::string& sql) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &handle), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
      << sql << ": " << (message != nullptr ? message : "");
  EXPECT_GT(sqlite3_total_changes(handle) + (sql.starts_with("UPDATE") ? 0 : 1), 0) << sql;
  sqlite3_free(message);
  sqlite3_close(handle);
}

// Three operations: settled, open, retired; so every table has a row.
void fill(const Folder& folder) {
  const auto ledger = folder.open();
  Lives lives;
  Lives::settle(*ledger, lives.put(*ledger, "first"), State::confirmed);
  ASSERT_EQ(*ledger->retire(kStart + Duration{60'000}, 10), 1U);
  Lives::settle(*ledger, lives.put(*ledger, "second"), State::confirmed);
  lives.put(*ledger, "third");
}

TEST(SqliteLedger, T3_everything_is_there_after_reopening_and_the_chain_goes_on) {
  const Folder folder;
  fill(folder);
  Lives lives;
  const auto ledger = folder.open();
  const auto known = ledger->load(std::vector<Identity>{{"default", "write", "second"}}).value();
  EXPECT_EQ(known.front().operation->state, State::confirmed);
  for (int i = 0; i < 8; ++i) {
    std::vector<Event> unused;
    (void)lives.accept("spent" + std::to_string(i), unused);  // numbers the earlier life used
  }
  lives.put(*ledger, "fourth");
  const auto report = audit_sqlite(folder.file(), {});
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->first) << report->first->what << ": " << report->first->detail;
  EXPECT_EQ(report->operations, 3U);
  EXPECT_EQ(report->tombstones, 1U);
}

TEST(SqliteLedger, T11_the_audit_names_whatever_was_changed) {
  const char* changes[] = {
      "UPDATE record SET body=replace(body,'acknowledged','unknown') WHERE body LIKE '%acknowl%'",
      "UPDATE record SET at=at+1 WHERE sequence=(SELECT max(sequence) FROM record)",
      "DELETE FROM record WHERE sequence=(SELECT max(sequence) FROM record)",
      "UPDATE batch SET hash=zeroblob(32) WHERE no=(SELECT max(no) FROM batch)",
      "DELETE FROM batch WHERE no=(SELECT min(no)+1 FROM batch)",
      "UPDATE operation SET state=4 WHERE key='third'",
      "UPDATE operation SET body=replace(body,'\"attempts\":1','\"attempts\":2')",
      "UPDATE operation SET key='other' WHERE key='second'",
      "UPDATE operation SET expires_at=0 WHERE key='second'",
      "UPDATE operation SET identity=zeroblob(16) WHERE key='second'",
      "DELETE FROM operation WHERE key='third'",
      "UPDATE intent SET body=replace(body,'third','THIRD') WHERE body LIKE '%third%'",
      "DELETE FROM intent WHERE body LIKE '%third%'",
      "DELETE FROM tombstone",
      "CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; END",
  };
  for (const char* change : changes) {
    const Folder folder;
    fill(folder);
    run_sql(folder.file(), change);
    const auto report = audit_sqlite(folder.file(), {});
    ASSERT_TRUE(report.has_value()) << change;
    EXPECT_TRUE(report->first.has_value()) << change;
  }
}

TEST(SqliteLedger, T11_every_flipped_character_of_the_log_is_found) {
  for (int at = 1; at < 380; at += 13) {
    const Folder folder;
    fill(folder);
    run_sql(folder.file(),
            "UPDATE record SET body=substr(body,1," + std::to_string(at - 1) +
                ")||char(unicode(substr(body," + std::to_string(at) + ",1))+1)||substr(body," +
                std::to_string(at + 1) +
                ") WHERE sequence=(SELECT max(sequence) FROM record WHERE length(body)>" +
                std::to_string(at) + ")");
    const auto report = audit_sqlite(folder.file(), {});
    ASSERT_TRUE(report.has_value()) << at;
    EXPECT_TRUE(report->first.has_value()) << at;
  }
}

TEST(SqliteLedger, a_second_owner_is_refused_and_told_who_owns_it) {
  const Folder folder;
  const auto owner = folder.open();
  const auto second = SqliteLedger::open({.path = folder.file()});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::already_exists);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos);
}

TEST(SqliteLedger, a_newer_schema_is_refused_and_left_alone) {
  const Folder folder;
  fill(folder);
  run_sql(folder.file(), "PRAGMA user_version=99");
  const auto opened = SqliteLedger::open({.path = folder.file()});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::unsupported);
  EXPECT_FALSE(audit_sqlite(folder.file(), {}).has_value());
}

TEST(SqliteLedger, the_file_is_its_owners_alone) {
  const Folder folder;
  const auto ledger = folder.open();
  struct stat file{};
  ASSERT_EQ(::stat(folder.file().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
}

TEST(SqliteLedger, T6_a_full_disk_loses_nothing_acknowledged_and_goes_on_when_freed) {
  const Folder folder;
  const auto ledger = folder.open();
  Lives lives;
  lives.put(*ledger, "before");
  ASSERT_TRUE(ledger->set_pages_max(1).has_value());
  bool refused = false;
  int written = 0;
  for (int i = 0; i < 2'000 && !refused; ++i) {
    std::vector<Event> events;
    const Operation operation = lives.accept("k" + std::to_string(i), events);
    CommitResult result = ledger->commit({{Lives::change(operation, events, true)}, kStart});
    if (result.outcome == CommitOutcome::unknown) result = ledger->settle_unknown();
    refused = result.outcome != CommitOutcome::committed;
    if (!refused) ++written;
  }
  ASSERT_TRUE(refused);
  ASSERT_TRUE(ledger->set_pages_max(1'000'000).has_value());
  lives.put(*ledger, "after");
  const auto report = audit_sqlite(folder.file(), {});
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->first.has_value());
  EXPECT_EQ(report->operations, static_cast<std::uint64_t>(written) + 2);
}

TEST(SqliteLedger, a_backup_made_during_commits_opens_and_audits_clean) {
  const Folder folder;
  const auto ledger = folder.open();
  Lives lives;
  for (int i = 0; i < 50; ++i) lives.put(*ledger, "k" + std::to_string(i));
  const std::string copy = folder.path + "/copy.db";
  const auto bytes = backup_sqlite(folder.file(), copy, [&](std::uint64_t, std::uint64_t) {
    static int number = 0;
    if (number < 5) lives.put(*ledger, "during" + std::to_string(number++));
  });
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
  EXPECT_GT(*bytes, 0U);
  const auto report = audit_sqlite(copy, {});
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->first.has_value());
  EXPECT_GE(report->operations, 50U);
  EXPECT_EQ(backup_sqlite(folder.file(), copy, {}).error().code, ErrorCode::already_exists);
}

}  // namespace
}  // namespace trued::test
