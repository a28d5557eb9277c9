// deciding.h: the decision in the making, and the two steps that inputs share: what follows from
// what is known (follow), and the next attempt (start_attempt). Private to src/core.
//
// Invariant: operation() is always the fold of the events recorded so far.
// Pure; one decision at a time; refers to the policy and context of the caller.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/operation.h"
#include "core/policy.h"

namespace trued {

// Collects the events of one decision and keeps the operation in step with them.
class Deciding {
 public:
  Deciding(Operation operation, const Policy& policy, const DecideContext& context)
      : policy_(policy), context_(context) {
    decision_.after = std::move(operation);
  }

  const Operation& operation() const { return decision_.after; }
  const Policy& policy() const { return policy_; }
  WallTime now() const { return context_.now; }
  std::uint64_t entropy() const { return context_.entropy; }

  void record(Event event) {
    evolve(decision_.after, event, context_.now);
    decision_.events.push_back(std::move(event));
  }
  void act(Action action) { decision_.actions.push_back(action); }
  void refuse(std::string code, std::string detail) {
    decision_.refusal = Refusal{std::move(code), std::move(detail)};
  }
  Decision take() { return std::move(decision_); }

 private:
  Decision decision_;
  const Policy& policy_;
  const DecideContext& context_;
};

// What led to a look at the verdicts.
struct FollowMode {
  Duration retry_after{};  ///< the target's own wish; 0 = none
  bool looked = false;     ///< read right before another attempt, after all settling
  bool as_shown = false;   ///< a person has it tried again, and what was shown then still stands
};

/// Ends the operation's open life in `state`.
void settle(Deciding& deciding, State state, std::string reason = {});

/// Starts the next attempt, or gives up where the deadline or the bound forbids it. REQUIRES: it is
/// safe: nothing was sent before, or a read right before allows it, or a person asked for it.
void start_attempt(Deciding& deciding);

/// Decides by the table of verification.h and records what follows.
void follow(Deciding& deciding, const FollowMode& mode);

}  // namespace trued
