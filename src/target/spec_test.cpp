#include "target/spec.h"

#include <gtest/gtest.h>

namespace trued::test {
namespace {

// What is not read takes no time: the bounds of a serving level are in every policy.
TEST(Spec, T2_retention_counts_the_serving_level_only_where_there_is_one) {
  Policy policy = default_policy("file");
  policy.deadline = Duration{10'000};
  policy.effect_timeout = Duration{5'000};
  policy.store.within = Duration{1'000};
  policy.unreadable.within = Duration{2'000};
  policy.retention = Duration{30'000};
  ASSERT_EQ(policy.serving.within, Duration{30'000});
  EXPECT_EQ(check_retention(policy, false), "");
  EXPECT_NE(check_retention(policy, true).find("reading back 30s"), std::string::npos);
  policy.retention = Duration{21'999};
  EXPECT_NE(check_retention(policy, false).find("reading back 2s"), std::string::npos);
}

}  // namespace
}  // namespace trued::test
