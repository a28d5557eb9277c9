#include "core/cause.h"
#include "core/operation.h"
#include "core/tells.h"

namespace trued {
namespace {

NextStep waiting(const Operation& operation) {
  std::string detail = operation.reason.empty()
                           ? "it is being carried out; ask again or submit the same key again"
                           : operation.reason;
  // Who waits for its turn is called when it comes; its deadline is no time to ask again.
  const bool queued = operation.due_for == Due::start && operation.due_at == operation.deadline;
  return {NextAction::wait, std::move(detail), queued ? std::nullopt : operation.due_at};
}

NextStep after_failure(const Operation& operation) {
  if (ended_stale(operation) && !stale_precondition(operation)) {
    // The base is part of the request: as it stands, it can only fail again.
    return {NextAction::none,
            "it did not happen: what it was based on has changed; look at what stands there now, "
            "and submit again under a new key (with its version as 'base', where there is one)",
            std::nullopt};
  }
  switch (operation.on_failure) {
    case OnFailure::replay:
      return {NextAction::retry, "it did not happen; mend the cause, then retry the operation",
              std::nullopt};
    case OnFailure::reexecute:
      return {NextAction::retry,
              "it did not happen; mend the cause, then retry it or submit the same key again",
              std::nullopt};
    case OnFailure::poison:
      // This operation can never be retried: no program may read "retry" here.
      return {NextAction::none, "it did not happen; submit it under a new key", std::nullopt};
  }
  return {NextAction::contact, "", std::nullopt};
}

}  // namespace

NextStep next_step(const Operation& operation) {
  switch (operation.state) {
    case State::accepted:
    case State::attempting:
    case State::unknown:
    case State::verifying:
    case State::compensating:
      return waiting(operation);
    case State::confirmed:
    case State::unchanged:
    case State::compensated:
    case State::canceled:
      return {NextAction::none, "", std::nullopt};
    case State::acknowledged:
      return {NextAction::none, "nobody has read it back; check it where it is consumed",
              std::nullopt};
    case State::superseded:
      return {NextAction::none,
              "a later writer's content stands; submit again under a new key to put yours on top",
              std::nullopt};
    case State::failed:
      return after_failure(operation);
    case State::needs_action:
      if (operation.reason.starts_with(kNotUndone)) {
        return {NextAction::decide,
                "it happened, and could not be undone: mend the cause and have it undone again, or "
                "say that it happened",
                std::nullopt};
      }
      return {NextAction::decide,
              operation.on_failure == OnFailure::poison
                  ? "look at the evidence and say that it happened or that it did not"
                  : "look at the evidence and say that it happened, that it did not, or retry it",
              std::nullopt};
  }
  return {NextAction::contact, "", std::nullopt};
}

}  // namespace trued
