// Attempts that workers carry out: held until one asks, begun, prepared, and handed over once the
// lease is durable; kept by heartbeats, ended by what the worker says.
#include <algorithm>

#include "base/assert.h"
#include "engine/attempt.h"
#include "engine/impl.h"

namespace trued {
namespace {

constexpr Duration kDeskPause{10};  ///< a desk whose target takes nobody is looked at again

constexpr std::string_view kWaits = "held: waits for a worker";

Answered answered_by(const AttemptReport& report) {
  switch (report.effect.kind) {
    case EffectKind::acknowledged:
    case EffectKind::rejected_final:
      return Answered::yes;
    case EffectKind::rejected_retryable:
      return report.retry_after.count() > 0 ? Answered::throttled : Answered::no;
    case EffectKind::none:
    case EffectKind::unknown:
    case EffectKind::not_sent:
    case EffectKind::skipped:
      return Answered::no;
  }
  return Answered::no;
}

EngineProblem lease_lost(std::string detail) {
  return {.code = ProblemCode::refused,
          .name = "lease-lost",
          .detail = std::move(detail),
          .retry_after = {}};
}

// What the engine answers an operation's callers with, as a worker is answered.
Reply as_reply(WorkReply reply, bool counted, bool repeated) {
  return [reply = std::move(reply), counted,
          repeated](std::variant<Answer, EngineProblem> answer) mutable {
    if (auto* problem = std::get_if<EngineProblem>(&answer)) return reply(std::move(*problem));
    reply(WorkAnswer{.operation = std::move(std::get<Answer>(answer).operation),
                     .counted = counted,
                     .repeated = repeated});
  };
}

bool ran_out(const Event& event) {
  const auto* ended = std::get_if<EffectEnded>(&event);
  return ended != nullptr && ended->kind == EffectKind::unknown &&
         ended->reason.starts_with(kLeaseRanOut);
}

}  // namespace

// ---- Who waits, and who is offered what

bool Engine::Impl::waits_for_worker(TurnState& turn, Work& work,
                                    const std::optional<GateCall>& call) {
  work.ticket.wants_worker = false;
  const Operation& operation = work.operation;
  const bool attempt = call && call->kind != CallKind::read;
  if (!attempt || policy_of(operation.definition, operation.target).lease.count() == 0) {
    return false;
  }
  work.ticket.wants_worker = true;
  work.ticket.line = Line::none;
  TRUED_ASSERT(!work.ticket.inside);
  if (!operation.reason.starts_with(kWaits)) {
    note_wait(turn, work, turn.now, "waits for a worker of '" + operation.target + "'");
  }
  return true;
}

void Engine::Impl::serve_workers(TurnState& turn) {
  while (const auto offer = leases_.next_offer(turn.mono)) {
    const OperationId id = offer->id;
    const auto found = entries_.find(id);
    if (found == entries_.end() || !found->second.ticket.wants_worker) {
      leases_.forget(id);
      continue;
    }
    Entry& entry = found->second;
    const Operation& operation = *entry.operation;
    if (is_early(operation, turn.now)) {
      leases_.forget(id);  // the wall clock was set back
      entry.ticket.wants_worker = false;
      set_timer(entry, id, operation.due_at);
      continue;
    }
    GateTaken taken;
    TargetGate* gate = gate_of(operation);
    const auto refused =
        gate == nullptr
            ? std::nullopt
            : gate->ask(entry.ticket, taken, attempt_of(operation, entry.ticket), turn.mono);
    if (refused) {
      gate->count_held(entry.ticket, refused->by);
      const Mono again = std::max(refused->again, turn.mono + kDeskPause);
      if (refused->by == HeldBy::budget) {
        // Only this one has to wait: whoever costs nothing, or less, is not in its way.
        leases_.forget(id);
        entry.ticket.wants_worker = false;
        set_timer(entry, id, turn.now + (again - turn.mono));
      } else {
        leases_.hold_back(operation.target, again);
      }
      continue;
    }
    TRUED_ASSERT(gate == nullptr || entry.ticket.inside);
    leases_.reserve(*offer);
    entry.ticket.wants_worker = false;
    entry.ticket.admitted = true;
    turn.messages.emplace_back(MoveMessage{.id = id, .input = call_to(operation)});
  }
}

void Engine::Impl::on_lease(TurnState& turn, LeaseMessage& message) {
  if (draining.load()) {
    return message.reply(EngineProblem{.code = ProblemCode::draining,
                                       .name = {},
                                       .detail = "the server is stopping; ask again in a moment",
                                       .retry_after = Duration{2'000}});
  }
  if (!turn.below.empty()) {
    return message.reply(EngineProblem{.code = ProblemCode::below_floor,
                                       .name = {},
                                       .detail = turn.below + "; no work is handed out",
                                       .retry_after = Duration{5'000}});
  }
  leases_.ask(std::move(message.ask), turn.mono + message.wait, turn.now, std::move(message.reply));
}

// ---- From the attempt's beginning to the worker's hands

std::shared_ptr<std::optional<std::string>> Engine::Impl::prepare_lease(const Operation& operation,
                                                                        const Target& target) {
  if (target.policy.lease.count() == 0) return nullptr;
  auto payload = std::make_shared<std::optional<std::string>>();
  leases_.prepare(operation.id, payload);
  return payload;
}

// It is prepared. What no worker was told of never left us.
void Engine::Impl::hand_over(TurnState& turn, Work& work, Heartbeat beat) {
  const Operation& operation = work.operation;
  const bool waited_for = operation.state == State::attempting && !is_leased(operation) &&
                          beat.attempt.value() == operation.attempts;
  if (!waited_for) return;
  const AttemptNo attempt = beat.attempt;
  if (!turn.below.empty()) {
    apply(turn, work, never_sent(attempt, "it was not handed to a worker: " + turn.below));
    return;
  }
  const LeaseAsk* taker = leases_.taker(operation);
  if (taker == nullptr) {
    apply(turn, work, never_sent(attempt, "no worker waits for it any more"));
    return;
  }
  beat.worker = taker->worker;
  if (const auto refused = apply(turn, work, beat)) {
    apply(turn, work, never_sent(attempt, "it was not handed to a worker: " + refused->detail));
    return;
  }
  TRUED_ASSERT(is_leased(work.operation) && work.operation.attempts == attempt.value());
  turn.handed.push_back(work.operation.id);
}

// The turn is durable: the workers may hear of it.
void Engine::Impl::deliver_leases(TurnState& turn) {
  for (const OperationId& id : turn.handed) {
    const auto entry = entries_.find(id);
    if (entry == entries_.end() || !is_leased(*entry->second.operation)) continue;
    const std::shared_ptr<const Operation> operation = entry->second.operation;
    Lease lease{.operation = operation,
                .intent = entry->second.intent,
                .payload = {},
                .until = *operation->due_at,
                .span = policy_of(operation->definition, operation->target).lease};
    const bool ours = ports_.tenure == nullptr || ports_.tenure->holds();
    if (ours && leases_.hand_over(id, std::move(lease), turn.begun, turn.mono)) continue;
    post_local(id, never_sent(AttemptNo(operation->attempts),
                              "the worker had gone before it was handed the work"));
  }
}

void Engine::Impl::take_back(const std::vector<Leases::Returned>& leases) {
  for (const Leases::Returned& lease : leases) {
    post_local(lease.id, never_sent(lease.attempt,
                                    "the worker had gone, or would have been told of it too late"));
  }
}

// After the commit, with the operation as it is now.
void Engine::Impl::follow_lease(const Work& work) {
  const Operation& operation = work.operation;
  if (!leases_.has_target(operation.target)) return;
  if (std::ranges::any_of(work.events, ran_out)) leases_.count_lost(operation.target);
  leases_.follow(operation, work.ticket.wants_worker && !is_settled(operation.state));
}

// ---- What workers say

void Engine::Impl::on_work(TurnState& turn, WorkMessage& message) {
  Work* work = work_on(turn, message.id);
  if (work == nullptr) {
    turn.answers.push_back({as_reply(std::move(message.reply), false, false),
                            EngineProblem{.code = ProblemCode::not_found,
                                          .name = {},
                                          .detail = "no operation " + to_string(message.id),
                                          .retry_after = {}}});
    return;
  }
  if (const auto* beat = std::get_if<Heartbeat>(&message.said)) {
    return on_heartbeat(turn, *work, *beat, message.reply);
  }
  on_completion(turn, *work, std::get<AttemptReport>(message.said), message.reply);
}

void Engine::Impl::on_heartbeat(TurnState& turn, Work& work, const Heartbeat& beat,
                                WorkReply& reply) {
  const Operation& operation = work.operation;
  leases_.seen(operation.target, beat.worker, turn.now);
  const bool waits = operation.state == State::attempting && !is_leased(operation) &&
                     beat.attempt.value() == operation.attempts;
  std::optional<EngineProblem> lost;
  if (waits) {
    lost = lease_lost("attempt " + std::to_string(beat.attempt.value()) +
                      " was not handed to any worker");
  } else if (auto refusal = apply(turn, work, beat)) {
    lost = lease_lost(std::move(refusal->detail));
  }
  if (lost) {
    turn.answers.push_back({as_reply(std::move(reply), false, false), std::move(*lost)});
    return;
  }
  work.waiters.push_back(
      {Mono{}, SubmitDecision::duplicate, as_reply(std::move(reply), true, false)});
}

// Whether the worker has said that of this attempt before, and whether it counted then.
std::optional<bool> Engine::Impl::told_before(const Work& work, const AttemptReport& report) {
  std::optional<bool> told;
  const auto look = [&](const Event& event) {
    if (const auto* ended = std::get_if<EffectEnded>(&event)) {
      if (ended->attempt == report.attempt && ended->kind == report.effect.kind) told = true;
    } else if (const auto* late = std::get_if<LateEvidence>(&event)) {
      const bool same = late->attempt == report.attempt && late->kind == report.effect.kind;
      if (same && !told) told = false;
    }
  };
  if (const auto log = reader_->events(work.operation.id); log.has_value()) {
    for (const EventRecord& record : log.value()) look(record.event);
  }
  for (const Event& event : work.events) look(event);
  return told;
}

void Engine::Impl::on_completion(TurnState& turn, Work& work, const AttemptReport& said,
                                 WorkReply& reply) {
  const Operation& operation = work.operation;
  const std::uint32_t attempt = said.attempt.value();
  const bool newest = attempt == operation.attempts;
  const bool handed_out = policy_of(operation.definition, operation.target).lease.count() > 0;
  const bool held_back = newest && operation.state == State::attempting && !is_leased(operation);
  if ((!handed_out && !is_leased(operation)) || attempt > operation.attempts || held_back) {
    turn.answers.push_back(
        {as_reply(std::move(reply), false, false),
         lease_lost("attempt " + std::to_string(attempt) +
                    " was never handed to a worker; the newest of " + to_string(operation.id) +
                    " is " + std::to_string(operation.attempts))});
    return;
  }
  bool counted = newest && is_leased(operation);
  const std::optional<bool> told = counted ? std::nullopt : told_before(work, said);
  if (counted) leases_.seen(operation.target, std::string(leased_by(operation)), turn.now);
  if (!told) {
    AttemptReport report = said;
    report.answered = answered_by(report);
    apply(turn, work, report);
    TRUED_ASSERT(!work.events.empty());  // whatever a worker says is recorded
    counted = !std::holds_alternative<LateEvidence>(work.events.back());
  }
  work.waiters.push_back({Mono{}, SubmitDecision::duplicate,
                          as_reply(std::move(reply), told.value_or(counted), told.has_value())});
}

}  // namespace trued
