#include "embed/build_target.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace trued {
namespace {

// A serving layer that hangs must not take the effect's time: no write would ever be begun.
TEST(BuildTarget, V5_reads_at_both_levels_have_time_of_their_own) {
  const auto directory = std::filesystem::temp_directory_path();
  TargetSpec spec;
  spec.name = "site";
  spec.kind = "memory";
  spec.policy.effect_timeout = Duration{1};
  auto plain = build_target(spec, directory.string());
  ASSERT_TRUE(plain.has_value());
  const Duration one_level = 2 * ReadRequest{}.timeout;
  EXPECT_GE(plain->policy.report_slack, one_level);
  spec.serving = ServingSpec{.url = "http://127.0.0.1:1/${artifact.path}", .headers = {}};
  auto served = build_target(spec, directory.string());
  ASSERT_TRUE(served.has_value());
  EXPECT_GE(served->policy.report_slack, 2 * one_level);
}

}  // namespace
}  // namespace trued
