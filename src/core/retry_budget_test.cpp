#include "core/retry_budget.h"

#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace trued {
namespace {

BudgetPolicy policy(std::uint32_t permille, std::uint32_t floor) {
  return {.enabled = true, .ratio_permille = permille, .floor_per_second = floor};
}

TEST(RetryBudget, T5_a_quiet_target_has_its_floor) {
  RetryBudget budget(policy(200, 1));
  const Duration now{50'000};
  EXPECT_EQ(budget.left(now), 10U);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.reserve(1, now)) << i;
  EXPECT_FALSE(budget.reserve(1, now));
  EXPECT_EQ(budget.left(now), 0U);
}

TEST(RetryBudget, T5_five_calls_pay_for_one_retry) {
  RetryBudget budget(policy(200, 0));
  const Duration now{50'000};
  for (int i = 0; i < 4; ++i) budget.call(now);
  EXPECT_FALSE(budget.reserve(1, now));
  budget.call(now);
  EXPECT_TRUE(budget.reserve(1, now));
  EXPECT_FALSE(budget.reserve(1, now));
}

TEST(RetryBudget, T5_a_retry_after_an_unknown_outcome_costs_double) {
  RetryBudget budget(policy(1'000, 0));
  const Duration now{50'000};
  for (int i = 0; i < 3; ++i) budget.call(now);
  EXPECT_TRUE(budget.reserve(RetryBudget::kCostUnknown, now));
  EXPECT_FALSE(budget.reserve(RetryBudget::kCostUnknown, now));
  EXPECT_TRUE(budget.reserve(1, now));
}

TEST(RetryBudget, T5_what_waits_in_backoff_is_spent_until_it_begins_or_gives_up) {
  RetryBudget budget(policy(0, 1));
  Duration now{50'000};
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(budget.reserve(1, now));
  // Far beyond the window: it still waits, so it is still spent.
  now += Duration{60'000};
  EXPECT_FALSE(budget.covers(1, now));
  budget.begin(1, now);
  EXPECT_FALSE(budget.covers(1, now)) << "begun just now";
  budget.cancel(1);
  EXPECT_TRUE(budget.covers(1, now)) << "given up";
  now += Duration{10'000};
  EXPECT_EQ(budget.left(now), 2U) << "what was begun is forgotten after the window";
}

TEST(RetryBudget, T5_a_refusal_says_when_to_ask_again) {
  RetryBudget budget(policy(0, 1));
  Duration now{50'300};
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(budget.reserve(1, now));
    budget.begin(1, now);
    now += Duration{100};
  }
  const Duration again = budget.ask_again(1, now);
  EXPECT_EQ(again, Duration{60'000});
  EXPECT_FALSE(budget.covers(1, again - Duration{1}));
  EXPECT_TRUE(budget.covers(1, again));
  EXPECT_EQ(budget.ask_again(1, again), again);
}

TEST(RetryBudget, T5_switched_off_it_grants_everything) {
  RetryBudget budget({.enabled = false, .ratio_permille = 0, .floor_per_second = 0});
  EXPECT_TRUE(budget.reserve(2, Duration{1}));
  EXPECT_EQ(budget.ask_again(2, Duration{1}), Duration{1});
}

// Against a list of everything that ever happened, summed up anew at each question.
RC_GTEST_PROP(RetryBudget, T5_is_what_a_ledger_of_all_calls_would_say, ()) {
  const BudgetPolicy given = policy(*rc::gen::inRange(0U, 1'001U), *rc::gen::inRange(0U, 4U));
  struct Booked {
    std::int64_t slice;
    std::int64_t thousandths;
  };
  std::vector<Booked> booked;
  std::vector<std::uint32_t> waiting;
  RetryBudget budget(given);
  Duration now{*rc::gen::inRange(0, 100'000)};
  const auto left = [&] {
    std::int64_t sum = std::int64_t{given.floor_per_second} * 10'000;
    for (const Booked& one : booked) {
      if (one.slice > now / RetryBudget::kSlice - RetryBudget::kSlices) sum += one.thousandths;
    }
    for (const std::uint32_t cost : waiting) sum -= std::int64_t{cost} * 1'000;
    return sum;
  };
  const int steps = *rc::gen::inRange(1, 200);
  for (int i = 0; i < steps; ++i) {
    now += Duration{*rc::gen::inRange(0, 3'000)};
    const std::uint32_t cost = *rc::gen::inRange(1U, 3U);
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        budget.call(now);
        booked.push_back({now / RetryBudget::kSlice, given.ratio_permille});
        break;
      case 1: {
        const bool granted = left() >= std::int64_t{cost} * 1'000;
        RC_ASSERT(budget.ask_again(cost, now) >= now);
        RC_ASSERT((budget.ask_again(cost, now) == now) == granted);
        RC_ASSERT(budget.reserve(cost, now) == granted);
        if (granted) waiting.push_back(cost);
        break;
      }
      default:
        if (waiting.empty()) break;
        if (*rc::gen::arbitrary<bool>()) {
          budget.cancel(waiting.back());
        } else {
          budget.begin(waiting.back(), now);
          booked.push_back({now / RetryBudget::kSlice, -1'000 * std::int64_t{waiting.back()}});
        }
        waiting.pop_back();
    }
    RC_ASSERT(static_cast<std::int64_t>(budget.left(now)) ==
              std::max<std::int64_t>(left(), 0) / 1'000);
  }
}

}  // namespace
}  // namespace trued
