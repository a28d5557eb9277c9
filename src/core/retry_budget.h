// retry_budget.h: how many retries one target is sent, whoever asks for them.
//
// Intuition: retries help while few calls fail and do harm while many do. So they are paid for by
// the calls that are made anyway: each first attempt puts in a fraction, each retry takes one out,
// and a floor keeps a quiet target's retries free.
//
//   left = floor * window + ratio * first attempts - retries begun - retries in backoff
//          `------------- within the last 10 seconds -------------'
//
//   scheduled ──reserve──► in backoff ──begin──► begun ──10 s──► forgotten
//                 │ no           └──cancel──► never was
//                 └──► asked again at ask_again()
//
// Invariants
//   (1) A retry is granted only if `left` covers its cost; so retries begun in one window never
//       cost more than ratio * first attempts + floor * window, as they were when the last of them
//       was granted.
//   (2) Counted when it is decided, and for as long as it waits: a retry in backoff is spent
//       (Envoy #30205 forgot that, and overshot).
//   (3) A retry after an unknown outcome costs double: it may do the work a second time, and what
//       did not answer is likely still busy (AWS SDK, standard mode: a timeout costs twice).
//
// Source: Finagle, com.twitter.finagle.service.RetryBudget (20 %, 10 a second, 10 s). Why not a
// ratio of calls in flight (Envoy): at human scale hardly any call is in flight.
//
// Pure: times are arguments and never go back. Thousandths of a retry as integers; no allocation.
#pragma once

#include <array>
#include <cstdint>

#include "core/gate_policy.h"

namespace trued {

class RetryBudget {
 public:
  static constexpr Duration kSlice{1'000};
  static constexpr std::int64_t kSlices = 10;
  static constexpr std::uint32_t kCostUnknown = 2;

  explicit RetryBudget(const BudgetPolicy& policy) : policy_(policy) {}

  /// A first attempt begins.
  void call(Duration now);
  /// Pays for a retry that is to begin later. False, and nothing is taken, if it is not granted.
  [[nodiscard]] bool reserve(std::uint32_t cost, Duration now);
  /// What was reserved begins now. REQUIRES: reserve(cost) was granted.
  void begin(std::uint32_t cost, Duration now);
  /// What was reserved will not begin.
  void cancel(std::uint32_t cost);

  /// True when a retry of that cost would be granted.
  [[nodiscard]] bool covers(std::uint32_t cost, Duration now);
  /// The earliest time at which it may be granted; `now` if it is now.
  [[nodiscard]] Duration ask_again(std::uint32_t cost, Duration now);
  /// Whole retries of cost 1 that would be granted now.
  [[nodiscard]] std::uint64_t left(Duration now);
  [[nodiscard]] bool enabled() const { return policy_.enabled; }

 private:
  static constexpr std::int64_t kRetry = 1'000;  ///< one, in thousandths

  void assert_invariants() const;
  /// Forgets what is older than the window.
  void pass(Duration now);
  [[nodiscard]] std::int64_t balance() const;
  std::int64_t& slice() { return slices_.at(static_cast<std::size_t>(newest_ % kSlices)); }

  BudgetPolicy policy_;
  std::array<std::int64_t, kSlices> slices_{};  ///< put in less taken out
  std::int64_t newest_ = 0;                     ///< the number of the newest slice
  std::int64_t sum_ = 0;                        ///< of the slices
  std::int64_t waiting_ = 0;                    ///< reserved and not begun
};

}  // namespace trued
