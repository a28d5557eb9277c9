// stats.h: counters of an engine, for status and metrics. Plain values, a snapshot.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "core/circuit_breaker.h"
#include "core/ids.h"

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

/// What is done at a target.
enum class CallKind : std::uint8_t { first, retry, read };
inline constexpr std::size_t kCallKinds = 3;
[[nodiscard]] std::string_view to_string(CallKind kind);

/// Why a call waits before its target. `line`: others wait there, and came before.
enum class HeldBy : std::uint8_t { breaker, budget, rate, line };
inline constexpr std::size_t kHeldReasons = 4;
[[nodiscard]] std::string_view to_string(HeldBy by);

/// What stands before one target (see gates.h).
struct GateStats {
  BreakerState breaker = BreakerState::closed;
  bool breaker_enabled = true;
  WallTime breaker_since{};
  WallTime next_probe{};  ///< of an open breaker
  std::uint64_t breaker_opened = 0;
  std::uint32_t failures_in_a_row = 0;  ///< operations
  bool budget_enabled = true;
  std::uint64_t budget_left = 0;
  bool rate_limited = false;
  std::uint32_t rate_left = 0;
  std::uint32_t concurrency = 0;  ///< calls at a time, as it is kept
  std::uint64_t in_flight = 0;    ///< gauge: operations with a call there
  // Gauges: operations that wait before it.
  std::uint64_t held_attempts = 0;
  std::uint64_t held_retries = 0;  ///< the budget does not cover them yet
  std::uint64_t held_reads = 0;
  std::array<std::uint64_t, kCallKinds> calls{};      ///< since start, by CallKind
  std::array<std::uint64_t, kHeldReasons> held_by{};  ///< since start, by HeldBy
};

/// One worker, as it was last heard of.
struct WorkerSeen {
  std::string name;
  std::optional<WallTime> at;  ///< nothing: not since the process began
  std::uint32_t leases = 0;
};

/// The work of one target that workers carry out (see leases.h).
struct LeaseStats {
  std::string target;
  // Gauges.
  std::uint64_t queued = 0;                  ///< operations that wait for a worker
  std::optional<OperationId> oldest_queued;  ///< of them
  std::int64_t oldest_queued_ms = 0;         ///< since it was accepted
  std::uint64_t leased = 0;
  std::uint64_t asking = 0;         ///< polls that wait for work
  std::vector<WorkerSeen> workers;  ///< heard of within the last hour, or with a lease
  // Since start.
  std::uint64_t handed_out = 0;
  std::uint64_t lost = 0;  ///< leases that ran out
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
  std::vector<GateStats> targets;     ///< in the order of the engine's targets
  std::vector<LeaseStats> leases;     ///< of those that workers carry out, in the same order
  Histogram commit_seconds;
  Histogram settle_seconds;  ///< acceptance to settled
};

}  // namespace trued
