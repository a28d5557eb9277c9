#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/overloaded.h"
#include "core/operation.h"
#include "core/retry.h"
#include "core/tells.h"
#include "core/verification.h"

namespace trued {
namespace {

// A report may take the effect's time and the reads around it.
constexpr std::int64_t kReportFactor = 2;

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

void settle(Deciding& deciding, State state, std::string reason = {}) {
  deciding.record(Settled{.state = state, .reason = std::move(reason), .tell = {},
                          .superseded_by = {}});
}

void start_attempt(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  if (deciding.now() >= operation.deadline) {
    if (operation.state == State::accepted) {
      settle(deciding, State::failed,
             "the deadline passed before the effect could be carried out" +
                 (operation.reason.empty() ? "" : ": " + operation.reason));
    } else {
      settle(deciding, State::needs_action,
             "the deadline passed before another attempt: " + operation.reason);
    }
    return;
  }
  const bool first = !operation.sent || operation.attempts_counted == 0;
  const AttemptNo attempt(operation.attempts + 1);
  deciding.record(AttemptStarted{
      .attempt = attempt,
      .report_by = deciding.now() + deciding.policy().effect_timeout * kReportFactor});
  deciding.act(RunAttempt{.attempt = attempt, .first = first});
}

const SettlePolicy& settle_policy(const Operation& operation, const Policy& policy,
                                  Overall overall) {
  if (overall == Overall::unreadable) return policy.unreadable;
  const bool at_store = std::ranges::any_of(operation.artifacts, [](const ArtifactState& a) {
    return a.store.verdict == Verdict::mismatch;
  });
  return at_store ? policy.store : policy.serving;
}

VerificationFacts facts_of(const Deciding& deciding, Overall overall) {
  const Operation& operation = deciding.operation();
  const SettlePolicy& settling = settle_policy(operation, deciding.policy(), overall);
  const std::uint32_t reads =
      overall == Overall::unreadable ? operation.unreadable_rounds : operation.reads_done;
  const Duration elapsed = deciding.now() - operation.effect_ended_at.value_or(deciding.now());
  const bool in_time = deciding.now() < operation.deadline;
  const bool bounded = operation.effect == EffectKind::not_sent ||
                       operation.attempts_counted < deciding.policy().retry.attempts_max;
  return {.effect = operation.effect,
          .verify = operation.verify,
          .overall = overall,
          .superseded = proved_superseded(operation),
          .may_read_again = in_time && may_read_again(settling, reads, elapsed),
          .safe = safe_to_repeat(operation, deciding.policy().capabilities),
          .attempts_remain = in_time && bounded};
}

std::string waiting_reason(const Operation& operation, Overall overall) {
  switch (overall) {
    case Overall::mismatch:
      return "read back, not there yet: " + describe_mismatch(operation);
    case Overall::unreadable:
      return "could not be read back yet" +
             (operation.reason.empty() ? "" : " (" + operation.reason + ")");
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
  const Duration wait = operation.reads_done == 0
                            ? Duration{0}
                            : settle_wait(settling, operation.reads_done, deciding.entropy());
  const bool never_read = operation.reads_done == 0;
  deciding.record(
      WaitScheduled{.due_for = Due::read,
                    .due_at = deciding.now() + wait,
                    .reason = never_read ? operation.reason : waiting_reason(operation, overall)});
}

// Names the lie behind an acknowledged mismatch; an effect without an answer claimed nothing.
std::optional<Tell> catch_lie(Deciding& deciding, Overall overall) {
  const Operation& operation = deciding.operation();
  if (overall != Overall::mismatch) return std::nullopt;
  const Tell tell = name_tell(operation);
  if (operation.effect != EffectKind::acknowledged && tell != Tell::overwritten) {
    return std::nullopt;
  }
  deciding.record(LieCaught{.attempt = AttemptNo(operation.attempts),
                            .tell = tell,
                            .detail = describe_mismatch(operation)});
  return tell;
}

void attempt_again(Deciding& deciding, Overall overall, Duration retry_after) {
  const std::optional<Tell> tell = catch_lie(deciding, overall);
  const Operation& operation = deciding.operation();
  const std::uint32_t failures = std::max(operation.attempts_counted, 1U);
  const Duration wait =
      backoff(deciding.policy().retry, failures, retry_after, deciding.entropy());
  std::string reason = overall == Overall::mismatch ? describe_mismatch(operation)
                                                    : operation.reason;
  if (tell) reason = std::string(to_string(*tell)) + ": " + reason;
  deciding.record(WaitScheduled{.due_for = Due::attempt,
                                .due_at = deciding.now() + wait,
                                .reason = "another attempt follows: " + reason});
}

void supersede(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  std::string by;
  for (std::size_t i = 0; i < operation.artifacts.size() && by.empty(); ++i) {
    if (operation.artifacts.at(i).store.verdict == Verdict::mismatch) {
      by = operation.history.artifacts.at(i).replaced_by;
    }
  }
  deciding.record(Settled{.state = State::superseded,
                          .reason = "it landed, and a later writer replaced it: " + by,
                          .tell = {},
                          .superseded_by = by});
}

void ask_person(Deciding& deciding, Overall overall) {
  const std::optional<Tell> tell = catch_lie(deciding, overall);
  const Operation& operation = deciding.operation();
  std::string reason;
  if (overall == Overall::unreadable) {
    reason = "unverified: it could not be read back within the bound";
    if (!operation.reason.empty()) reason += " (" + operation.reason + ")";
  } else if (overall == Overall::mismatch) {
    reason = describe_mismatch(operation);
  } else {
    reason = "it may or may not have happened: " + operation.reason;
  }
  deciding.record(Settled{.state = State::needs_action,
                          .reason = std::move(reason),
                          .tell = tell,
                          .superseded_by = {}});
}

void follow(Deciding& deciding, Duration retry_after) {
  const Overall overall = overall_of(deciding.operation());
  const bool answered_no = deciding.operation().effect == EffectKind::rejected_retryable ||
                           deciding.operation().effect == EffectKind::not_sent;
  const Overall shown = answered_no ? Overall::nothing_to_read : overall;
  switch (decide_follow(facts_of(deciding, overall))) {
    case Follow::confirm:
      return settle(deciding, State::confirmed);
    case Follow::acknowledge:
      return settle(deciding, State::acknowledged,
                    "the target said yes; this operation opted out of verification");
    case Follow::read_again:
      return read_again(deciding, overall);
    case Follow::attempt_again:
      return attempt_again(deciding, shown, retry_after);
    case Follow::supersede:
      return supersede(deciding);
    case Follow::fail:
      return settle(deciding, State::failed, deciding.operation().reason);
    case Follow::ask_person:
      return ask_person(deciding, overall);
  }
}

// Everything held before this attempt sent anything: unchanged, or, where an earlier attempt may
// have been the cause, confirmed by these very reads.
void follow_skipped(Deciding& deciding, const AttemptReport& report) {
  if (!deciding.operation().sent) {
    return settle(deciding, State::unchanged,
                  "what was intended already held; nothing was sent");
  }
  deciding.record(
      ReadBack{.attempt = report.attempt, .reads = report.baseline, .history = report.history});
  settle(deciding, deciding.operation().verify ? State::confirmed : State::acknowledged);
}

void on_report(Deciding& deciding, const AttemptReport& report) {
  const Operation& operation = deciding.operation();
  const bool current =
      operation.state == State::attempting && report.attempt.value() == operation.attempts;
  if (!current) {
    deciding.record(LateEvidence{.attempt = report.attempt,
                                 .kind = report.effect.kind,
                                 .detail = report.effect.reason});
    return;
  }
  if (!report.baseline.empty()) deciding.record(BaselineRead{report.baseline});
  EffectEnded ended = report.effect;
  ended.attempt = report.attempt;
  deciding.record(std::move(ended));
  if (report.effect.kind == EffectKind::skipped) return follow_skipped(deciding, report);
  if (!report.reads.empty()) {
    deciding.record(
        ReadBack{.attempt = report.attempt, .reads = report.reads, .history = report.history});
  }
  follow(deciding, report.retry_after);
}

void on_read(Deciding& deciding, const ReadReport& report) {
  const Operation& operation = deciding.operation();
  const bool current =
      (operation.state == State::verifying || operation.state == State::unknown) &&
      operation.due_for == Due::read && report.attempt.value() == operation.attempts;
  if (!current) {
    deciding.record(LateEvidence{.attempt = report.attempt,
                                 .kind = EffectKind::none,
                                 .detail = "a read-back that was no longer waited for"});
    return;
  }
  deciding.record(
      ReadBack{.attempt = report.attempt, .reads = report.reads, .history = report.history});
  follow(deciding, Duration{0});
}

void on_start(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  if (operation.state != State::accepted) return;
  if (operation.not_before && deciding.now() < *operation.not_before) {
    deciding.record(WaitScheduled{.due_for = Due::start,
                                  .due_at = *operation.not_before,
                                  .reason = "not before the time it asked for"});
    return;
  }
  start_attempt(deciding);
}

void on_timer(Deciding& deciding) {
  const Operation& operation = deciding.operation();
  switch (operation.due_for) {
    case Due::none:
      return;
    case Due::start:
      return on_start(deciding);
    case Due::attempt:
      return start_attempt(deciding);
    case Due::report:
      deciding.record(EffectEnded{.attempt = AttemptNo(operation.attempts),
                                  .kind = EffectKind::unknown,
                                  .changed = false,
                                  .version = {},
                                  .version_before = {},
                                  .result = {},
                                  .reason = "no answer within the time an attempt may take"});
      return follow(deciding, Duration{0});
    case Due::read:
      return deciding.act(RunRead{AttemptNo(operation.attempts)});
  }
}

void on_recover(Deciding& deciding) {
  if (deciding.operation().state != State::attempting) return;
  deciding.record(Recovered{AttemptNo(deciding.operation().attempts)});
  follow(deciding, Duration{0});
}

void on_person_retry(Deciding& deciding, const PersonInput& input) {
  const Operation& operation = deciding.operation();
  const bool possible =
      operation.state == State::failed || operation.state == State::needs_action;
  if (!possible) {
    return deciding.refuse("not-retryable", "only a failed operation or one that needs action can "
                                            "be tried again; this one is " +
                                                std::string(to_string(operation.state)));
  }
  if (operation.on_failure == OnFailure::poison) {
    return deciding.refuse("not-retryable", "its definition says on_failure = \"poison\": submit "
                                            "a new operation under a new key");
  }
  deciding.record(PersonActed{.action = input.action,
                              .who = input.who,
                              .why = input.why,
                              .deadline = deciding.now() + deciding.policy().deadline});
  deciding.record(WaitScheduled{.due_for = Due::start,
                                .due_at = deciding.now(),
                                .reason = "asked to be tried again by " + input.who});
}

void on_person_verdict(Deciding& deciding, const PersonInput& input, State state) {
  const Operation& operation = deciding.operation();
  if (operation.state != State::needs_action) {
    return deciding.refuse("not-resolvable", "only an operation that needs action is decided by a "
                                             "person; this one is " +
                                                 std::string(to_string(operation.state)));
  }
  deciding.record(PersonActed{
      .action = input.action, .who = input.who, .why = input.why, .deadline = {}});
  const std::string verdict = state == State::failed ? " says that it did not happen"
                                                     : " says that it happened";
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
  deciding.record(PersonActed{
      .action = input.action, .who = input.who, .why = input.why, .deadline = {}});
  settle(deciding, State::canceled,
         "withdrawn by " + input.who + (input.why.empty() ? "" : ": " + input.why));
}

void on_person(Deciding& deciding, const PersonInput& input) {
  switch (input.action) {
    case PersonAction::it_happened:
      return on_person_verdict(deciding, input, State::acknowledged);
    case PersonAction::it_did_not:
      return on_person_verdict(deciding, input, State::failed);
    case PersonAction::retry:
      return on_person_retry(deciding, input);
    case PersonAction::cancel:
      return on_person_cancel(deciding, input);
  }
}

}  // namespace

Decision decide(Operation operation, const Policy& policy, const Input& input,
                const DecideContext& context) {
  Deciding deciding(std::move(operation), policy, context);
  std::visit(Overloaded{
                 [&](const Start&) { on_start(deciding); },
                 [&](const AttemptReport& report) { on_report(deciding, report); },
                 [&](const ReadReport& report) { on_read(deciding, report); },
                 [&](const TimerDue&) { on_timer(deciding); },
                 [&](const Recover&) { on_recover(deciding); },
                 [&](const PersonInput& person) { on_person(deciding, person); },
             },
             input);
  return deciding.take();
}

}  // namespace trued
