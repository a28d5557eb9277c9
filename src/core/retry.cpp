#include "core/retry.h"

#include <algorithm>

#include "base/assert.h"

namespace trued {
namespace {

// first * factor^steps, saturating at cap.
Duration grown(Duration first, std::uint32_t factor, Duration cap, std::uint32_t steps) {
  Duration wait = std::min(first, cap);
  for (std::uint32_t i = 0; i < steps && wait < cap; ++i) {
    if (factor < 2) break;
    wait = wait > cap / factor ? cap : wait * factor;
  }
  TRUED_ASSERT(wait <= cap);
  return wait;
}

}  // namespace

Duration backoff(const RetryPolicy& policy, std::uint32_t failures, Duration retry_after,
                 std::uint64_t entropy) {
  const std::uint32_t steps = failures == 0 ? 0 : failures - 1;
  const Duration bound = grown(policy.first, policy.factor, policy.cap, steps);
  const auto span = static_cast<std::uint64_t>(std::max<Duration::rep>(bound.count(), 0)) + 1;
  const Duration jittered{static_cast<Duration::rep>(entropy % span)};
  TRUED_ASSERT(jittered <= std::max(bound, Duration{0}));
  return std::max(jittered, retry_after);
}

Duration settle_wait(const SettlePolicy& policy, std::uint32_t reads_done, std::uint64_t entropy) {
  const std::uint32_t steps = reads_done == 0 ? 0 : reads_done - 1;
  const Duration bound = grown(policy.first, 2, policy.cap, steps);
  const Duration half = bound / 2;
  const auto span =
      static_cast<std::uint64_t>(std::max<Duration::rep>((bound - half).count(), 0)) + 1;
  const Duration wait = half + Duration{static_cast<Duration::rep>(entropy % span)};
  TRUED_ASSERT(wait >= half && wait <= std::max(bound, half));
  return wait;
}

bool may_read_again(const SettlePolicy& policy, std::uint32_t reads_done, Duration elapsed) {
  return reads_done < policy.reads_max && (reads_done < 2 || elapsed < policy.within);
}

}  // namespace trued
