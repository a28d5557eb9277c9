// sightings.h: where the primary was seen to stand, and what follows from it for a copy. Pure.
//
// A ledger only grows. Whoever asked the primary at a moment m and was answered "batch b" knows
// that at m there was no batch after b. So a copy that holds b shows everything that was committed
// until m, and is stale since m at most: a bound by one clock, the asker's own, whatever the others
// say.
//
//   primary        b=7      b=9          b=12
//   asked at       m1       m2           m3          now
//   a copy at 10            └────────────────────────┘  at most now - m2
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/uuid.h"
#include "ledger/ledger.h"

namespace trued {

class Sightings {
 public:
  explicit Sightings(std::size_t kept_max = 1'000) : kept_max_(kept_max) {}

  /// The primary was asked at `asked` (monotonic) and stood at `at`. One that names another ledger,
  /// or an earlier batch than before (it was set back), makes what was seen before worthless:
  /// false.
  bool add(std::chrono::nanoseconds asked, const LedgerPosition& at);

  /// Nothing until it was seen once.
  [[nodiscard]] std::optional<LedgerPosition> newest() const;
  /// When the newest was asked for. REQUIRES: newest().
  [[nodiscard]] std::chrono::nanoseconds asked() const { return seen_.back().asked; }
  /// The last moment of which it is known that a copy with `batch` holds all that there was;
  /// nothing if that was before anything was seen.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> whole_at(std::uint64_t batch) const;

 private:
  struct Seen {
    std::uint64_t batch;
    std::chrono::nanoseconds asked;  ///< the last time that it was found there
  };

  std::size_t kept_max_;
  Uuid ledger_{};
  std::deque<Seen> seen_;  ///< by batch, strictly ascending
};

}  // namespace trued
