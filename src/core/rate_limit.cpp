#include "core/rate_limit.h"

#include <algorithm>

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
}

bool RateLimit::admits(Duration now) const {
  return !limits() || full_at_ <= nanoseconds(now) + tolerance_;
}

void RateLimit::force(Duration now) {
  if (limits()) full_at_ = std::max(full_at_, nanoseconds(now)) + period_;
}

Duration RateLimit::ask_again(Duration now) const {
  if (admits(now)) return now;
  return std::chrono::ceil<Duration>(full_at_ - tolerance_);
}

std::uint32_t RateLimit::left(Duration now) const {
  if (!admits(now) || !limits()) return 0;
  const nanoseconds missing =
      std::max(full_at_ - std::min(full_at_, nanoseconds(now)), nanoseconds(0));
  return static_cast<std::uint32_t>((tolerance_ + period_ - missing) / period_);
}

}  // namespace trued
