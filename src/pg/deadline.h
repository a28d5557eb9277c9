// deadline.h: the moment by which a call has to be over. Absolute, so that it can be handed down.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/time.h"

namespace trued::pg {

class Deadline {
 public:
  explicit Deadline(Duration from_now) : at_(now() + from_now) {}

  /// What is left; never negative.
  [[nodiscard]] Duration left() const {
    return std::max(Duration{0}, std::chrono::duration_cast<Duration>(at_ - now()));
  }
  [[nodiscard]] bool over() const { return left() <= Duration{0}; }
  /// The earlier of this one and `from_now`.
  [[nodiscard]] Deadline within(Duration from_now) const {
    return Deadline(std::min(left(), from_now));
  }

 private:
  static std::chrono::nanoseconds now() { return SystemClock().monotonic(); }

  std::chrono::nanoseconds at_;
};

}  // namespace trued::pg
