// durability_watch.h: keeps asking a ledger what it promises, and holds it to a floor.
//
//   unknown ──asked, answered──► known ──told otherwise, asked anew──► known …
//      ▲                           │
//      └── not confirmed for too long ◄┘
//
// What is known is as old as the question, not the answer. What a commit found out (told) counts
// over what was asked for before it.
//
// Threads: one of its own asks; everything else from any.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/durability.h"

namespace trued {

struct DurabilityWatchOptions {
  DurabilityLevel floor = DurabilityLevel::none;
  Duration every{2'000};
  Duration stale_after{10'000};  ///< what was last confirmed longer ago is unknown
  /// May block for as long as a call to the ledger may.
  std::function<Result<Durability>()> ask = {};
  /// What is reported has changed, in level or in words; the first time `before` is unknown. Called
  /// while it is made, and on its thread.
  std::function<void(const DurabilityReport& before, const DurabilityReport& now)> on_change = {};
};

class DurabilityWatch final : public DurabilityFloor {
 public:
  /// Asks once before it returns; `clock` outlives it.
  DurabilityWatch(DurabilityWatchOptions options, Clock& clock);
  ~DurabilityWatch() override;

  [[nodiscard]] DurabilityReport report() const;
  [[nodiscard]] std::string below() const override;
  void look_again() override;
  /// What the ledger found out by itself; false: it is less than the floor.
  bool told(const Durability& durability);
  /// Asks now, on this thread.
  void look();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued
