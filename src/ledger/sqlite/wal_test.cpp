// A changed byte in the log of a server that was killed is not what a crash leaves.
#include "ledger/sqlite/wal.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "ledger/sqlite/sqlite_test_support.h"

namespace trued::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeader = 32;
constexpr std::size_t kFrame = 24 + 4'096;

/// What a server leaves that is killed after some commits.
class Killed : public testing::Test {
 protected:
  void SetUp() override {
    const Folder living;
    const auto ledger = living.open();
    Lives lives;
    for (int i = 0; i < 12; ++i) lives.put(*ledger, "k" + std::to_string(i));
    fs::copy_file(living.file(), folder.file());
    fs::copy_file(living.file() + "-wal", wal());
    std::ostringstream bytes;
    bytes << std::ifstream(wal(), std::ios::binary).rdbuf();
    whole = bytes.str();
    for (std::size_t at = kHeader; at + kFrame <= whole.size(); at += kFrame) {
      ++frames;
      if (whole.substr(at + 4, 4) != std::string(4, '\0')) commits.push_back(frames);
    }
    ASSERT_GE(commits.size(), 10U);
  }

  [[nodiscard]] std::string wal() const { return folder.file() + "-wal"; }
  void leave(const std::string& log) const {
    std::ofstream(wal(), std::ios::binary | std::ios::trunc) << log;
  }
  [[nodiscard]] std::string with_flip(std::size_t at) const {
    std::string log = whole;
    log.at(at) = static_cast<char>(log.at(at) ^ 0x10);
    return log;
  }
  [[nodiscard]] std::optional<sqlite::WalDamage> damage() const {
    return sqlite::find_wal_damage(folder.file()).value();
  }
  static std::size_t begin_of(std::size_t frame) { return kHeader + (frame - 1) * kFrame; }

  Folder folder;
  std::string whole;
  std::size_t frames = 0;
  std::vector<std::size_t> commits;  ///< the frames that end a transaction
};

TEST_F(Killed, T11_a_changed_byte_behind_which_commits_stand_is_found_and_nothing_is_changed) {
  const std::size_t last = commits.at(commits.size() - 3);
  for (std::size_t frame = 1; frame <= last; ++frame) {
    // In the page number, the salt, the checksum, the page.
    for (const std::size_t at : {3U, 9U, 18U, 24U, 2'000U, 4'119U}) {
      leave(with_flip(begin_of(frame) + at));
      const auto found = damage();
      ASSERT_TRUE(found) << "frame " << frame << " byte " << at;
      EXPECT_EQ(found->frame, frame);
    }
  }
  leave(with_flip(begin_of(2) + 100));
  const auto opened = SqliteLedger::open({.path = folder.file()});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
  EXPECT_NE(opened.error().message.find("was changed at frame 2"), std::string::npos)
      << opened.error().message;
  EXPECT_NE(folder.audit().find("was changed at frame 2"), std::string::npos) << folder.audit();
  leave(whole);
  EXPECT_EQ(folder.audit(), "");
}

TEST_F(Killed, T6_what_a_crash_leaves_is_no_damage) {
  EXPECT_FALSE(damage());
  // Cut off anywhere.
  for (std::size_t size = 0; size < whole.size(); size += 997) {
    leave(whole.substr(0, size));
    EXPECT_FALSE(damage()) << size;
  }
  // The last transaction reached the disk in part, in any order.
  for (std::size_t frame = commits.at(commits.size() - 2) + 1; frame <= frames; ++frame) {
    leave(with_flip(begin_of(frame) + 50));
    EXPECT_FALSE(damage()) << frame;
  }
  // Behind it stands what an older log had there: other salts.
  std::string older = whole;
  const std::size_t half = begin_of(commits.at(commits.size() / 2) + 1);
  for (std::size_t at = half; at < older.size(); at += kFrame) older.at(at + 9) ^= 0x33;
  leave(older);
  EXPECT_FALSE(damage());
  leave(with_flip(5));  // by its own header it is no log: SQLite begins a new one
  EXPECT_FALSE(damage());
  fs::remove(wal());
  EXPECT_FALSE(damage());
}

}  // namespace
}  // namespace trued::test
