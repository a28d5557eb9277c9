#include "core/rate_limit.h"

#include <algorithm>

#include "base/assert.h"

namespace trued {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kSecond{1'000'000'000};

}  // namespace

RateLimit::RateLimit(const RatePolicy& policy) {
  if (policy.per_second == 0) return;
  const std::uint32_t burst = std::max(policy.burst == 0 ? policy.per_second : policy.burst, 1U);
  // Rounded up: never a call more than was allowed.
  period_ = (kSecond + nanoseconds(policy.per_second - 1)) / policy.per_second;
  tolerance_ = period_ * (burst - 1);
  TRUED_ASSERT(limits() && tolerance_.count() >= 0);
}

bool RateLimit::admits(Duration now) const {
  return !limits() || full_at_ <= nanoseconds(now) + tolerance_;
}

void RateLimit::force(Duration now) {
  if (!limits()) return;
  full_at_ = std::max(full_at_, nanoseconds(now)) + period_;
  TRUED_ASSERT(full_at_ > nanoseconds(now));
}

Duration RateLimit::ask_again(Duration now) const {
  if (admits(now)) return now;
  const auto again = std::chrono::ceil<Duration>(full_at_ - tolerance_);
  TRUED_ASSERT(again > now && admits(again));
  return again;
}

std::uint32_t RateLimit::left(Duration now) const {
  if (!admits(now) || !limits()) return 0;
  const nanoseconds missing =
      std::max(full_at_ - std::min(full_at_, nanoseconds(now)), nanoseconds(0));
  TRUED_ASSERT(missing <= tolerance_);  // or it would admit nobody
  return static_cast<std::uint32_t>((tolerance_ + period_ - missing) / period_);
}

}  // namespace trued
