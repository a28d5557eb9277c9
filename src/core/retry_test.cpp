#include "core/retry.h"

#include <cstdint>
#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace trued {
namespace {

constexpr std::uint64_t kEntropyMax = std::numeric_limits<std::uint64_t>::max();

RetryPolicy policy(int first, std::uint32_t factor, int cap) {
  return {.attempts_max = 5, .first = Duration{first}, .factor = factor, .cap = Duration{cap}};
}

// The largest wait that any entropy gives: entropy that is one below a multiple of the span.
Duration longest(const RetryPolicy& given, std::uint32_t failures) {
  Duration found{};
  for (std::uint64_t entropy = 0; entropy < 5'000; ++entropy) {
    found = std::max(found, backoff(given, failures, Duration{0}, entropy));
  }
  return found;
}

TEST(Retry, T5_the_bound_grows_by_the_factor_up_to_the_cap) {
  const RetryPolicy given = policy(100, 2, 1'000);
  EXPECT_EQ(longest(given, 1), Duration{100});
  EXPECT_EQ(longest(given, 2), Duration{200});
  EXPECT_EQ(longest(given, 3), Duration{400});
  EXPECT_EQ(longest(given, 4), Duration{800});
  EXPECT_EQ(longest(given, 5), Duration{1'000});
  EXPECT_EQ(longest(given, 500), Duration{1'000});
  EXPECT_EQ(longest(given, 0), Duration{100}) << "counted from 1";
}

TEST(Retry, T5_a_factor_below_two_keeps_the_wait) {
  EXPECT_EQ(longest(policy(100, 1, 1'000), 9), Duration{100});
  EXPECT_EQ(longest(policy(100, 0, 1'000), 9), Duration{100});
}

TEST(Retry, T5_full_jitter_reaches_nothing_and_everything) {
  const RetryPolicy given = policy(100, 2, 1'000);
  EXPECT_EQ(backoff(given, 1, Duration{0}, 0), Duration{0});
  EXPECT_EQ(backoff(given, 1, Duration{0}, 100), Duration{100});
  EXPECT_EQ(backoff(given, 1, Duration{0}, 101), Duration{0});
}

TEST(Retry, T5_never_before_the_target_asks_for_it) {
  const RetryPolicy given = policy(100, 2, 1'000);
  EXPECT_EQ(backoff(given, 1, Duration{7'000}, 50), Duration{7'000});
  EXPECT_EQ(backoff(given, 1, Duration{10}, 50), Duration{50});
}

TEST(Retry, T5_saturates_and_never_wraps) {
  RetryPolicy given;
  given.first = Duration{1};
  given.factor = std::numeric_limits<std::uint32_t>::max();
  given.cap = Duration::max() - Duration{1};
  for (const std::uint32_t failures : {1U, 2U, 3U, 4U, 100U, 4'000'000'000U}) {
    EXPECT_GE(backoff(given, failures, Duration{0}, kEntropyMax), Duration{0});
  }
  EXPECT_EQ(longest(policy(5'000, 2, 100), 1), Duration{100}) << "first above cap";
  EXPECT_EQ(backoff(policy(-5, 2, 100), 1, Duration{0}, kEntropyMax), Duration{0});
}

RC_GTEST_PROP(Retry, T5_backoff_is_within_its_bounds, ()) {
  const RetryPolicy given = policy(*rc::gen::inRange(0, 10'000), *rc::gen::inRange(0U, 10U),
                                   *rc::gen::inRange(0, 100'000));
  const Duration asked{*rc::gen::inRange(0, 50'000)};
  const Duration wait = backoff(given, *rc::gen::arbitrary<std::uint32_t>() % 64, asked,
                                *rc::gen::arbitrary<std::uint64_t>());
  RC_ASSERT(wait >= asked);
  RC_ASSERT(wait <= std::max(given.cap, asked));
}

TEST(Retry, V3_settling_waits_double_up_to_the_cap_and_keep_their_lower_half) {
  const SettlePolicy given{
      .within = Duration{5'000}, .reads_max = 9, .first = Duration{50}, .cap = Duration{300}};
  const int bounds[] = {50, 50, 100, 200, 300, 300};
  for (std::uint32_t reads = 0; reads < std::size(bounds); ++reads) {
    const Duration bound{bounds[reads]};
    Duration shortest = Duration::max();
    Duration most{};
    for (std::uint64_t entropy = 0; entropy < 1'000; ++entropy) {
      const Duration wait = settle_wait(given, reads, entropy);
      shortest = std::min(shortest, wait);
      most = std::max(most, wait);
    }
    EXPECT_EQ(shortest, bound / 2) << reads;
    EXPECT_EQ(most, bound) << reads;
  }
  EXPECT_GE(settle_wait(given, 4'000'000'000U, kEntropyMax), Duration{150});
  const SettlePolicy negative{
      .within = Duration{1}, .reads_max = 1, .first = Duration{-2}, .cap = Duration{1}};
  EXPECT_LE(settle_wait(negative, 1, kEntropyMax), Duration{0}) << "no division by zero";
}

TEST(Retry, V3_reading_again_is_bounded_by_number_and_by_time) {
  const SettlePolicy given{
      .within = Duration{100}, .reads_max = 4, .first = Duration{1}, .cap = Duration{1}};
  EXPECT_TRUE(may_read_again(given, 0, Duration{0}));
  EXPECT_TRUE(may_read_again(given, 3, Duration{99}));
  EXPECT_FALSE(may_read_again(given, 3, Duration{100}));
  EXPECT_FALSE(may_read_again(given, 4, Duration{0}));
}

TEST(Retry, V3_one_late_read_is_never_the_only_one) {
  const SettlePolicy given{
      .within = Duration{100}, .reads_max = 4, .first = Duration{1}, .cap = Duration{1}};
  EXPECT_TRUE(may_read_again(given, 1, Duration{1'000'000}));
  EXPECT_FALSE(may_read_again(given, 2, Duration{1'000'000}));
  const SettlePolicy once{
      .within = Duration{100}, .reads_max = 1, .first = Duration{1}, .cap = Duration{1}};
  EXPECT_FALSE(may_read_again(once, 1, Duration{0})) << "configured to one read";
}

TEST(Retry, V3_a_clock_that_went_back_does_not_lift_the_bound) {
  const SettlePolicy given{
      .within = Duration{100}, .reads_max = 4, .first = Duration{1}, .cap = Duration{1}};
  EXPECT_TRUE(may_read_again(given, 3, Duration{-5'000}));
  EXPECT_FALSE(may_read_again(given, 4, Duration{-5'000}));
}

}  // namespace
}  // namespace trued
