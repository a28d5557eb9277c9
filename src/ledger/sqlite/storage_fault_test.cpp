// What the ledger says when storage fails, and that it stays true.
#include <filesystem>
#include <fstream>

#include "ledger/sqlite/faulty_vfs.h"
#include "ledger/sqlite/sqlite_test_support.h"

namespace trued::test {
namespace {

namespace fs = std::filesystem;

class StorageFault : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(use_faulty_files());
    file_faults() = {};
    ledger = folder.open();
    lives.put(*ledger, "before");
  }
  void TearDown() override { file_faults() = {}; }

  CommitResult commit(const std::string& key) {
    std::vector<Event> events;
    const Operation operation = lives.accept(key, events);
    return ledger->commit({{Lives::change(operation, events, true)}, kStart});
  }
  bool holds(Ledger& of, const std::string& key) {
    const auto known = of.load(std::vector<Identity>{{"default", "write", key}});
    return known.has_value() && known->front().operation.has_value();
  }

  Folder folder;
  Lives lives;
  std::unique_ptr<SqliteLedger> ledger;
};

/// What a machine that lost its power now would come up with, were all of the cache written.
std::unique_ptr<SqliteLedger> after_crash(const Folder& from, const Folder& to) {
  for (const char* end : {"", "-wal"}) {
    if (fs::exists(from.file() + end)) fs::copy_file(from.file() + end, to.file() + end);
  }
  return to.open();
}

TEST_F(StorageFault, T6_what_was_settled_after_a_failed_sync_is_what_a_crash_leaves) {
  // A reader keeps the log and its index alive, as the server's readers do.
  const auto reader = ledger->open_reader().value();
  ASSERT_TRUE(reader->counts().has_value());
  file_faults().log_syncs = 1;
  ASSERT_EQ(commit("doubtful").outcome, CommitOutcome::unknown);
  const CommitResult settled = ledger->settle_unknown();
  ASSERT_NE(settled.outcome, CommitOutcome::unknown) << settled.message;
  const bool there = settled.outcome == CommitOutcome::committed;
  EXPECT_EQ(holds(*ledger, "doubtful"), there);
  const Folder other;
  const auto after = after_crash(folder, other);
  EXPECT_EQ(holds(*after, "doubtful"), there);
  EXPECT_TRUE(holds(*after, "before"));
  EXPECT_EQ(other.audit(), "");
}

TEST_F(StorageFault, T6_the_log_begins_afresh_after_a_failed_sync) {
  file_faults().log_syncs = 1;
  ASSERT_EQ(commit("doubtful").outcome, CommitOutcome::unknown);
  ASSERT_NE(ledger->settle_unknown().outcome, CommitOutcome::unknown);
  // One header, one frame: the mark of the new beginning. Nothing of before can be recovered.
  EXPECT_LT(fs::file_size(folder.file() + "-wal"), 3 * 4'096U);
}

TEST_F(StorageFault, T1_it_stays_unknown_while_an_old_snapshot_is_read) {
  file_faults().log_syncs = 1;
  sqlite3* audit = nullptr;
  ASSERT_EQ(sqlite3_open(folder.file().c_str(), &audit), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(audit, "BEGIN; SELECT count(*) FROM record", nullptr, nullptr, nullptr),
            SQLITE_OK);
  ASSERT_EQ(commit("doubtful").outcome, CommitOutcome::unknown);
  const CommitResult held = ledger->settle_unknown();
  EXPECT_EQ(held.outcome, CommitOutcome::unknown);
  EXPECT_NE(held.message.find("reader"), std::string::npos) << held.message;
  sqlite3_close(audit);
  EXPECT_NE(ledger->settle_unknown().outcome, CommitOutcome::unknown);
  EXPECT_EQ(commit("after").outcome, CommitOutcome::committed);
}

TEST_F(StorageFault, T6_a_retirement_that_failed_and_a_file_that_does_not_open_refuse_and_recover) {
  Lives::settle(*ledger, lives.put(*ledger, "old"), State::confirmed);
  file_faults().log_syncs = 1;
  file_faults().opens = true;
  EXPECT_FALSE(ledger->retire(kStart + Duration{60'000}, 10).has_value());
  EXPECT_EQ(commit("refused").outcome, CommitOutcome::rolled_back);
  EXPECT_FALSE(ledger->load(std::vector<Identity>{{"default", "write", "old"}}).has_value());
  EXPECT_FALSE(ledger->retire(kStart + Duration{60'000}, 10).has_value());
  file_faults() = {};
  EXPECT_EQ(commit("again").outcome, CommitOutcome::committed);
  (void)ledger->retire(kStart + Duration{60'000}, 10);
  EXPECT_FALSE(holds(*ledger, "refused"));
  EXPECT_FALSE(holds(*ledger, "old"));
  EXPECT_EQ(folder.audit(), "");
}

TEST_F(StorageFault, T6_syncs_that_go_on_failing_keep_it_unknown_until_they_work) {
  file_faults().log_syncs = 5;
  ASSERT_EQ(commit("doubtful").outcome, CommitOutcome::unknown);
  int asked = 0;
  while (ledger->settle_unknown().outcome == CommitOutcome::unknown) ASSERT_LT(++asked, 20);
  EXPECT_GT(asked, 0);
  EXPECT_EQ(commit("after").outcome, CommitOutcome::committed);
  EXPECT_EQ(folder.audit(), "");
}

}  // namespace
}  // namespace trued::test
