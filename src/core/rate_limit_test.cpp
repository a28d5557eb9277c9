#include "core/rate_limit.h"

#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace trued {
namespace {

TEST(RateLimit, T5_without_a_limit_everything_passes) {
  RateLimit rate({.per_second = 0, .burst = 0});
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(rate.admits(Duration{5}));
    rate.force(Duration{5});
  }
  EXPECT_EQ(rate.ask_again(Duration{5}), Duration{5});
  EXPECT_FALSE(rate.limits());
}

TEST(RateLimit, T5_a_burst_then_one_at_a_time) {
  RateLimit rate({.per_second = 10, .burst = 3});
  Duration now{1'000'000};
  EXPECT_EQ(rate.left(now), 3U);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(rate.admits(now)) << i;
    rate.force(now);
  }
  EXPECT_FALSE(rate.admits(now));
  EXPECT_EQ(rate.left(now), 0U);
  EXPECT_EQ(rate.ask_again(now), now + Duration{100});
  now += Duration{100};
  ASSERT_TRUE(rate.admits(now));
  rate.force(now);
  EXPECT_FALSE(rate.admits(now));
  now += Duration{10'000};
  EXPECT_EQ(rate.left(now), 3U) << "never more than the burst";
}

TEST(RateLimit, T5_what_was_forced_is_owed) {
  RateLimit rate({.per_second = 10, .burst = 1});
  const Duration now{1'000'000};
  for (int i = 0; i < 5; ++i) rate.force(now);
  EXPECT_EQ(rate.ask_again(now), now + Duration{500});
}

TEST(RateLimit, T5_time_that_goes_back_admits_nothing_new) {
  RateLimit rate({.per_second = 10, .burst = 1});
  rate.force(Duration{1'000'000});
  EXPECT_FALSE(rate.admits(Duration{500'000}));
}

RC_GTEST_PROP(RateLimit, T5_no_span_sees_more_than_its_burst_and_its_seconds, ()) {
  const RatePolicy policy{.per_second = *rc::gen::inRange(1U, 200U),
                          .burst = *rc::gen::inRange(1U, 50U)};
  RateLimit rate(policy);
  Duration now{*rc::gen::inRange(0, 1'000'000)};
  std::vector<Duration> calls;
  const int steps = *rc::gen::inRange(1, 400);
  for (int i = 0; i < steps; ++i) {
    now += Duration{*rc::gen::inRange(0, 30)};
    RC_ASSERT(rate.admits(now) == (rate.left(now) > 0));
    if (!rate.admits(now)) {
      const Duration again = rate.ask_again(now);
      RC_ASSERT(again > now && rate.admits(again) && !rate.admits(again - Duration{1}));
      continue;
    }
    rate.force(now);
    calls.push_back(now);
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    for (std::size_t j = i; j < calls.size(); ++j) {
      const double span = static_cast<double>((calls.at(j) - calls.at(i)).count()) / 1'000;
      RC_ASSERT(static_cast<double>(j - i + 1) <= policy.burst + span * policy.per_second + 1e-6);
    }
  }
}

}  // namespace
}  // namespace trued
