#include "core/operation.h"

#include "base/assert.h"
#include "base/overloaded.h"
#include "core/verification.h"

namespace trued {
namespace {

LevelCheck& check_at(ArtifactState& artifact, Level level) {
  return level == Level::store ? artifact.store : artifact.serving;
}

void forget_verdict(LevelCheck& check) {
  check.verdict.reset();
  check.reads = 0;
  check.replicas_disagreed = false;
}

bool replicas_differ(const Observation& before, const Observation& now) {
  if (before.seen == Seen::unreadable || now.seen == Seen::unreadable) return false;
  if (before.served_by.empty() || now.served_by.empty()) return false;
  const bool same = before.seen == now.seen && before.id == now.id;
  return before.served_by != now.served_by && !same;
}

void take_read(Operation& operation, const Observation& read) {
  ArtifactState& artifact = operation.artifacts.at(read.artifact);
  LevelCheck& check = check_at(artifact, read.level);
  if (check.reads > 0 && check.last && replicas_differ(*check.last, read)) {
    check.replicas_disagreed = true;
  }
  check.verdict = judge(artifact.meant, read);
  check.last = read;
  ++check.reads;
  TRUED_ASSERT((check.verdict == Verdict::unreadable) == (read.seen == Seen::unreadable));
}

void clear_due(Operation& operation) {
  operation.due_for = Due::none;
  operation.due_at.reset();
}

void fold(Operation& operation, const AttemptStarted& event) {
  operation.state = State::attempting;
  operation.attempts = event.attempt.value();
  ++operation.attempts_counted;
  operation.effect = EffectKind::none;
  operation.reads_done = 0;
  operation.unreadable_rounds = 0;
  operation.serving_rounds = 0;
  operation.effect_ended_at.reset();
  operation.history = {};
  operation.reason.clear();
  operation.due_for = Due::report;
  operation.due_at = event.report_by;
  for (ArtifactState& artifact : operation.artifacts) {
    forget_verdict(artifact.store);
    forget_verdict(artifact.serving);
  }
}

void fold(Operation& operation, const BaselineRead& event) {
  for (const Observation& read : event.reads) {
    check_at(operation.artifacts.at(read.artifact), read.level).baseline = read;
  }
}

// ---- What can follow what
// -------------------------------------------------------------------------

using Contradiction = std::optional<std::string_view>;

Contradiction against(const Operation& operation, const AttemptStarted& event) {
  if (is_settled(operation.state)) return "an attempt of an operation that has settled";
  if (operation.state == State::attempting) return "an attempt while another runs";
  if (event.attempt.value() != operation.attempts + 1) return "attempts that are not numbered on";
  return {};
}

Contradiction against(const Operation& operation, const std::vector<Observation>& reads) {
  for (const Observation& read : reads) {
    if (read.artifact >= operation.artifacts.size()) return "a read of an artifact it has not";
  }
  return {};
}

Contradiction against_running(const Operation& operation, AttemptNo attempt) {
  const bool undone =
      operation.state == State::compensating || operation.state == State::compensated;
  const bool late = undone && operation.effect == EffectKind::unknown;
  if (!waits_for_answer(operation) && !late) return "the end of an attempt, and none runs";
  if (attempt.value() != operation.attempts)
    return "the end of another attempt than the one running";
  return {};
}

Contradiction against(const Operation& operation, const Settled& event) {
  if (!is_settled(event.state)) return "an end in a state that is no end";
  if (event.state == State::confirmed && overall_of(operation) != Overall::match) {
    return "confirmed, and no read-back says so";
  }
  const bool verified = event.state == State::confirmed || event.state == State::unchanged;
  if (verified && !operation.verify) return "called verified without verification";
  if (event.state == State::compensated && operation.state != State::compensating)
    return "undone, and nobody was undoing it";
  if (event.state == State::unchanged && operation.sent)
    return "unchanged after an effect was sent";
  return {};
}

Contradiction against(const Operation& operation, const PersonActed& event) {
  if (event.action == PersonAction::retry && !is_settled(operation.state)) {
    return "a retry of an operation that has not settled";
  }
  if (event.action == PersonAction::compensate && !may_compensate(operation.state)) {
    return "undoing what did not happen";
  }
  return {};
}

// ---- What each event changes
// ----------------------------------------------------------------------

// `sent`: this attempt or one before it may have reached the target.
State state_after(EffectKind kind, bool sent) {
  switch (kind) {
    case EffectKind::acknowledged:
      return State::verifying;
    case EffectKind::unknown:
      return State::unknown;
    case EffectKind::none:
    case EffectKind::rejected_retryable:
    case EffectKind::rejected_final:
    case EffectKind::not_sent:
    case EffectKind::skipped:
      return sent ? State::unknown : State::accepted;
  }
  return State::unknown;
}

void fold(Operation& operation, const EffectEnded& event, WallTime at) {
  operation.effect = event.kind;
  operation.settled_at.reset();  // what was undone and is done after all has not ended
  operation.effect_ended_at = at;
  operation.reason = event.reason;
  clear_due(operation);
  if (event.kind == EffectKind::not_sent || event.kind == EffectKind::skipped) {
    --operation.attempts_counted;
  }
  const bool maybe_sent =
      event.kind == EffectKind::acknowledged || event.kind == EffectKind::unknown;
  operation.sent = operation.sent || maybe_sent;
  operation.state = state_after(event.kind, operation.sent);
  operation.changed = operation.changed || event.changed;
  if (operation.version_before.empty()) operation.version_before = event.version_before;
  if (event.kind == EffectKind::acknowledged) {
    operation.version = event.version;
    operation.result = event.result;
  }
}

void fold(Operation& operation, const ReadBack& event) {
  ++operation.reads_done;
  for (const Observation& read : event.reads) take_read(operation, read);
  for (ArtifactState& artifact : operation.artifacts) {
    // What is served means something only beside a store that holds what was meant.
    if (artifact.store.verdict != Verdict::match) artifact.serving.verdict.reset();
  }
  operation.history = event.history;
  // What the answer would have said, had it come.
  if (event.history.ours_present && operation.result.empty()) {
    operation.result = event.history.result;
  }
  const Overall overall = overall_of(operation);
  if (overall == Overall::unreadable) ++operation.unreadable_rounds;
  if (overall == Overall::mismatch && !differs_at_store(operation)) ++operation.serving_rounds;
}

void fold(Operation& operation, const WaitScheduled& event) {
  operation.due_for = event.due_for;
  operation.due_at = event.due_at;
  operation.reason = event.reason;
  if (event.due_for != Due::attempt) return;
  operation.effect_ended_at = event.due_at;
  // Whatever was read before the wait says nothing about what the next attempt would overwrite.
  for (ArtifactState& artifact : operation.artifacts) {
    artifact.store.verdict.reset();
    artifact.serving.verdict.reset();
  }
}

void fold(Operation& operation, const LieCaught& event) {
  operation.tell = event.tell;
  operation.tells.push_back({event.attempt, event.tell});
}

void fold(Operation& operation, const Settled& event, WallTime at) {
  // What an attempt without an answer left behind is there now.
  const bool told = operation.effect == EffectKind::acknowledged;
  if (event.state == State::confirmed && !told) operation.changed = true;
  operation.state = event.state;
  operation.reason = event.reason;
  if (event.tell) operation.tell = event.tell;
  operation.superseded_by = event.superseded_by;
  if (event.state != State::needs_action) operation.settled_at = at;
  clear_due(operation);
}

void fold(Operation& operation, const PersonActed& event, WallTime at) {
  if (event.action == PersonAction::compensate) {
    operation.state = State::compensating;
    operation.reason = "is being undone: asked for by " + event.who;
    operation.superseded_by.clear();
    operation.settled_at.reset();
    clear_due(operation);
    return;
  }
  if (event.action != PersonAction::retry) return;
  // What may have been sent stays unknown until it is read again.
  operation.state = operation.sent ? State::unknown : State::accepted;
  operation.effect = operation.sent ? EffectKind::unknown : EffectKind::none;
  operation.attempts_counted = 0;
  operation.reads_done = 0;
  operation.unreadable_rounds = 0;
  operation.serving_rounds = 0;
  operation.deadline = event.deadline;
  operation.settled_at.reset();
  operation.due_for = Due::start;
  operation.due_at = at;
}

void fold(Operation& operation, WallTime at) {
  operation.state = State::unknown;
  operation.effect = EffectKind::unknown;
  operation.sent = true;
  operation.effect_ended_at = at;
  operation.reason = "the process that ran the attempt ended before it reported";
  clear_due(operation);
}

// ---- What holds right after an event, whatever stood there before
// The diagram of operation.h a second time, so that no change of a fold goes unseen.

void assert_after(const Operation& operation, const AttemptStarted& event) {
  TRUED_ASSERT(operation.state == State::attempting && waits_for_answer(operation));
  TRUED_ASSERT(!is_leased(operation));
  TRUED_ASSERT(operation.attempts == event.attempt.value());
  TRUED_ASSERT(operation.due_for == Due::report && operation.due_at == event.report_by);
  TRUED_ASSERT(!operation.effect_ended_at && operation.reads_done == 0);
}

void assert_after(const Operation& operation, const EffectEnded& event) {
  TRUED_ASSERT(!is_settled(operation.state) && operation.state != State::attempting);
  TRUED_ASSERT(operation.sent || operation.state == State::accepted);
  TRUED_ASSERT((operation.state == State::verifying) == (event.kind == EffectKind::acknowledged));
  TRUED_ASSERT(waits_for_answer(operation) == (event.kind == EffectKind::unknown));
  TRUED_ASSERT(operation.due_for == Due::none && !operation.due_at);
  TRUED_ASSERT(operation.effect_ended_at.has_value() && !operation.settled_at);
}

void assert_after(const Operation& operation, const WaitScheduled& event) {
  TRUED_ASSERT(operation.due_for == event.due_for && operation.due_at == event.due_at);
  // What was read before the wait allows no attempt after it.
  TRUED_ASSERT(event.due_for != Due::attempt || operation.artifacts.empty() ||
               overall_of(operation) == Overall::unreadable);
}

void assert_after(const Operation& operation, const Settled& event) {
  TRUED_ASSERT(is_settled(operation.state) && operation.state == event.state);
  TRUED_ASSERT(operation.due_for == Due::none && !operation.due_at);
  TRUED_ASSERT(event.state == State::needs_action || operation.settled_at.has_value());
  TRUED_ASSERT(event.state != State::confirmed || operation.verify);
  TRUED_ASSERT(status_of(event.state) != Status::pending);
}

void assert_after(const Operation& operation, const PersonActed& event) {
  if (event.action == PersonAction::compensate) {
    TRUED_ASSERT(operation.state == State::compensating);
    TRUED_ASSERT(!operation.settled_at && operation.superseded_by.empty());
  }
  if (event.action == PersonAction::retry) {
    TRUED_ASSERT(operation.state == (operation.sent ? State::unknown : State::accepted));
    TRUED_ASSERT(operation.attempts_counted == 0 && operation.reads_done == 0);
    TRUED_ASSERT(operation.due_for == Due::start && !operation.settled_at);
  }
}

void assert_after(const Operation& operation, const Recovered&) {
  TRUED_ASSERT(operation.state == State::unknown && operation.sent);
  TRUED_ASSERT(waits_for_answer(operation) && operation.due_for == Due::none);
}

void assert_after(const Operation& operation, const LieCaught& event) {
  TRUED_ASSERT(operation.tell == event.tell && operation.tells.back().attempt == event.attempt);
}

void assert_after(const Operation&, const auto&) {}

}  // namespace

Verdict judge(const ArtifactSummary& meant, const Observation& seen) {
  return judge(ArtifactIntent{.name = {}, .absent = meant.absent, .id = meant.id, .content = {}},
               seen);
}

bool is_settled(State state) {
  switch (state) {
    case State::accepted:
    case State::attempting:
    case State::unknown:
    case State::verifying:
    case State::compensating:
      return false;
    case State::confirmed:
    case State::unchanged:
    case State::acknowledged:
    case State::superseded:
    case State::failed:
    case State::needs_action:
    case State::compensated:
    case State::canceled:
      return true;
  }
  return true;
}

bool may_compensate(State state) {
  // What another has replaced is not ours to take back.
  return state == State::confirmed || state == State::acknowledged || state == State::needs_action;
}

bool waits_for_answer(const Operation& operation) {
  return operation.state == State::attempting ||
         (operation.state == State::unknown && operation.effect == EffectKind::unknown);
}

// An attempt begins without a reason; only a worker's heartbeat gives it one.
bool is_leased(const Operation& operation) {
  return operation.state == State::attempting && !operation.reason.empty();
}

std::string_view leased_by(const Operation& operation) {
  if (!is_leased(operation)) return {};
  const std::string_view reason = operation.reason;
  const std::size_t begin = reason.find('\'');
  const std::size_t end = reason.rfind('\'');
  if (begin == end) return {};
  TRUED_ASSERT(begin < end && end < reason.size());
  return reason.substr(begin + 1, end - begin - 1);
}

Status status_of(State state) {
  switch (state) {
    case State::accepted:
    case State::attempting:
    case State::unknown:
    case State::verifying:
    case State::compensating:
      return Status::pending;
    case State::confirmed:
    case State::unchanged:
      return Status::confirmed;
    case State::acknowledged:
      return Status::unverified;
    case State::superseded:
      return Status::superseded;
    case State::failed:
      return Status::failed;
    case State::needs_action:
      return Status::needs_action;
    case State::compensated:
      return Status::undone;
    case State::canceled:
      return Status::canceled;
  }
  return Status::needs_action;
}

Operation begin(OperationId id, const Accepted& accepted, WallTime at) {
  Operation operation;
  operation.id = id;
  operation.identity = accepted.identity;
  operation.fingerprint = accepted.fingerprint;
  operation.definition = accepted.definition;
  operation.target = accepted.target;
  operation.actor = accepted.actor;
  operation.priority = accepted.priority;
  operation.verify = accepted.verify;
  operation.has_serving = accepted.has_serving;
  operation.not_before = accepted.not_before;
  operation.deadline = accepted.deadline;
  operation.retention = accepted.retention;
  operation.on_failure = accepted.on_failure;
  operation.artifacts.reserve(accepted.artifacts.size());
  for (const ArtifactSummary& summary : accepted.artifacts) {
    operation.artifacts.push_back({.meant = summary, .store = {}, .serving = {}});
  }
  operation.due_for = Due::start;
  operation.due_at = accepted.not_before.value_or(at);
  operation.created_at = at;
  operation.updated_at = at;
  operation.events = 1;
  TRUED_ASSERT(operation.state == State::accepted && !operation.sent);
  TRUED_ASSERT(!waits_for_answer(operation) && !is_settled(operation.state));
  TRUED_ASSERT(operation.artifacts.size() == accepted.artifacts.size());
  return operation;
}

std::optional<std::string_view> contradiction(const Operation& operation, const Event& event) {
  return std::visit(
      Overloaded{
          [](const Accepted&) -> Contradiction { return "an operation is accepted once"; },
          [&](const AttemptStarted& e) { return against(operation, e); },
          [&](const BaselineRead& e) { return against(operation, e.reads); },
          [&](const EffectEnded& e) { return against_running(operation, e.attempt); },
          [&](const ReadBack& e) { return against(operation, e.reads); },
          [&](const Settled& e) { return against(operation, e); },
          [&](const PersonActed& e) { return against(operation, e); },
          [&](const Recovered& e) { return against_running(operation, e.attempt); },
          [](const WaitScheduled&) -> Contradiction { return {}; },
          [](const LieCaught&) -> Contradiction { return {}; },
          [](const Repeated&) -> Contradiction { return {}; },
          [](const LateEvidence&) -> Contradiction { return {}; },
      },
      event);
}

void evolve(Operation& operation, const Event& event, WallTime at) {
  TRUED_ASSERT(!contradiction(operation, event));
  const State before = operation.state;
  const bool was_sent = operation.sent;
  std::visit(Overloaded{
                 [](const Accepted&) {},
                 [&](const AttemptStarted& e) { fold(operation, e); },
                 [&](const BaselineRead& e) { fold(operation, e); },
                 [&](const EffectEnded& e) { fold(operation, e, at); },
                 [&](const ReadBack& e) { fold(operation, e); },
                 [&](const WaitScheduled& e) { fold(operation, e); },
                 [&](const LieCaught& e) { fold(operation, e); },
                 [&](const Settled& e) { fold(operation, e, at); },
                 [&](const PersonActed& e) { fold(operation, e, at); },
                 [](const Repeated&) {},
                 [](const LateEvidence&) {},
                 [&](const Recovered&) { fold(operation, at); },
             },
             event);
  ++operation.events;
  const bool evidence_only =
      std::holds_alternative<Repeated>(event) || std::holds_alternative<LateEvidence>(event);
  if (!evidence_only) operation.updated_at = at;
  TRUED_ASSERT(!evidence_only || operation.state == before);
  TRUED_ASSERT(operation.sent || !was_sent);  // what may have been sent stays that
  std::visit([&](const auto& e) { assert_after(operation, e); }, event);
}

bool wants_read(const ArtifactState& artifact, Level level, bool has_serving) {
  if (level == Level::serving && !has_serving) return false;
  const bool served = !has_serving || artifact.serving.verdict == Verdict::match;
  if (level == Level::serving) return !served;
  return artifact.store.verdict != Verdict::match || !served;
}

}  // namespace trued
