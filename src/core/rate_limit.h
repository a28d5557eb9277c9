// rate_limit.h: calls per second to one target, as a token bucket.
//
// Intuition: a bucket of `burst` tokens fills at `per_second`; a call takes one. Kept as one
// number, the time at which the bucket will be full again (GCRA, ITU-T I.371; the same bucket, no
// fraction is ever lost and nothing has to run in between).
//
//   full_at <= now                     full
//   full_at - now <= (burst-1) periods a token is left
//   else                               empty; the next comes at full_at - (burst-1) periods
//
// Invariants
//   (1) Any span of s seconds sees at most burst + per_second * s calls that were asked for.
//   (2) force() may take what is not there: a debt, paid before the next call is admitted.
//   (3) Time that goes back admits nothing that was not admitted before.
//
// Pure: times are arguments, counted from any fixed point. Integer nanoseconds; no allocation.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/gate_policy.h"

namespace trued {

class RateLimit {
 public:
  explicit RateLimit(const RatePolicy& policy);

  /// True when a call may be made now.
  [[nodiscard]] bool admits(Duration now) const;
  /// Counts a call, whether or not there was a token for it.
  void force(Duration now);
  /// The first time at which a call is admitted; `now` if it is now.
  [[nodiscard]] Duration ask_again(Duration now) const;
  /// Whole tokens in the bucket; 0 without a limit.
  [[nodiscard]] std::uint32_t left(Duration now) const;
  [[nodiscard]] bool limits() const { return period_.count() > 0; }

 private:
  std::chrono::nanoseconds period_{};     ///< between two tokens; 0 = no limit
  std::chrono::nanoseconds tolerance_{};  ///< (burst - 1) periods
  std::chrono::nanoseconds full_at_{std::chrono::nanoseconds::min()};
};

}  // namespace trued
