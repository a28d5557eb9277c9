// circuit_breaker.h: whether a target is left alone for a while.
//
// Intuition: a target that answers nobody is not helped by more calls, and one that answers some
// with an error may be fine. So operations are counted, not tries: an operation that fails five
// times says once that it failed. After a pause a few calls find out whether it answers again.
//
//            ┌──────── a probe is answered ────────┐
//            ▼                                     │
//   closed ──┬─ N operations fail in a row ─┐      │
//            └─ rate over the window ───────┴──► open ──pause over──► half-open
//                                             ▲                          │
//                                             └─ a probe fails, or is ───┘
//                                                overdue: a longer pause
//
//   open:      nothing is admitted before open_until().
//   half-open: at most kProbesMax calls are out; which ones is the caller's choice: rather reads.
//
// Invariants
//   (1) One operation, one vote: within a row of failures and within a window it fails once,
//   however
//       often it is tried. Kept in the operation's Ballot.
//   (2) Opens from closed only by `consecutive` operations in a row, or by `rate` of at least
//       `minimum` operations within the window.
//   (3) While open or half-open only what was admitted as a probe has a vote: a late answer of a
//       call made before tells nothing of now.
//   (4) A pause is within [1/2, 1] of min(open_max, open * 2^n), n = openings since it last stayed
//       closed for a window.
//   (5) Half-open always ends: a probe that is overdue counts as failed.
//
// What counts as failure is the caller's to say: no answer, not reachable; not a refusal, and not
// "too many requests" (429 is throttling: mcp-gateway #475).
//
// Sources: Nygard, Release It!; Envoy outlier detection (five in a row, growing ejection); Polly
// and Resilience4j for the rate, but their minimum of 100 calls never acts at human scale; probes
// that rather read: mcp-gateway-registry #1668.
//
// Pure: times and entropy are arguments, times never go back. No allocation.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/gate_policy.h"

namespace trued {

enum class BreakerState : std::uint8_t { closed, open, half_open };
[[nodiscard]] std::string_view to_string(BreakerState state);

class CircuitBreaker {
 public:
  static constexpr std::uint32_t kProbesMax = 2;
  static constexpr std::int64_t kSlices = 10;

  /// What one operation has already said; kept by whoever keeps the operation.
  struct Ballot {
    std::uint64_t row = 0;       ///< the row of failures it is counted in; 0 = none
    std::uint64_t openings = 0;  ///< before its votes: an opening forgets all of them
    std::int64_t failed = -1;    ///< the slice of its last vote of each kind; -1 = none
    std::int64_t answered = -1;

    friend bool operator==(const Ballot&, const Ballot&) = default;
  };

  /// A probe that has not ended after `patience` is overdue.
  CircuitBreaker(const BreakerPolicy& policy, Duration patience);

  /// Lets time act: an open breaker whose pause is over is half-open.
  void pass(Duration now);
  /// True when a call may be made now. REQUIRES: pass(now).
  [[nodiscard]] bool admits() const;
  /// The earliest time at which a call may be admitted; `now` if it is now, or if that hangs on a
  /// probe under way.
  [[nodiscard]] Duration ask_again(Duration now) const;

  /// True for a breaker that is half-open: the call about to be made is a probe, and begin_probe()
  /// says so.
  [[nodiscard]] bool probes() const { return state_ == BreakerState::half_open; }
  void begin_probe(Duration now);
  /// A probe is known to be at work, and not overdue before `patience` from now.
  void still(Duration now) { last_probe_ = now; }
  /// A probe ended and says nothing (it was never made, or the target was only busy).
  void end_probe();
  /// A probe is overdue: call failed(…, probe = true) for it.
  [[nodiscard]] bool overdue(Duration now) const;

  /// The target answered an operation; for a probe that closes the breaker.
  void answered(Ballot& ballot, Duration now, bool probe);
  /// It did not. `entropy` is uniform over 64 bits, for the length of the pause.
  void failed(Ballot& ballot, Duration now, std::uint64_t entropy, bool probe);

  [[nodiscard]] BreakerState state() const { return state_; }
  [[nodiscard]] Duration since() const { return since_; }  ///< of this state
  [[nodiscard]] Duration open_until() const { return open_until_; }
  [[nodiscard]] std::uint32_t in_a_row() const { return in_a_row_; }
  [[nodiscard]] std::uint64_t openings() const { return openings_; }  ///< all of them
  [[nodiscard]] bool enabled() const { return policy_.enabled; }

 private:
  struct Slice {
    std::uint32_t answered = 0;
    std::uint32_t failed = 0;
  };

  void assert_invariants() const;
  void enter(BreakerState state, Duration now);
  void open(Duration now, std::uint64_t entropy);
  void forget_old(Duration now);
  void join(Ballot& ballot) const;
  [[nodiscard]] bool rate_exceeded() const;
  [[nodiscard]] bool counted(std::int64_t vote) const {
    return vote >= 0 && vote > newest_ - kSlices;
  }
  Slice& slice() { return slices_.at(static_cast<std::size_t>(newest_ % kSlices)); }

  BreakerPolicy policy_;
  Duration patience_;
  Duration slice_span_;
  BreakerState state_ = BreakerState::closed;
  Duration since_{0};
  Duration open_until_{0};
  Duration last_probe_{0};
  std::uint32_t probes_out_ = 0;
  std::uint32_t in_a_row_ = 0;
  std::uint32_t growth_ = 0;  ///< openings since it last stayed closed
  std::uint64_t row_ = 1;
  std::uint64_t openings_ = 0;
  std::array<Slice, kSlices> slices_{};
  Slice sum_;
  std::int64_t newest_ = 0;
};

}  // namespace trued
