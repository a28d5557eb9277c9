// gate_policy.h: what one target is spared: its retry budget, its circuit breaker, its limits.
//
// Plain values that come from configuration, for a service at human scale: a bound that needs a
// hundred calls to act never acts there (docs/concepts, "Retries are a resource").
#pragma once

#include <cstdint>

#include "base/time.h"

namespace trued {

/// See retry_budget.h.
struct BudgetPolicy {
  bool enabled = true;
  std::uint32_t ratio_permille = 200;   ///< retries for each 1,000 first attempts
  std::uint32_t floor_per_second = 10;  ///< retries that are always granted
};

/// See circuit_breaker.h.
struct BreakerPolicy {
  bool enabled = true;
  std::uint32_t consecutive = 5;      ///< operations that fail one after another
  std::uint32_t rate_permille = 500;  ///< of the operations within `window`
  std::uint32_t minimum = 20;         ///< operations below which the rate says nothing
  Duration window{30'000};
  Duration open{5'000};  ///< doubles with every opening that did not help, up to open_max
  Duration open_max{300'000};
};

/// See rate_limit.h.
struct RatePolicy {
  std::uint32_t per_second = 0;  ///< 0: no limit
  std::uint32_t burst = 0;       ///< 0: as many as per_second
};

struct GatePolicy {
  BudgetPolicy budget;
  BreakerPolicy breaker;
  RatePolicy rate;
  std::uint32_t concurrency = 0;  ///< calls at a time; 0: what the process allows one target
};

}  // namespace trued
