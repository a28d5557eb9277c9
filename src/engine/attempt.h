// attempt.h: carries out one attempt, or one read-back, against a target.
//
// Orchestration over the target port, shared by server, library and simulator: reads before (first
// attempt), effect, reads after, and the target's history where something differs. Blocks as long
// as the target does. No retries, no decisions: what was seen is reported, the core decides.
//
// Threads: any; the arguments are not shared with the engine.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "core/operation.h"
#include "target/target.h"

namespace trued {

struct AttemptJob {
  OperationId operation;
  AttemptNo attempt{1};
  bool first = false;
  bool verify = true;
  bool has_serving = false;
  bool restage = false;  ///< the attempt before was acknowledged and not found at read-back
  std::string identity;  ///< see EffectRequest
  std::string key;
  std::string scope;
  std::string actor;
  std::string since;                    ///< version before the first attempt, when known
  std::string reported;                 ///< version an earlier attempt was acknowledged with
  WallTime deadline = WallTime::max();  ///< nothing is sent after it, nothing waits beyond it
  std::vector<Observation> expected;    ///< of a try anew: what stood there when first looked at
  std::shared_ptr<const Intent> intent;
  /// Where workers carry attempts out: filled in with what one is to be handed; the report then
  /// holds the reads before it, and no outcome.
  std::shared_ptr<std::optional<std::string>> handed_over = {};
};

/// `may_begin` is asked right before the effect, after the reads before it: where it says no, the
/// effect was not sent.
[[nodiscard]] AttemptReport run_attempt(const Target& target, const AttemptJob& job, Clock& clock,
                                        const std::function<bool()>& may_begin);

/// The report of an attempt of which nothing left us.
[[nodiscard]] AttemptReport never_sent(AttemptNo attempt, std::string reason);

/// Of all its artifacts' contents.
[[nodiscard]] std::size_t bytes_of(const Intent& intent);

struct ReadJob {
  OperationId operation;
  AttemptNo attempt{1};
  std::string since;
  std::string reported;                        ///< version the effect was acknowledged with
  std::vector<std::uint32_t> store_artifacts;  ///< still wanted at the store
  std::vector<std::uint32_t> serving_artifacts;
  std::optional<WallTime> untouched_since;  ///< see HistoryRequest
  std::string identity;
  std::string key;
  std::string scope;
  std::string result;  ///< what the effect was answered with
  bool has_serving = false;
  std::shared_ptr<const Intent> intent;
};

/// Reads what has not matched yet; the serving level only once the store matches.
[[nodiscard]] ReadReport run_read(const Target& target, const ReadJob& job, Clock& clock);

}  // namespace trued
