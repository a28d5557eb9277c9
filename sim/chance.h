// chance.h: reproducible choices. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/random.h"
#include "base/time.h"

namespace trued::sim {

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}

  std::uint64_t bits() { return random_.next(); }
  /// Uniform in [0, n). REQUIRES: n > 0.
  std::uint64_t below(std::uint64_t n) {
    TRUED_ASSERT(n > 0);
    return random_.next() % n;
  }
  /// Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  Duration span(std::int64_t low_ms, std::int64_t high_ms) {
    return Duration(between(low_ms, high_ms));
  }
  /// True in `permille` of 1,000 cases.
  bool in_thousand(std::uint32_t permille) { return below(1'000) < permille; }
  template <class T>
  const T& pick(const std::vector<T>& of) {
    return of.at(below(of.size()));
  }

 private:
  SeededRandom random_;
};

}  // namespace trued::sim
