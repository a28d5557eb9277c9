#include "target/git/lock_note.h"

#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace trued::git {
namespace {

namespace fs = std::filesystem;

class LockNoteTest : public testing::Test {
 protected:
  LockNoteTest() {
    std::string name = (fs::temp_directory_path() / "trued-lock-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    fs::create_directories(directory_ + "/refs/heads");
  }
  ~LockNoteTest() override { fs::remove_all(directory_); }
  std::string lock() const { return directory_ + "/refs/heads/main.lock"; }
  void make_lock() const { std::ofstream(lock()) << "x"; }
  // A process that dies between taking the lock and giving it back.
  void die_holding(const std::string& reference) const {
    const pid_t child = ::fork();
    if (child == 0) {
      const LockNote note(directory_, reference);
      make_lock();
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
  }
  std::string directory_;
};

TEST_F(LockNoteTest, T1_a_lock_of_a_killed_process_of_ours_is_broken) {
  die_holding("refs/heads/main");
  ASSERT_TRUE(fs::exists(lock()));
  EXPECT_TRUE(break_stale_lock(directory_, "refs/heads/main"));
  EXPECT_FALSE(fs::exists(lock()));
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

TEST_F(LockNoteTest, V6_a_lock_that_is_nobodys_we_know_stands) {
  make_lock();
  EXPECT_FALSE(break_stale_lock(directory_, "refs/heads/main"));
  EXPECT_TRUE(fs::exists(lock()));
}

TEST_F(LockNoteTest, V6_a_lock_of_a_living_process_stands) {
  const LockNote note(directory_, "refs/heads/main");
  make_lock();
  EXPECT_FALSE(break_stale_lock(directory_, "refs/heads/main"));
  EXPECT_TRUE(fs::exists(lock()));
}

TEST_F(LockNoteTest, V6_a_note_for_another_branch_breaks_nothing) {
  die_holding("refs/heads/other");
  EXPECT_FALSE(break_stale_lock(directory_, "refs/heads/main"));
  EXPECT_TRUE(fs::exists(lock()));
}

TEST_F(LockNoteTest, V6_a_lock_made_long_after_the_note_is_somebody_elses) {
  die_holding("refs/heads/main");
  fs::last_write_time(lock(), fs::file_time_type::clock::now() + std::chrono::minutes(1));
  EXPECT_FALSE(break_stale_lock(directory_, "refs/heads/main"));
  EXPECT_TRUE(fs::exists(lock()));
}

TEST_F(LockNoteTest, the_note_goes_with_the_move) {
  {
    const LockNote note(directory_, "refs/heads/main");
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace trued::git
