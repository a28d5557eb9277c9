#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "core/cause.h"
#include "core/deciding.h"
#include "core/retry.h"
#include "core/tells.h"
#include "core/verification.h"

namespace trued {
namespace {

// A report may take the effect's time and the reads around it.
constexpr std::int64_t kReportFactor = 2;

// No further attempt can be made: what was never sent failed, all else is a person's question.
void give_up_before_attempt(Deciding& deciding, std::string why) {
  const Operation& operation = deciding.operation();
  if (!operation.reason.empty()) why += ": " + operation.reason;
  if (!operation.sent) return settle(deciding, State::failed, std::move(why));
  settle(deciding, State::needs_action, "an earlier attempt may have happened; " + why);
}

std::uint32_t attempts_max(const Policy& policy) { return std::max(policy.retry.attempts_max, 1U); }

const SettlePolicy& settle_policy(const Operation& operation, const Policy& policy,
                                  Overall overall) {
  if (overall == Overall::unreadable) return policy.unreadable;
  if (overall == Overall::nothing_to_read) return policy.store;
  return differs_at_store(operation) ? policy.store : policy.serving;
}

// Rounds of reading that count against the bound of `settle_policy`: each kind has its own, so that
// a slow store leaves the serving level its time.
std::uint32_t settle_rounds(const Operation& operation, Overall overall) {
  if (overall == Overall::unreadable) return operation.unreadable_rounds;
  if (overall == Overall::nothing_to_read) return operation.reads_done;
  if (!differs_at_store(operation)) return operation.serving_rounds;
  return operation.reads_done - operation.unreadable_rounds - operation.serving_rounds;
}

bool may_settle(const Deciding& deciding, Overall overall) {
  const Operation& operation = deciding.operation();
  if (operation.reads_done == 0) return true;
  const Duration elapsed = deciding.now() - operation.effect_ended_at.value_or(deciding.now());
  return may_read_again(settle_policy(operation, deciding.policy(), overall),
                        settle_rounds(operation, overall), elapsed);
}

// A repeat that was turned away says nothing about the attempts before it. What follows is decided
// by reading, as after an unknown outcome; only a repeat that may be repeated itself waits first.
EffectKind effect_to_resolve(const Operation& operation, bool attempts_remain) {
  if (!operation.sent) return operation.effect;
  switch (operation.effect) {
    case EffectKind::rejected_final:
      return EffectKind::unknown;
    case EffectKind::rejected_retryable:
    case EffectKind::not_sent:
      return operation.reads_done == 0 && attempts_remain ? operation.effect : EffectKind::unknown;
    case EffectKind::none:
    case EffectKind::acknowledged:
    case EffectKind::unknown:
    case EffectKind::skipped:
      return operation.effect;
  }
  return operation.effect;
}

// A person has asked for another attempt, and none was made since.
bool asked_by_a_person(const Operation& operation) {
  return operation.sent && operation.attempts_counted == 0;
}

// Where repeating is not known to be harmless, a person's word takes its place; another's work is
// still not written over.
Capabilities capabilities_of(const Deciding& deciding) {
  const Operation& operation = deciding.operation();
  Capabilities capabilities = capabilities_at(operation, deciding.policy(), deciding.now());
  capabilities.idempotent = capabilities.idempotent || asked_by_a_person(operation);
  return capabilities;
}

// Nothing verifies it, and nothing there can be read (a command): no read could speak against it.
bool only_a_person_can_tell(const Operation& operation, Overall overall) {
  const bool looked = std::ranges::all_of(operation.artifacts, [](const ArtifactState& artifact) {
    return artifact.store.verdict.has_value();
  });
  return asked_by_a_person(operation) && !operation.verify && looked &&
         overall == Overall::unreadable;
}

VerificationFacts facts_of(const Deciding& deciding, Overall overall, const FollowMode& mode) {
  const Operation& operation = deciding.operation();
  const bool in_time = deciding.now() + mode.retry_after < operation.deadline;
  const bool within_bound = operation.effect == EffectKind::not_sent ||
                            operation.attempts_counted < attempts_max(deciding.policy());
  const bool refused = operation.sent && operation.effect == EffectKind::rejected_final;
  const bool attempts_remain = in_time && within_bound && !refused;
  const bool safe = safe_to_repeat(operation, capabilities_of(deciding));
  const auto says = probed(operation, deciding.policy().capabilities);
  const bool settled =
      mode.looked && (overall == Overall::mismatch || (says && *says != Happened::maybe));
  return {.effect = effect_to_resolve(operation, attempts_remain),
          .verify = operation.verify,
          .overall = overall,
          .superseded = proved_superseded(operation),
          .probed = says,
          .may_read_again = !settled && may_settle(deciding, overall),
          .safe = safe || (mode.as_shown && !operation.history.known),
          .attempts_remain = attempts_remain};
}

// Why the first unreadable artifact could not be read.
std::string describe_unreadable(const Operation& operation) {
  const auto why = [](const ArtifactState& artifact, const LevelCheck& check, Level level) {
    const std::string detail =
        check.last && !check.last->detail.empty() ? check.last->detail : "no reason was given";
    return "'" + artifact.meant.name + "' at the " + std::string(to_string(level)) +
           " level: " + detail;
  };
  for (const ArtifactState& artifact : operation.artifacts) {
    if (artifact.store.verdict == Verdict::unreadable) {
      return why(artifact, artifact.store, Level::store);
    }
    if (artifact.serving.verdict == Verdict::unreadable) {
      return why(artifact, artifact.serving, Level::serving);
    }
  }
  return "nothing was read";
}

std::string waiting_reason(const Operation& operation, Overall overall) {
  if (operation.reads_done == 0) return operation.reason;
  switch (overall) {
    case Overall::mismatch:
      return "read back, not there yet: " + describe_mismatch(operation);
    case Overall::unreadable:
      return "could not be read back yet: " + describe_unreadable(operation);
    case Overall::match:
    case Overall::nothing_to_read:
      return operation.reason;
  }
  return {};
}

void read_again(Deciding& deciding, Overall overall) {
  const Operation& operation = deciding.operation();
  const SettlePolicy& settling = settle_policy(operation, deciding.policy(), overall);
  // Nothing was read since the effect ended: the first read need not wait.
  const Duration wait =
      operation.reads_done == 0
          ? Duration{0}
          : settle_wait(settling, settle_rounds(operation, overall), deciding.entropy());
  deciding.record(WaitScheduled{.due_for = Due::read,
                                .due_at = deciding.now() + wait,
                                .reason = waiting_reason(operation, overall)});
}

// Names the lie behind an acknowledged mismatch, once for an attempt; an effect without an answer
// claimed nothing. What another writer did is noted in either case.
std::optional<Tell> catch_lie(Deciding& deciding, Overall overall) {
  const Operation& operation = deciding.operation();
  if (overall != Overall::mismatch) return std::nullopt;
  const AttemptNo attempt(operation.attempts);
  const Tell tell = name_tell(operation);
  if (operation.effect != EffectKind::acknowledged && tell != Tell::overwritten) {
    return std::nullopt;
  }
  if (!operation.tells.empty() && operation.tells.back().attempt == attempt) {
    const Tell before = operation.tells.back().tell;
    if (tell == before || tell != Tell::overwritten) return before;
  }
  TRUED_ASSERT(attempt.value() == operation.attempts);
  deciding.record(
      LieCaught{.attempt = attempt, .tell = tell, .detail = describe_mismatch(operation)});
  return tell;
}

// Attempts that never left us do not count against the bound, but they do lengthen the wait.
std::uint32_t failures_of(const Operation& operation) {
  if (operation.effect == EffectKind::not_sent) return operation.attempts;
  return std::max(operation.attempts_counted, 1U);
}

void attempt_again(Deciding& deciding, Overall overall, const FollowMode& mode) {
  // What cannot be read is never written again; what matches needs no other attempt.
  TRUED_ASSERT(overall == Overall::mismatch || overall == Overall::nothing_to_read);
  if (mode.looked) return start_attempt(deciding);
  const std::optional<Tell> tell = catch_lie(deciding, overall);
  const Operation& operation = deciding.operation();
  const Duration wait = backoff(deciding.policy().retry, failures_of(operation), mode.retry_after,
                                deciding.entropy());
  std::string reason =
      overall == Overall::mismatch ? describe_mismatch(operation) : operation.reason;
  if (tell) reason = std::string(to_string(*tell)) + ": " + reason;
  deciding.record(WaitScheduled{.due_for = Due::attempt,
                                .due_at = deciding.now() + wait,
                                .reason = "another attempt follows: " + reason});
}

void supersede(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  TRUED_ASSERT(proved_superseded(operation));
  std::string by;
  for (std::size_t i = 0; i < operation.artifacts.size() && by.empty(); ++i) {
    if (operation.artifacts.at(i).store.verdict == Verdict::mismatch) {
      by = operation.history.artifacts.at(i).replaced_by;
    }
  }
  TRUED_ASSERT(!by.empty());
  deciding.record(Settled{.state = State::superseded,
                          .reason = "it landed, and a later writer replaced it: " + by,
                          .tell = {},
                          .superseded_by = by});
}

// How the last attempt ended, where that is part of the question.
std::string_view preamble(EffectKind effect) {
  switch (effect) {
    case EffectKind::acknowledged:
    case EffectKind::skipped:
      return "";
    case EffectKind::none:
    case EffectKind::unknown:
      return "no answer came; ";
    case EffectKind::rejected_retryable:
    case EffectKind::rejected_final:
    case EffectKind::not_sent:
      return "the last attempt was turned away, one before it may have happened; ";
  }
  return "";
}

// Why a person's wish to try again was not carried out.
std::string question_again(const Operation& operation, Overall overall) {
  switch (overall) {
    case Overall::mismatch:
      return "nothing was sent: what stands there is not what was shown when it was asked to be "
             "tried again: " +
             describe_mismatch(operation);
    case Overall::unreadable:
      return "nothing was sent: it could not be read what stands there now: " +
             describe_unreadable(operation);
    case Overall::match:
    case Overall::nothing_to_read:
      break;
  }
  return "nothing was sent: the target could not be asked whether it happened: " + operation.reason;
}

std::string question(const Operation& operation, Overall overall) {
  if (asked_by_a_person(operation)) return question_again(operation, overall);
  const std::string before(preamble(operation.effect));
  switch (overall) {
    case Overall::mismatch:
      return before + describe_mismatch(operation);
    case Overall::unreadable:
      return before + "unverified: it could not be read back within the bound: " +
             describe_unreadable(operation);
    case Overall::match:
    case Overall::nothing_to_read:
      break;
  }
  return before + "it may or may not have happened: " + operation.reason;
}

void ask_person(Deciding& deciding, Overall overall) {
  const std::optional<Tell> tell = catch_lie(deciding, overall);
  deciding.record(Settled{.state = State::needs_action,
                          .reason = question(deciding.operation(), overall),
                          .tell = tell,
                          .superseded_by = {}});
}

void fail(Deciding& deciding, Duration retry_after) {
  const Operation& operation = deciding.operation();
  if (operation.sent) {
    TRUED_ASSERT(probed(operation, deciding.policy().capabilities) == Happened::no);
    return settle(deciding, State::failed,
                  std::string(kAskedAndNo) + "; last: " + operation.reason);
  }
  const bool final = operation.effect == EffectKind::rejected_final;
  const bool late = deciding.now() >= operation.deadline;
  const bool too_long = deciding.now() + retry_after >= operation.deadline;
  const std::string tried = std::to_string(operation.attempts) + " attempt" +
                            (operation.attempts == 1 ? "" : "s") + ": " + operation.reason;
  settle(deciding, State::failed,
         final  ? operation.reason
         : late ? "its deadline passed after " + tried
         : too_long
             ? std::string(kWaitsTooLong) + " the target wants to be asked again, after " + tried
             : "gave up after " + tried);
}

void acknowledge(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  const bool told = operation.effect == EffectKind::acknowledged;
  const bool probe = !told && operation.artifacts.empty();
  settle(deciding, State::acknowledged,
         std::string(told    ? "the target said yes"
                     : probe ? "the target was asked, and it happened"
                             : "it was found in place") +
             (operation.verify ? "; it has nothing that could be read back"
                               : "; this operation opted out of verification"));
}

}  // namespace

void settle(Deciding& deciding, State state, std::string reason) {
  TRUED_ASSERT(is_settled(state));
  deciding.record(
      Settled{.state = state, .reason = std::move(reason), .tell = {}, .superseded_by = {}});
}

void start_attempt(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  if (deciding.now() >= operation.deadline) {
    return give_up_before_attempt(deciding, "the deadline passed before another attempt");
  }
  if (operation.attempts_counted >= attempts_max(deciding.policy())) {
    return give_up_before_attempt(deciding, "no attempts remain");
  }
  const bool first = !operation.sent;
  const bool anew = first && operation.attempts > 0 && operation.attempts_counted == 0;
  TRUED_ASSERT(deciding.now() < operation.deadline);
  TRUED_ASSERT(operation.attempts_counted < attempts_max(deciding.policy()));
  const AttemptNo attempt(operation.attempts + 1);
  deciding.record(AttemptStarted{.attempt = attempt,
                                 .report_by = deciding.now() +
                                              deciding.policy().effect_timeout * kReportFactor +
                                              deciding.policy().report_slack});
  deciding.act(RunAttempt{.attempt = attempt, .first = first, .anew = anew});
}

void follow(Deciding& deciding, const FollowMode& mode) {
  const Overall overall = overall_of(deciding.operation());
  if (mode.looked && only_a_person_can_tell(deciding.operation(), overall)) {
    return start_attempt(deciding);
  }
  const VerificationFacts facts = facts_of(deciding, overall, mode);
  TRUED_ASSERT(!facts.superseded || overall == Overall::mismatch);
  // A repeat that was turned away for good says nothing of the attempts before it.
  TRUED_ASSERT(facts.effect != EffectKind::rejected_final || !deciding.operation().sent);
  const bool turned_away =
      facts.effect == EffectKind::rejected_retryable || facts.effect == EffectKind::not_sent;
  switch (decide_follow(facts)) {
    case Follow::confirm:
      return settle(deciding, State::confirmed);
    case Follow::acknowledge:
      return acknowledge(deciding);
    case Follow::read_again:
      return read_again(deciding, overall);
    case Follow::attempt_again:
      return attempt_again(deciding, turned_away ? Overall::nothing_to_read : overall, mode);
    case Follow::supersede:
      return supersede(deciding);
    case Follow::fail:
      return fail(deciding, mode.retry_after);
    case Follow::ask_person:
      return ask_person(deciding, overall);
  }
}

}  // namespace trued
