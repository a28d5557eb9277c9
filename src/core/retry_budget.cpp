#include "core/retry_budget.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"

namespace trued {

void RetryBudget::assert_invariants() const {
  TRUED_ASSERT(waiting_ >= 0 && waiting_ % kRetry == 0);
  TRUED_ASSERT(newest_ >= 0);
  TRUED_ASSERT(std::accumulate(slices_.begin(), slices_.end(), std::int64_t{0}) == sum_);
}

void RetryBudget::pass(Duration now) {
  const std::int64_t current = now / kSlice;
  if (current <= newest_) return;
  const std::int64_t steps = std::min(current - newest_, kSlices);
  for (std::int64_t i = 1; i <= steps; ++i) {
    std::int64_t& old = slices_.at(static_cast<std::size_t>((current - steps + i) % kSlices));
    sum_ -= old;
    old = 0;
  }
  newest_ = current;
  assert_invariants();
}

std::int64_t RetryBudget::balance() const {
  const std::int64_t floor = std::int64_t{policy_.floor_per_second} * kSlices * kRetry;
  return floor + sum_ - waiting_;
}

void RetryBudget::call(Duration now) {
  pass(now);
  slice() += policy_.ratio_permille;
  sum_ += policy_.ratio_permille;
  assert_invariants();
}

bool RetryBudget::covers(std::uint32_t cost, Duration now) {
  pass(now);
  return !policy_.enabled || balance() >= std::int64_t{cost} * kRetry;
}

bool RetryBudget::reserve(std::uint32_t cost, Duration now) {
  TRUED_ASSERT(cost > 0);
  if (!covers(cost, now)) return false;
  waiting_ += std::int64_t{cost} * kRetry;
  TRUED_ASSERT(!policy_.enabled || balance() >= 0);
  return true;
}

void RetryBudget::begin(std::uint32_t cost, Duration now) {
  cancel(cost);
  pass(now);
  const std::int64_t taken = std::int64_t{cost} * kRetry;
  slice() -= taken;
  sum_ -= taken;
  assert_invariants();
}

void RetryBudget::cancel(std::uint32_t cost) {
  TRUED_ASSERT(cost > 0);
  waiting_ -= std::int64_t{cost} * kRetry;
  TRUED_ASSERT(waiting_ >= 0);
}

Duration RetryBudget::ask_again(std::uint32_t cost, Duration now) {
  if (covers(cost, now)) return now;
  std::int64_t then = balance();
  for (std::int64_t i = 1; i <= kSlices; ++i) {
    // With the slice of number newest_ + i begins what forgets the one of ten before.
    then -= slices_.at(static_cast<std::size_t>((newest_ + i) % kSlices));
    if (then >= std::int64_t{cost} * kRetry) return kSlice * (newest_ + i);
  }
  // Too much is in backoff; whatever begins or gives up may make room.
  return kSlice * (newest_ + 1);
}

std::uint64_t RetryBudget::left(Duration now) {
  pass(now);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(balance(), 0) / kRetry);
}

}  // namespace trued
