#include "ledger/sqlite/sqlite_ledger.h"

#include <algorithm>
#include <filesystem>
#include <list>
#include <sys/stat.h>

#include "ledger/ledger_conformance.h"
#include "ledger/sqlite/sqlite_test_support.h"

namespace trued::test {
namespace {

/// A ledger that takes its file with it.
std::unique_ptr<Ledger> scratch_ledger() {
  static std::list<Folder> folders;
  return folders.emplace_back().open();
}

INSTANTIATE_TEST_SUITE_P(Sqlite, LedgerConformance, testing::Values(MakeLedger(&scratch_ledger)));

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

TEST(SqliteLedger, a_second_owner_is_refused_and_told_who_owns_it) {
  const Folder folder;
  const auto owner = folder.open();
  const auto second = SqliteLedger::open({.path = folder.file()});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::already_exists);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos);
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

TEST(SqliteLedger, the_log_stays_small_under_constant_commits) {
  const Folder folder;
  const auto ledger = folder.open();
  const auto reader = ledger->open_reader().value();  // keeps the log from going with a connection
  Lives lives;
  std::uintmax_t largest = 0;
  for (int round = 0; round < 120; ++round) {
    std::vector<Change> changes;
    for (int i = 0; i < 150; ++i) {
      std::vector<Event> events;
      const Operation operation =
          lives.accept(std::to_string(round) + "-" + std::to_string(i), events);
      changes.push_back(Lives::change(operation, events, true));
    }
    ASSERT_EQ(ledger->commit({changes, kStart}).outcome, CommitOutcome::committed);
    largest = std::max(largest, std::filesystem::file_size(folder.file() + "-wal"));
  }
  EXPECT_LT(largest, std::uintmax_t{160} << 20);
  EXPECT_EQ(folder.audit(), "");
}

TEST(SqliteLedger, T3_a_long_beginning_goes_piece_by_piece_and_stays_provable) {
  const Folder folder;
  const auto ledger = folder.open();
  Lives lives;
  const Operation pinned = lives.put(*ledger, "pinned");
  for (int round = 0; round < 8; ++round) {
    std::vector<Change> begun;
    std::vector<Operation> operations;
    for (int i = 0; i < 500; ++i) {
      std::vector<Event> events;
      operations.push_back(lives.accept(std::to_string(round) + "-" + std::to_string(i), events));
      begun.push_back(Lives::change(operations.back(), events, true));
    }
    ASSERT_EQ(ledger->commit({begun, kStart}).outcome, CommitOutcome::committed);
    std::vector<Change> ended;
    for (Operation& operation : operations) {
      std::vector<Event> events;
      Lives::record(operation, events, Settled{State::failed, "no", {}, ""});
      ended.push_back(Lives::change(operation, events, false));
    }
    ASSERT_EQ(ledger->commit({ended, kStart}).outcome, CommitOutcome::committed);
  }
  const WallTime late = kStart + Duration{60'000};
  while (*ledger->retire(late, 500) > 0) {
  }
  EXPECT_EQ(folder.audit(), "");
  Lives::settle(*ledger, pinned, State::confirmed);
  ASSERT_EQ(*ledger->retire(late, 500), 1U);
  EXPECT_EQ(folder.audit(), "");
  const auto counts = ledger->open_reader().value()->counts().value();
  EXPECT_GT(counts.batches, 0U);
}

TEST(SqliteLedger, a_backup_made_during_constant_commits_ends_opens_and_audits_clean) {
  const Folder folder;
  const auto ledger = folder.open();
  Lives lives;
  std::vector<Change> changes;
  for (int i = 0; i < 4'000; ++i) {  // several steps of the copy
    std::vector<Event> events;
    const Operation operation = lives.accept("k" + std::to_string(i), events);
    changes.push_back(Lives::change(operation, events, true));
  }
  ASSERT_EQ(ledger->commit({changes, kStart}).outcome, CommitOutcome::committed);
  const std::string copy = folder.path + "/copy.db";
  int steps = 0;
  const auto bytes = backup_sqlite(folder.file(), copy, [&](std::uint64_t, std::uint64_t) {
    ASSERT_LT(++steps, 1'000) << "every commit makes the copy begin again";
    lives.put(*ledger, "during" + std::to_string(steps));
  });
  EXPECT_GT(steps, 2);
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
  EXPECT_GT(*bytes, 0U);
  const auto report = audit_sqlite(copy, {});
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->first.has_value());
  EXPECT_EQ(report->operations, 4'000U);
  EXPECT_EQ(backup_sqlite(folder.file(), copy, {}).error().code, ErrorCode::already_exists);
}

}  // namespace
}  // namespace trued::test
