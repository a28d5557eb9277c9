#include "target/git/lock_note.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

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

// Numbers of processes mean nothing in another container or on another machine.
TEST_F(LockNoteTest, V6_a_lock_of_another_container_or_machine_stands) {
  ProcessMark container = this_process();
  container.pid = "4194999";
  container.pid_namespace += "1";
  ProcessMark machine = this_process();
  machine.pid = "4194999";
  machine.boot = "abcabcabcabc";
  for (const ProcessMark& maker : {container, machine}) {
    const LockNote note(directory_, "refs/heads/main", maker);
    make_lock();
    EXPECT_FALSE(break_stale_lock(directory_, "refs/heads/main"));
    EXPECT_TRUE(fs::exists(lock()));
  }
}

TEST_F(LockNoteTest, T1_a_lock_from_before_this_boot_is_broken) {
  ProcessMark maker = this_process();
  maker.boot = "abcabcabcabc";
  const LockNote note(directory_, "refs/heads/main", maker);
  make_lock();
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(24 * 3650);
  for (const auto& entry : fs::directory_iterator(directory_)) {
    if (entry.is_regular_file()) fs::last_write_time(entry.path(), long_ago);
  }
  fs::last_write_time(lock(), long_ago);
  EXPECT_TRUE(break_stale_lock(directory_, "refs/heads/main"));
  EXPECT_FALSE(fs::exists(lock()));
}

// Two wait for one stale lock; the first removes it and takes its own: the second leaves that.
TEST_F(LockNoteTest, V6_a_fresh_lock_in_the_place_of_the_judged_one_stands) {
  die_holding("refs/heads/main");
  const auto judged = mark_of(lock());
  ASSERT_TRUE(judged.has_value());
  fs::rename(lock(), directory_ + "/kept-so-that-its-inode-is-not-reused");
  make_lock();
  const auto fresh = mark_of(lock());
  EXPECT_FALSE(remove_judged_lock(directory_, "refs/heads/main", *judged));
  EXPECT_EQ(mark_of(lock()), fresh);
}

TEST_F(LockNoteTest, V6_of_many_who_break_one_lock_one_does) {
  die_holding("refs/heads/main");
  const auto judged = mark_of(lock());
  ASSERT_TRUE(judged.has_value());
  std::atomic<int> removed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      if (!remove_judged_lock(directory_, "refs/heads/main", *judged)) return;
      ++removed;
      make_lock();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(removed.load(), 1);
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
