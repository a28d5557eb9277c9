#include <algorithm>
#include <functional>
#include <utility>

#include "base/assert.h"
#include "base/overloaded.h"
#include "core/cause.h"
#include "core/deciding.h"
#include "core/operation.h"
#include "core/verification.h"

namespace trued {
namespace {

// Reads of artifacts or levels that are none of the operation's are dropped.
std::vector<Observation> usable(const Operation& operation, std::vector<Observation> reads) {
  std::erase_if(reads, [&](const Observation& read) {
    return read.artifact >= operation.artifacts.size() ||
           (read.level == Level::serving && !operation.has_serving);
  });
  return reads;
}

// A history of other artifacts than ours is none.
History usable(const Operation& operation, History history) {
  if (history.known && history.artifacts.size() != operation.artifacts.size()) return {};
  return history;
}

// What was found before is not forgotten because it cannot be read now.
std::vector<Observation> worth_keeping(const Operation& operation,
                                       std::vector<Observation> baseline) {
  std::erase_if(baseline, [&](const Observation& read) {
    const ArtifactState& artifact = operation.artifacts.at(read.artifact);
    const auto& known =
        read.level == Level::store ? artifact.store.baseline : artifact.serving.baseline;
    return read.seen == Seen::unreadable && known && known->seen != Seen::unreadable;
  });
  return baseline;
}

// True when `reads` show every artifact as meant, at every level that it is held to.
bool all_hold(const Operation& operation, const std::vector<Observation>& reads) {
  std::vector<bool> at_store(operation.artifacts.size());
  std::vector<bool> served(operation.artifacts.size(), !operation.has_serving);
  for (const Observation& read : reads) {
    if (judge(operation.artifacts.at(read.artifact).meant, read) != Verdict::match) return false;
    (read.level == Level::store ? at_store : served).at(read.artifact) = true;
  }
  const auto all = [](const std::vector<bool>& seen) {
    return std::ranges::all_of(seen, std::identity{});
  };
  return !operation.artifacts.empty() && all(at_store) && all(served);
}

// What a connector says of an attempt, held to what it can know: "nothing needed doing" is believed
// only beside reads that show it, and a report without an outcome is no answer.
EffectEnded ended_as_known(const Operation& operation, const AttemptReport& report,
                           const std::vector<Observation>& baseline) {
  EffectEnded ended = report.effect;
  ended.attempt = report.attempt;
  if (ended.kind == EffectKind::none) {
    ended.kind = EffectKind::unknown;
    ended.reason = "the attempt ended without an outcome";
  }
  if (ended.kind == EffectKind::skipped && !all_hold(operation, baseline)) {
    ended.kind = EffectKind::acknowledged;
    ended.changed = false;
  }
  // What changed nothing made no version; the one that an earlier attempt made stays the evidence.
  if (ended.kind == EffectKind::acknowledged && !ended.changed && !operation.version.empty()) {
    ended.version = operation.version;
  }
  TRUED_ASSERT(ended.kind != EffectKind::none && ended.attempt == report.attempt);
  return ended;
}

bool seen_to_have_happened(const Operation& operation) {
  if (operation.history.known && operation.history.ours_present) return true;
  return !operation.artifacts.empty() &&
         std::ranges::all_of(operation.artifacts, [](const ArtifactState& artifact) {
           return artifact.store.verdict == Verdict::match;
         });
}

// What was undone is done after all: whether before or after the undoing, nobody knows. Unless it
// had been seen there before, and just the answer comes late.
bool lands_after_undoing(const Operation& operation, const AttemptReport& report) {
  const bool undone =
      operation.state == State::compensating || operation.state == State::compensated;
  return undone && operation.effect == EffectKind::unknown && !seen_to_have_happened(operation) &&
         report.effect.kind == EffectKind::acknowledged;
}

void after_undoing(Deciding& deciding, const AttemptReport& report) {
  TRUED_ASSERT(lands_after_undoing(deciding.operation(), report));
  const bool done = deciding.operation().state == State::compensated;
  const std::string by = deciding.operation().superseded_by;
  deciding.record(ended_as_known(deciding.operation(), report, {}));
  deciding.record(
      Settled{.state = State::needs_action,
              .reason = std::string(kNotUndone) + "the target acknowledged it only " +
                        (done ? "after it had been undone by " + by : "while it was being undone") +
                        ": see what stands there",
              .tell = {},
              .superseded_by = {}});
}

void on_report(Deciding& deciding, const AttemptReport& report) {
  const Operation& operation = deciding.operation();
  const bool newest = report.attempt.value() == operation.attempts;
  const bool late = operation.state != State::attempting;
  // Late, only a yes says more than what is known; and not while a person has it tried anew.
  const bool current =
      newest && waits_for_answer(operation) &&
      (!late || (report.effect.kind == EffectKind::acknowledged && operation.attempts_counted > 0));
  if (newest && lands_after_undoing(operation, report)) return after_undoing(deciding, report);
  if (!current) {
    deciding.record(LateEvidence{
        .attempt = report.attempt, .kind = report.effect.kind, .detail = report.effect.reason});
    return;
  }
  TRUED_ASSERT(report.attempt.value() == operation.attempts && waits_for_answer(operation));
  std::vector<Observation> baseline = usable(operation, report.baseline);
  std::vector<Observation> reads = usable(operation, report.reads);
  const EffectEnded ended = ended_as_known(operation, report, baseline);
  const bool skipped = ended.kind == EffectKind::skipped;
  std::vector<Observation> found = worth_keeping(operation, baseline);
  if (!found.empty()) deciding.record(BaselineRead{std::move(found)});
  deciding.record(ended);
  if (skipped && !operation.sent && operation.verify) {
    return settle(deciding, State::unchanged, "what was intended already held; nothing was sent");
  }
  // Nothing was sent after these reads: they say what an earlier attempt came to.
  if (skipped) reads = std::move(baseline);
  History history = usable(operation, report.history);
  if (!reads.empty() || history.known) {
    deciding.record(ReadBack{
        .attempt = report.attempt, .reads = std::move(reads), .history = std::move(history)});
  }
  follow(deciding, {.retry_after = report.retry_after, .looked = false, .as_shown = false});
}

void on_read(Deciding& deciding, const ReadReport& report) {
  const Operation& operation = deciding.operation();
  const bool open = operation.state == State::verifying || operation.state == State::unknown;
  const bool looked =
      operation.due_for == Due::attempt && operation.due_at && deciding.now() >= *operation.due_at;
  const bool current = open && (operation.due_for == Due::read || looked) &&
                       report.attempt.value() == operation.attempts;
  if (!current) {
    deciding.record(LateEvidence{.attempt = report.attempt,
                                 .kind = EffectKind::none,
                                 .detail = "a read-back that was no longer waited for"});
    return;
  }
  std::vector<Observation> reads = usable(operation, report.reads);
  const bool as_shown = looked && still_as_shown(operation, reads);
  deciding.record(ReadBack{.attempt = report.attempt,
                           .reads = std::move(reads),
                           .history = usable(operation, report.history)});
  follow(deciding, {.retry_after = {}, .looked = looked, .as_shown = as_shown});
}

// Something can be asked before another attempt.
bool can_look(const Deciding& deciding) {
  return !deciding.operation().artifacts.empty() || deciding.policy().capabilities.probes;
}

// A person's retry of what may have been sent: first it is read what stands there now.
void look_first(Deciding& deciding) {
  deciding.record(WaitScheduled{.due_for = Due::attempt,
                                .due_at = deciding.now(),
                                .reason = "what stands there is read before another attempt"});
  if (!can_look(deciding)) return start_attempt(deciding);
  deciding.act(RunRead{AttemptNo(deciding.operation().attempts)});
}

void on_start(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  if (operation.state == State::unknown && operation.due_for == Due::start) {
    return look_first(deciding);
  }
  if (operation.state != State::accepted) return;
  const bool backing_off =
      operation.due_for == Due::attempt && operation.due_at && deciding.now() < *operation.due_at;
  if (backing_off) return;
  if (operation.not_before && deciding.now() < *operation.not_before) {
    deciding.record(WaitScheduled{.due_for = Due::start,
                                  .due_at = *operation.not_before,
                                  .reason = "not before the time it asked for"});
    return;
  }
  start_attempt(deciding);
}

// Where an attempt may have reached the target, its artifacts are read right before the next one.
void on_attempt_due(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  if (!operation.sent || !can_look(deciding)) return start_attempt(deciding);
  deciding.act(RunRead{AttemptNo(operation.attempts)});
}

// An attempt that ended without a report: where workers carry attempts out, what was never handed
// to one never left us.
EffectEnded ended_in_silence(const Deciding& deciding, std::string_view never_left,
                             std::string_view silent) {
  const Operation& operation = deciding.operation();
  const bool leased = is_leased(operation);
  const bool kept = deciding.policy().lease.count() > 0 && !leased;
  std::string reason(kept ? never_left : silent);
  if (leased) {
    reason = std::string(kLeaseRanOut) + " without a word; it was " + operation.reason;
  }
  return EffectEnded{.attempt = AttemptNo(operation.attempts),
                     .kind = kept ? EffectKind::not_sent : EffectKind::unknown,
                     .changed = false,
                     .version = {},
                     .version_before = {},
                     .result = {},
                     .reason = std::move(reason)};
}

void on_timer(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  if (operation.due_at && deciding.now() < *operation.due_at) return;
  if (operation.state == State::compensating) return deciding.act(RunUndo{});
  switch (operation.due_for) {
    case Due::none:
      return;
    case Due::start:
      return on_start(deciding);
    case Due::attempt:
      return on_attempt_due(deciding);
    case Due::report:
      deciding.record(ended_in_silence(deciding, "it was not handed to a worker in time",
                                       "no answer within the time an attempt may take"));
      return follow(deciding, {});
    case Due::read:
      return deciding.act(RunRead{AttemptNo(operation.attempts)});
  }
}

void on_recover(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  if (operation.state == State::compensating) return deciding.act(RunUndo{});
  if (operation.state != State::attempting || is_leased(operation)) return;
  if (deciding.policy().lease.count() > 0) {
    deciding.record(ended_in_silence(deciding, "the process ended before it was handed to a worker",
                                     std::string_view()));
  } else {
    deciding.record(Recovered{AttemptNo(operation.attempts)});
  }
  follow(deciding, {});
}

void on_heartbeat(Deciding& deciding, const Heartbeat& beat) {
  const Operation& operation = deciding.operation();
  const Duration lease = deciding.policy().lease;
  const auto lost = [&](const std::string& why) {
    deciding.refuse("lease-lost", "attempt " + std::to_string(beat.attempt.value()) + " " + why +
                                      ": stop working on it; what is still found out of it can be "
                                      "told by completing it");
  };
  if (beat.attempt.value() != operation.attempts) {
    return lost("is not the current one, which is " + std::to_string(operation.attempts));
  }
  if (operation.state != State::attempting) {
    return lost("does not run any more, the operation is " +
                std::string(to_string(operation.state)));
  }
  const bool handed_out = is_leased(operation);
  // Whoever is told yes goes by his own clock, and by a whole lease.
  if (lease.count() == 0 || deciding.now() > operation.deadline) {
    return lost(lease.count() > 0 ? "has no time left, its deadline has passed"
                                  : "is not carried out by workers");
  }
  std::vector<Observation> found = worth_keeping(operation, usable(operation, beat.baseline));
  if (!handed_out && !found.empty()) deciding.record(BaselineRead{std::move(found)});
  const WallTime whole = deciding.now() + lease;
  if (handed_out && operation.due_at && whole <= *operation.due_at) return;
  const WallTime until = std::min(whole + lease / kLeaseAhead, operation.deadline + lease);
  deciding.record(WaitScheduled{
      .due_for = Due::report, .due_at = until, .reason = "leased by worker '" + beat.worker + "'"});
}

void on_person_retry(Deciding& deciding, const PersonInput& input) {
  const Operation& operation = deciding.operation();
  const bool possible = operation.state == State::failed || operation.state == State::needs_action;
  if (!possible) {
    return deciding.refuse("not-retryable",
                           "only a failed operation or one that needs action can "
                           "be tried again; this one is " +
                               std::string(to_string(operation.state)));
  }
  if (operation.reason.starts_with(kNotUndone)) {
    return deciding.refuse("not-retryable",
                           "it happened, and could not be undone: have it undone again "
                           "(compensate), or say that it happened");
  }
  if (operation.on_failure == OnFailure::poison) {
    return deciding.refuse("not-retryable",
                           "its definition says on_failure = \"poison\": submit "
                           "a new operation under a new key");
  }
  const WallTime start = std::max(deciding.now(), operation.not_before.value_or(deciding.now()));
  deciding.record(PersonActed{.action = input.action,
                              .who = input.who,
                              .why = input.why,
                              .deadline = start + deciding.policy().deadline});
  deciding.record(WaitScheduled{.due_for = Due::start,
                                .due_at = deciding.now(),
                                .reason = "asked to be tried again by " + input.who});
}

void on_person_verdict(Deciding& deciding, const PersonInput& input, State state) {
  const Operation& operation = deciding.operation();
  if (operation.state != State::needs_action) {
    return deciding.refuse("not-resolvable",
                           "only an operation that needs action is decided by a "
                           "person; this one is " +
                               std::string(to_string(operation.state)));
  }
  deciding.record(
      PersonActed{.action = input.action, .who = input.who, .why = input.why, .deadline = {}});
  const std::string verdict =
      state == State::failed ? " says that it did not happen" : " says that it happened";
  settle(deciding, state, input.who + verdict + (input.why.empty() ? "" : ": " + input.why));
}

void on_person_cancel(Deciding& deciding, const PersonInput& input) {
  const Operation& operation = deciding.operation();
  if (operation.state != State::accepted || operation.sent) {
    return deciding.refuse(
        "not-cancelable",
        "only what was never sent can be withdrawn; this operation is " +
            std::string(to_string(operation.state)) +
            (operation.sent ? " and an attempt may have reached the target" : ""));
  }
  deciding.record(
      PersonActed{.action = input.action, .who = input.who, .why = input.why, .deadline = {}});
  settle(deciding, State::canceled,
         "withdrawn by " + input.who + (input.why.empty() ? "" : ": " + input.why));
}

void on_person_compensate(Deciding& deciding, const PersonInput& input) {
  const State state = deciding.operation().state;
  if (!may_compensate(state)) {
    return deciding.refuse(
        "not-compensable",
        state == State::unchanged
            ? "nothing of it was sent: what it meant held already"
            : "only what happened, or may have, can be undone; this operation is " +
                  std::string(to_string(state)));
  }
  if (!deciding.policy().compensable) {
    return deciding.refuse("not-compensable",
                           "'" + deciding.operation().definition +
                               (deciding.policy().irreversible ? "' is irreversible and" : "'") +
                               " declares no compensation: undo it at the target, or write what "
                               "should stand there instead");
  }
  deciding.record(
      PersonActed{.action = input.action, .who = input.who, .why = input.why, .deadline = {}});
  deciding.act(RunUndo{});
}

void on_undone(Deciding& deciding, const UndoReport& report) {
  if (deciding.operation().state != State::compensating) return;
  if (report.later) {
    constexpr Duration kAgain{5'000};
    return deciding.record(WaitScheduled{.due_for = Due::start,
                                         .due_at = deciding.now() + kAgain,
                                         .reason = "is to be undone: " + report.reason});
  }
  deciding.record(Settled{.state = report.done ? State::compensated : State::needs_action,
                          .reason = (report.done ? "" : std::string(kNotUndone)) + report.reason,
                          .tell = {},
                          .superseded_by = report.done ? report.by : std::string()});
}

void on_person(Deciding& deciding, const PersonInput& input) {
  if (input.as_of && *input.as_of != deciding.operation().updated_at) {
    return deciding.refuse("moved", "it has moved since it was looked at: it is " +
                                        std::string(to_string(deciding.operation().state)) +
                                        " now");
  }
  switch (input.action) {
    case PersonAction::it_happened:
      return on_person_verdict(deciding, input, State::acknowledged);
    case PersonAction::it_did_not:
      return on_person_verdict(deciding, input, State::failed);
    case PersonAction::retry:
      return on_person_retry(deciding, input);
    case PersonAction::cancel:
      return on_person_cancel(deciding, input);
    case PersonAction::compensate:
      return on_person_compensate(deciding, input);
  }
}

static_assert(std::variant_size_v<Action> == 3, "say in assert_allowed() what allows the new one");

// ---- What every decision keeps, whatever the operation, the policy and the input were

/// The operation as decide() was given it, as far as it is compared with what came of it.
struct Before {
  OperationId id;
  State state;
  bool sent;
  std::uint32_t attempts;
  std::uint32_t events;
  std::size_t artifacts;
  std::size_t tells;
  WallTime updated_at;
};

Before before_of(const Operation& operation) {
  return {.id = operation.id,
          .state = operation.state,
          .sent = operation.sent,
          .attempts = operation.attempts,
          .events = operation.events,
          .artifacts = operation.artifacts.size(),
          .tells = operation.tells.size(),
          .updated_at = operation.updated_at};
}

void assert_allowed(const Decision& decision, const RunAttempt& action, const Input& input) {
  // An attempt begins in its turn, at its time, or after the look that allows it; no report, no
  // person and no restart sends anything by itself.
  TRUED_ASSERT(std::holds_alternative<Start>(input) || std::holds_alternative<TimerDue>(input) ||
               std::holds_alternative<ReadReport>(input));
  TRUED_ASSERT(decision.after.state == State::attempting);
  TRUED_ASSERT(action.attempt.value() == decision.after.attempts);
  TRUED_ASSERT(action.first == !decision.after.sent);
  TRUED_ASSERT(action.first || !action.anew);
  TRUED_ASSERT(std::holds_alternative<AttemptStarted>(decision.events.back()));
}

void assert_allowed(const Decision& decision, const RunRead& action, const Input& input) {
  TRUED_ASSERT(action.attempt.value() == decision.after.attempts);
  TRUED_ASSERT(std::holds_alternative<Start>(input) || std::holds_alternative<TimerDue>(input));
}

void assert_allowed(const Decision& decision, const RunUndo&, const Input&) {
  TRUED_ASSERT(decision.after.state == State::compensating);
}

// Invariant (4) of operation.h, of whatever has just moved.
void assert_waits_for_something(const Operation& operation) {
  switch (operation.state) {
    case State::attempting:
      TRUED_ASSERT(operation.due_for == Due::report && operation.due_at.has_value());
      return;
    case State::unknown:
    case State::verifying:
      TRUED_ASSERT(operation.due_for == Due::start || operation.due_for == Due::attempt ||
                   operation.due_for == Due::read);
      TRUED_ASSERT(operation.due_at.has_value());
      return;
    case State::accepted:
      TRUED_ASSERT(operation.due_for == Due::start || operation.due_for == Due::attempt);
      TRUED_ASSERT(operation.due_at.has_value());
      return;
    case State::compensating:
      TRUED_ASSERT(operation.due_for == Due::none || operation.due_for == Due::start);
      return;
    case State::confirmed:
    case State::unchanged:
    case State::acknowledged:
    case State::superseded:
    case State::failed:
    case State::needs_action:
    case State::compensated:
    case State::canceled:
      TRUED_ASSERT(operation.due_for == Due::none && !operation.due_at);
      return;
  }
}

void assert_sound(const Before& before, const Decision& decision, const Input& input) {
  const Operation& after = decision.after;
  TRUED_ASSERT(after.id == before.id && after.artifacts.size() == before.artifacts);
  TRUED_ASSERT(after.events - before.events == static_cast<std::uint32_t>(decision.events.size()));
  TRUED_ASSERT(after.attempts - before.attempts <= 1 && after.tells.size() - before.tells <= 1);
  TRUED_ASSERT(after.sent || !before.sent);
  TRUED_ASSERT(decision.actions.size() <= 1);
  for (const Action& action : decision.actions) {
    std::visit([&](const auto& one) { assert_allowed(decision, one, input); }, action);
  }
  if (decision.events.empty()) {
    TRUED_ASSERT(after.state == before.state && after.updated_at == before.updated_at);
    return;
  }
  TRUED_ASSERT(!decision.refusal);
  const Event& last = decision.events.back();
  if (std::holds_alternative<LateEvidence>(last)) {
    TRUED_ASSERT(decision.events.size() == 1 && decision.actions.empty());
    TRUED_ASSERT(after.state == before.state && after.updated_at == before.updated_at);
    return;
  }
  assert_waits_for_something(after);
  if (!is_settled(after.state)) return;
  TRUED_ASSERT(std::holds_alternative<Settled>(last) && decision.actions.empty());
  // Invariant (7).
  TRUED_ASSERT(after.state != State::failed || !after.sent ||
               after.reason.starts_with(kAskedAndNo) || std::holds_alternative<PersonInput>(input));
}

}  // namespace

Decision decide(Operation operation, const Policy& policy, const Input& input,
                const DecideContext& context) {
  const Before before = before_of(operation);
  Deciding deciding(std::move(operation), policy, context);
  std::visit(Overloaded{
                 [&](const Start&) { on_start(deciding); },
                 [&](const AttemptReport& report) { on_report(deciding, report); },
                 [&](const ReadReport& report) { on_read(deciding, report); },
                 [&](const TimerDue&) { on_timer(deciding); },
                 [&](const Recover&) { on_recover(deciding); },
                 [&](const PersonInput& person) { on_person(deciding, person); },
                 [&](const UndoReport& report) { on_undone(deciding, report); },
                 [&](const Heartbeat& beat) { on_heartbeat(deciding, beat); },
             },
             input);
  Decision decision = deciding.take();
  assert_sound(before, decision, input);
  return decision;
}

}  // namespace trued
