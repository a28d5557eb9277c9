#include "base/clock.h"

namespace trued {

WallTime SystemClock::wall() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::chrono::nanoseconds SystemClock::monotonic() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace trued
