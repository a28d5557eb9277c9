#include "core/cause.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "core/tells.h"
#include "core/verification.h"

namespace trued {
namespace {

constexpr std::array kActions{PersonAction::it_happened, PersonAction::it_did_not,
                              PersonAction::retry, PersonAction::cancel, PersonAction::compensate};
static_assert(kActions.size() == std::to_underlying(PersonAction::compensate) + 1U);
static_assert(kCauses == std::to_underlying(Cause::withdrawn) + 1U);

Cause cause_of_failure(const Operation& operation) {
  // What may have been sent fails only because the target or a person says that it did not happen.
  if (operation.sent && !operation.reason.starts_with(kAskedAndNo)) return Cause::refuted;
  if (ended_stale(operation)) return Cause::stale;
  if (operation.effect == EffectKind::rejected_final) return Cause::rejected;
  const bool late = operation.settled_at && *operation.settled_at >= operation.deadline;
  const bool too_long = operation.reason.starts_with(kWaitsTooLong);
  return late || too_long ? Cause::deadline : Cause::attempts_exhausted;
}

bool any_unreadable(const Operation& operation) {
  return std::ranges::any_of(operation.artifacts, [](const ArtifactState& artifact) {
    return artifact.store.verdict == Verdict::unreadable ||
           artifact.serving.verdict == Verdict::unreadable;
  });
}

Cause cause_of_doubt(const Operation& operation) {
  if (operation.reason.starts_with(kNotUndone)) return Cause::not_undone;
  if (overall_of(operation) == Overall::mismatch) return Cause::mismatch;
  return any_unreadable(operation) ? Cause::unreadable : Cause::unknown_outcome;
}

bool is_harmless(const Capabilities& capabilities) {
  return capabilities.idempotent || capabilities.deduplicates;
}

std::string effect_of_retry(const Operation& operation, const Policy& policy, WallTime now) {
  const Capabilities capabilities = capabilities_at(operation, policy, now);
  if (!operation.sent) {
    return "it is tried again within a new deadline; none of its attempts reached the target, and "
           "nothing is sent if another has written there since";
  }
  std::string text =
      "what stands there is read first, and nothing is sent if it is as meant; else ";
  const bool shown = cause_of(operation) == Cause::mismatch;
  if (shown && !safe_to_repeat(operation, capabilities)) {
    text += "what was shown is written over, provided that it still stands there";
  } else {
    text += "it is sent again";
  }
  return text + (is_harmless(capabilities)
                     ? ", which cannot make it happen twice at this target"
                     : ": if an earlier attempt happened after all, it happens twice");
}

std::string effect_of(PersonAction action, const Operation& operation, const Policy& policy,
                      WallTime now) {
  switch (action) {
    case PersonAction::it_happened:
      return "your word is recorded, it becomes acknowledged (never confirmed), and nothing is "
             "sent";
    case PersonAction::it_did_not:
      return "your word is recorded, it becomes failed, and nothing is sent or undone";
    case PersonAction::retry:
      return effect_of_retry(operation, policy, now);
    case PersonAction::cancel:
      return "it is withdrawn; it was never sent";
    case PersonAction::compensate:
      return "what its definition declares to undo it is carried out, once, and read back";
  }
  return {};
}

}  // namespace

std::optional<Cause> cause_of(const Operation& operation) {
  switch (operation.state) {
    case State::failed:
      return cause_of_failure(operation);
    case State::needs_action:
      return cause_of_doubt(operation);
    case State::canceled:
      return Cause::withdrawn;
    case State::accepted:
    case State::attempting:
    case State::unknown:
    case State::verifying:
    case State::confirmed:
    case State::unchanged:
    case State::acknowledged:
    case State::superseded:
    case State::compensating:
    case State::compensated:
      return std::nullopt;
  }
  return std::nullopt;
}

bool is_dead_letter(Cause cause) {
  switch (cause) {
    case Cause::attempts_exhausted:
    case Cause::deadline:
    case Cause::mismatch:
    case Cause::unreadable:
    case Cause::unknown_outcome:
      return true;
    case Cause::rejected:
    case Cause::stale:
    case Cause::refuted:
    case Cause::not_undone:
    case Cause::withdrawn:
      return false;
  }
  return false;
}

bool is_dead_letter(const Operation& operation) {
  const auto cause = cause_of(operation);
  TRUED_ASSERT(!cause || is_settled(operation.state));
  return cause && is_dead_letter(*cause);
}

WallTime ended_at(const Operation& operation) {
  // Repeats and late evidence leave updated_at as it was.
  return operation.settled_at.value_or(operation.updated_at);
}

std::optional<Refusal> why_not_unseen(const Operation& operation, const Policy& policy,
                                      WallTime now) {
  if (operation.state != State::needs_action) return std::nullopt;
  const Capabilities capabilities = capabilities_at(operation, policy, now);
  if (policy.irreversible) {
    return Refusal{.code = "irreversible",
                   .detail =
                       "its definition says that it cannot be taken back: look at it, then "
                       "decide about it by itself"};
  }
  if (!is_harmless(capabilities)) {
    return Refusal{.code = "may-have-happened",
                   .detail =
                       "an earlier attempt may have happened, and its target would do it "
                       "twice: look at it, then decide about it by itself"};
  }
  if (cause_of(operation) == Cause::mismatch && !safe_to_repeat(operation, capabilities)) {
    return Refusal{.code = "would-overwrite",
                   .detail =
                       "what stands there is neither what was there before nor what was "
                       "meant: look at it, then decide about it by itself"};
  }
  return std::nullopt;
}

std::vector<Choice> choices_of(const Operation& operation, const Policy& policy, WallTime now) {
  std::vector<Choice> choices;
  for (const PersonAction action : kActions) {
    const Decision decision =
        decide(operation, policy, PersonInput{.action = action, .who = {}, .why = {}},
               {.now = now, .entropy = 0});
    if (decision.refusal) continue;
    // What a person may do is recorded, and never an attempt of its own.
    TRUED_ASSERT(std::holds_alternative<PersonActed>(decision.events.front()));
    choices.push_back({.action = action,
                       .then = decision.after.state,
                       .effect = effect_of(action, operation, policy, now)});
  }
  return choices;
}

std::string without_numbers(std::string_view reason) {
  std::string text;
  for (const char c : reason) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) {
      text += c;
    } else if (!text.ends_with('#')) {
      text += '#';
    }
  }
  return text;
}

void Endings::add(const Operation& operation, const Event& event) {
  if (const auto* ended = std::get_if<EffectEnded>(&event)) attempt_reason_ = ended->reason;
  if (!std::holds_alternative<Settled>(event)) return;
  const auto cause = cause_of(operation);
  if (!cause || !is_dead_letter(*cause)) {
    *this = {};
    return;
  }
  // "gave up after 6 attempts: …" is the same end as after one.
  const bool failed = operation.state == State::failed;
  std::string reason = without_numbers(failed ? attempt_reason_ : operation.reason);
  const bool again = cause_ == cause && reason == reason_;
  same_ = again ? same_ + 1 : 1;
  cause_ = cause;
  reason_ = std::move(reason);
  TRUED_ASSERT(same_ > 0 && is_dead_letter(*cause_));
}

}  // namespace trued
