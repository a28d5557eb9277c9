// retry.h: when to try again, and how long to wait.
//
// Exponential backoff with full jitter, a hard cap, and a deadline; the same arithmetic without
// jitter spaces the reads of a settling artifact. Integer arithmetic only; saturates, never wraps.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "core/policy.h"

namespace trued {

/// Wait before attempt `failures + 1`: uniform in [0, min(cap, first * factor^(failures-1))], and
/// never less than `retry_after`. `failures` counts from 1. `entropy` is uniform over 64 bits.
[[nodiscard]] Duration backoff(const RetryPolicy& policy, std::uint32_t failures,
                               Duration retry_after, std::uint64_t entropy);

/// Wait before read `reads_done + 1` of a settling artifact: min(cap, first * 2^(reads_done-1)),
/// of which the upper half is jittered so that readers do not march in step.
[[nodiscard]] Duration settle_wait(const SettlePolicy& policy, std::uint32_t reads_done,
                                   std::uint64_t entropy);

/// True when another read is within the bound: reads_done < reads_max and `elapsed` < within. The
/// second read is not subject to `within`: nothing is judged by one read that came late.
[[nodiscard]] bool may_read_again(const SettlePolicy& policy, std::uint32_t reads_done,
                                  Duration elapsed);

}  // namespace trued
