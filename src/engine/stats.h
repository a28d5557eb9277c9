// stats.h: counters of an engine, for status and metrics. Plain values, a snapshot.
#pragma once

#include <array>
#include <cstdint>

namespace trued {

/// Upper bounds, in seconds, of the histogram buckets below; the last bucket is everything above.
inline constexpr std::array<double, 12> kLatencyBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                       0.05,   0.1,   0.25,   1.0,   5.0,  30.0};

struct Histogram {
  std::array<std::uint64_t, kLatencyBounds.size() + 1> buckets{};
  std::uint64_t count = 0;
  double sum = 0;  ///< seconds

  void add(double seconds) {
    std::size_t i = 0;
    while (i < kLatencyBounds.size() && seconds > kLatencyBounds.at(i)) ++i;
    ++buckets.at(i);
    ++count;
    sum += seconds;
  }
};

struct EngineStats {
  std::array<std::uint64_t, 5> decisions{};       ///< by SubmitDecision
  std::array<std::uint64_t, 13> settled{};        ///< by State
  std::array<std::uint64_t, 9> tells{};           ///< by Tell
  std::array<std::uint64_t, 7> effects{};         ///< by EffectKind
  std::array<std::uint64_t, 3> verdicts{};        ///< by Verdict, of reads after an effect
  std::array<std::uint64_t, 13> open_by_state{};  ///< gauge, by State
  std::uint64_t refused = 0;    ///< submissions refused (overloaded, ledger, drain)
  std::uint64_t open = 0;       ///< gauge: operations not settled
  std::uint64_t in_flight = 0;  ///< gauge: effects and reads under way
  std::uint64_t waiters = 0;    ///< gauge: callers that wait for an answer
  std::uint64_t commits = 0;
  std::uint64_t commits_unknown = 0;
  std::uint64_t committed_changes = 0;
  std::int64_t oldest_open_ms = 0;    ///< gauge: age of the oldest open operation
  std::uint64_t retire_failures = 0;  ///< rounds of retention that the ledger failed
  Histogram commit_seconds;
  Histogram settle_seconds;  ///< acceptance to settled
};

}  // namespace trued
