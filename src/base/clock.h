// clock.h: where time comes from. Everything above base gets it as an argument or through this.
#pragma once

#include <chrono>

#include "base/time.h"

namespace trued {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Civil time; may step in either direction.
  virtual WallTime wall() = 0;
  /// Never steps back; its zero means nothing.
  virtual std::chrono::nanoseconds monotonic() = 0;
};

/// Any thread.
class SystemClock final : public Clock {
 public:
  WallTime wall() override;
  std::chrono::nanoseconds monotonic() override;
};

}  // namespace trued
