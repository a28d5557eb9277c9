#include "target/process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace trued {
namespace {

TEST(Process, T1_a_process_knows_itself) {
  EXPECT_EQ(whereabouts(this_process()), Whereabouts::alive);
  EXPECT_EQ(this_process().boot.size(), 12U);
  EXPECT_GT(boot_seconds(), 0);
}

TEST(Process, T1_one_that_ended_is_gone_and_a_reused_number_is_not_it) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ProcessMark dead = this_process();
  dead.pid = std::to_string(child);
  EXPECT_EQ(whereabouts(dead), Whereabouts::gone);
  ProcessMark reused = this_process();
  reused.start = "1";
  EXPECT_EQ(whereabouts(reused), Whereabouts::gone);
}

TEST(Process, V6_nothing_is_claimed_about_other_kernels_and_namespaces) {
  ProcessMark mark = this_process();
  mark.start = "1";
  mark.boot = "abcabcabcabc";
  EXPECT_EQ(whereabouts(mark), Whereabouts::elsewhere);
  mark = this_process();
  mark.start = "1";
  mark.pid_namespace += "1";
  EXPECT_EQ(whereabouts(mark), Whereabouts::elsewhere);
}

}  // namespace
}  // namespace trued
