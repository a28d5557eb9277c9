// outcome.h: short ways to say how an effect ended, and the few things that connectors share.
//
// Pure, except for Stopwatch, which reads the monotonic clock. Any thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/clock.h"
#include "target/target.h"

namespace trued {

/// The target said yes. `changed` is whether it did work for it.
[[nodiscard]] inline EffectResult effect_acknowledged(bool changed, std::string version) {
  EffectResult result;
  result.ended.kind = EffectKind::acknowledged;
  result.ended.changed = changed;
  result.ended.version = std::move(version);
  return result;
}

/// Every other ending, with the reason for people.
[[nodiscard]] inline EffectResult effect_ended(EffectKind kind, std::string reason) {
  EffectResult result;
  result.ended.kind = kind;
  result.ended.reason = std::move(reason);
  return result;
}

[[nodiscard]] inline RawRead read_found(std::string content, std::string version) {
  RawRead read;
  read.seen = Seen::found;
  read.content = std::move(content);
  read.version = std::move(version);
  return read;
}

[[nodiscard]] inline RawRead read_absent(std::string version) {
  RawRead read;
  read.seen = Seen::absent;
  read.version = std::move(version);
  return read;
}

[[nodiscard]] inline RawRead read_unreadable(std::string why) {
  RawRead read;
  read.seen = Seen::unreadable;
  read.detail = std::move(why);
  return read;
}

/// Measures one call.
class Stopwatch {
 public:
  Stopwatch() : start_(clock_.monotonic()) {}
  [[nodiscard]] Duration elapsed() {
    return std::chrono::duration_cast<Duration>(clock_.monotonic() - start_);
  }
  /// What is left of `budget`; never negative.
  [[nodiscard]] Duration left_of(Duration budget) {
    return std::max(Duration{0}, budget - elapsed());
  }

 private:
  SystemClock clock_;
  std::chrono::nanoseconds start_;
};

}  // namespace trued
