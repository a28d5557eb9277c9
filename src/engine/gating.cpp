// What stands before the targets: who is asked, who is held, who is released, and what is said.
//
// Asked before anything is decided, so that an attempt that is not admitted never begins: it costs
// no number, and at most one durable round, which says why it waits. What follows from an answer
// (votes, ends of calls, places in line) follows from the commit, like everything else.
#include <algorithm>

#include "base/assert.h"
#include "engine/impl.h"

namespace trued {
namespace {

constexpr std::string_view kHeld = "held: ";
constexpr Duration kPatienceBeyondReport{10'000};

bool is_report(const Input& input) {
  return std::holds_alternative<AttemptReport>(input) || std::holds_alternative<ReadReport>(input);
}

// A person's wish is no retry: whatever was tried before, this is the first that they asked for.
// Nor is what follows an attempt that never left us: the target has had nothing of it.
bool is_retry(const Operation& operation, const GateTicket& ticket) {
  const bool asked_by_a_person =
      operation.sent && operation.attempts_counted == 0 && operation.effect != EffectKind::not_sent;
  return operation.due_for == Due::attempt && operation.attempts > 0 && !asked_by_a_person &&
         !ticket.unbegun;
}

// What the operation would call for at its target now; nothing if nothing, if it would give up, or
// if what it reads is read elsewhere.
std::optional<GateCall> call_of(const Operation& operation, const GateTicket& ticket,
                                const Policy& policy, WallTime now) {
  const bool late = now >= operation.deadline;
  const auto read = policy.reads_elsewhere
                        ? std::nullopt
                        : std::optional(GateCall{.kind = CallKind::read, .urgent = late});
  switch (operation.due_for) {
    case Due::none:
    case Due::report:
      return std::nullopt;
    case Due::read:
      return read;
    case Due::start:
      if (before_its_time(operation, now)) return std::nullopt;
      if (!late) return attempt_of(operation, ticket);
      return operation.state == State::unknown ? read : std::nullopt;
    case Due::attempt:
      if (operation.due_at && now < *operation.due_at) return std::nullopt;
      if (!late) return attempt_of(operation, ticket);
      return operation.sent ? read : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

bool before_its_time(const Operation& operation, WallTime now) {
  return operation.state == State::accepted && operation.not_before && now < *operation.not_before;
}

bool is_early(const Operation& operation, WallTime now) {
  if (operation.due_for == Due::start) return before_its_time(operation, now);
  return operation.due_at && now < *operation.due_at;
}

Input call_to(const Operation& operation) {
  if (operation.due_for == Due::start) return Start{};
  return TimerDue{};
}

GateCall attempt_of(const Operation& operation, const GateTicket& ticket) {
  if (!is_retry(operation, ticket)) return {.kind = CallKind::first, .anew = ticket.unbegun};
  const bool unknown = operation.effect == EffectKind::unknown;
  return {.kind = CallKind::retry, .cost = unknown ? RetryBudget::kCostUnknown : 1};
}

// Only an answer that is still waited for says something of the target as it is now.
Answered answered_now(const Operation& operation, const Input& input, WallTime now) {
  if (const auto* report = std::get_if<AttemptReport>(&input)) {
    const bool current =
        operation.state == State::attempting && report->attempt.value() == operation.attempts;
    return current ? report->answered : Answered::not_asked;
  }
  if (const auto* report = std::get_if<ReadReport>(&input)) {
    const bool current = report->attempt.value() == operation.attempts &&
                         (operation.state == State::unknown || operation.state == State::verifying);
    return current ? report->answered : Answered::not_asked;
  }
  const bool overdue = std::holds_alternative<TimerDue>(input) &&
                       operation.due_for == Due::report && operation.due_at <= now;
  return overdue ? Answered::no : Answered::not_asked;
}

void Engine::Impl::open_gates() {
  for (const auto& [name, target] : ports_.targets) {
    const Policy& policy = target.policy;
    const auto pace = static_cast<std::uint32_t>(jobs_.at_a_time(target));
    const Duration answer = std::max(policy.effect_timeout, policy.lease);
    const Capabilities& can = policy.capabilities;
    const bool careful = !can.idempotent && !can.deduplicates && !can.history && !can.probes;
    gates_.emplace(name,
                   TargetGate(policy.gates, pace, answer * 2 + kPatienceBeyondReport, careful));
    if (policy.lease.count() > 0) leases_.add_target(name, policy.gates.concurrency);
  }
  TRUED_ASSERT(gates_.size() == ports_.targets.size());
  counters_.targets.resize(gates_.size());
  gates_since_ = ports_.clock.wall();
}

TargetGate* Engine::Impl::gate_of(const Operation& operation) {
  const auto found = gates_.find(operation.target);
  return found == gates_.end() ? nullptr : &found->second;
}

// ---- Those who wait

// Reads first: they find out whether a target answers again, and change nothing there.
void Engine::Impl::release_held(TurnState& turn) {
  for (auto& [name, gate] : gates_) {
    gate.pass(turn.mono, ports_.random);
    if (!gate.any_held()) continue;
    release_line(turn, gate, Line::reads);
    if (!turn.below.empty()) continue;
    release_line(turn, gate, Line::attempts);
    while (gate.owes_retry() && gate.has_room(turn.mono)) {
      release_line(turn, gate, Line::retries, 1);
      gate.count_released(Line::retries);  // or it could not be: the others go on
      release_line(turn, gate, Line::attempts);
    }
    release_line(turn, gate, Line::retries);
  }
}

void Engine::Impl::release_line(TurnState& turn, TargetGate& gate, Line line, std::uint32_t most) {
  while (const auto next = gate.front(line)) {
    if (most == 0 || (line == Line::attempts && gate.owes_retry())) return;
    const auto& [id, place] = *next;
    const auto found = entries_.find(id);
    TRUED_ASSERT(place > 0);
    const bool there = found != entries_.end() && found->second.ticket.line == line &&
                       found->second.ticket.place == place;
    if (!there) {
      gate.pop(line);  // it has left the line meanwhile
      continue;
    }
    Entry& entry = found->second;
    const Operation& operation = *entry.operation;
    const bool reads = line == Line::reads || operation.due_for == Due::read;
    GateCall call = reads ? GateCall{.kind = CallKind::read} : attempt_of(operation, entry.ticket);
    if (!gate.may_release(line, call.cost, turn.mono)) return;
    gate.pop(line);
    gate.leave(line);
    entry.ticket.line = Line::none;
    if (is_early(operation, turn.now)) {
      // The wall clock was set back, or the gate opened before it was thought to: it asks then.
      set_timer(entry, id, operation.due_at);
      continue;
    }
    GateTaken taken;
    call.urgent = true;
    const auto refused = gate.ask(entry.ticket, taken, call, turn.mono);
    TRUED_ASSERT(!refused && entry.ticket.inside);
    entry.ticket.admitted = true;
    gate.count_released(line);
    --most;
    turn.messages.emplace_back(MoveMessage{.id = id, .input = call_to(operation)});
  }
}

std::optional<Duration> Engine::Impl::next_release(Mono now) {
  std::optional<Duration> soonest;
  for (auto& [name, gate] : gates_) {
    const auto wake = gate.wake(now);
    if (!wake) continue;
    const Duration span = std::max(*wake - now, Duration{1});
    soonest = soonest ? std::min(*soonest, span) : span;
  }
  return soonest;
}

// ---- Before an input is decided

bool Engine::Impl::held_at_gate(TurnState& turn, Work& work) {
  TargetGate* gate = gate_of(work.operation);
  GateTicket& ticket = work.ticket;
  const Policy& policy = policy_of(work.operation.definition, work.operation.target);
  const auto call = call_of(work.operation, ticket, policy, turn.now);
  const bool begins = call && call->kind != CallKind::read;
  const bool waits = ticket.line != Line::none || ticket.wants_worker;
  if (begins && !waits && held_by_floor(turn, work)) return true;
  if (gate == nullptr) return false;
  if (std::exchange(ticket.admitted, false)) return false;
  const bool may_pass = !call || call->urgent;
  // What is under way (a round of reading, or the look before an attempt) is asked for again and
  // not made twice; nor does it stand in line for what it has.
  const bool under_way = ticket.inside || jobs_.read_out(work.operation.id);
  if (!under_way && waits_for_worker(turn, work, call)) return true;
  if (ticket.line != Line::none && !may_pass) return true;
  ticket.line = Line::none;
  if (!call || under_way) return false;
  const auto refused = gate->ask(ticket, work.taken, *call, turn.mono);
  if (!refused) return false;
  gate->count_held(ticket, refused->by);
  hold(turn, work, *call, *refused);
  return true;
}

// While the ledger promises less than its floor, what has not begun waits, in memory and with one
// record that says why. What has begun goes on to its end, reads and records included: an effect
// that is out cannot be called back, and the ledger as it is still is the best place for what came
// of it. Not to write that down would make certain the very loss that the floor is against, and the
// operation would be resolved by reading as if this server had crashed. Not to begin loses nothing:
// the operation was accepted under the floor, and is as durable as that.
bool Engine::Impl::held_by_floor(TurnState& turn, Work& work) {
  if (turn.below.empty()) return false;
  work.below_floor = true;
  if (!work.operation.reason.starts_with(kHeld)) note_wait(turn, work, turn.now, turn.below);
  return true;
}

// It is called from there. Its deadline ends the wait of what may only begin before that.
void Engine::Impl::wait_for_floor(Entry& entry) {
  const Operation& operation = *entry.operation;
  below_floor_.insert(operation.id);
  const bool ends = operation.state != State::compensating;
  set_timer(entry, operation.id, ends ? std::optional(operation.deadline) : std::nullopt);
}

void Engine::Impl::release_from_floor(TurnState& turn) {
  while (!below_floor_.empty() && turn.messages.size() < options_.inputs_per_turn_max) {
    const OperationId id = below_floor_.extract(below_floor_.begin()).value();
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) continue;
    const Operation& operation = *entry->second.operation;
    if (operation.due_for != Due::start && operation.due_for != Due::attempt) continue;
    turn.messages.emplace_back(MoveMessage{.id = id, .input = call_to(operation)});
  }
}

void Engine::Impl::hold(TurnState& turn, Work& work, const GateCall& call,
                        const GateRefusal& refused) {
  TRUED_ASSERT(work.ticket.line == Line::none && !work.ticket.inside);
  work.ticket.line = line_for(call.kind, work.ticket);
  TRUED_ASSERT(work.ticket.line != Line::none);
  const Operation& operation = work.operation;
  // A read waits in memory alone; who has said why it waits does not say it again.
  if (call.kind == CallKind::read || operation.reason.starts_with(kHeld)) return;
  const WallTime again = turn.now + (refused.again - turn.mono);
  const std::string target = "'" + operation.target + "'";
  const TargetGate& gate = *gate_of(operation);
  switch (refused.by) {
    case HeldBy::breaker:
      return note_wait(
          turn, work, again,
          gate.breaker().state() == BreakerState::open
              ? "the circuit breaker of " + target + " is open until " + format_rfc3339(again)
              : "the circuit breaker of " + target +
                    " is half-open: a few calls find out whether it answers");
    case HeldBy::budget:
      return note_wait(turn, work, again, "the retry budget of " + target + " is spent");
    case HeldBy::rate:
      return note_wait(turn, work, again, target + " is sent no more calls a second");
    case HeldBy::line:
      // That a busy target takes one after the other is no news, and not worth a record.
      if (gate.flows()) return;
      return note_wait(turn, work, again, "others came before it at " + target);
  }
}

// Recorded with whatever else the turn records of it. A lower bound: it may be longer.
void Engine::Impl::note_wait(TurnState& turn, Work& work, WallTime again, std::string reason) {
  const Operation& operation = work.operation;
  if (operation.due_for == Due::attempt && !operation.reason.empty()) {
    reason += "; " + operation.reason;
  }
  const bool starts = operation.due_for == Due::start;
  const WallTime due = starts ? again : std::max(again, operation.due_at.value_or(again));
  const Event wait = WaitScheduled{.due_for = operation.due_for,
                                   .due_at = std::min(due, operation.deadline),
                                   .reason = std::string(kHeld) + std::move(reason)};
  evolve(work.operation, wait, turn.now);
  work.events.push_back(wait);
}

// What cannot be read at a target that is known to be down says nothing of this operation: until
// its deadline it waits for the target instead of using up its reads.
bool Engine::Impl::tells_nothing(TurnState& turn, Work& work, const Input& input) {
  const auto* report = std::get_if<ReadReport>(&input);
  if (report == nullptr || report->answered != Answered::no) return false;
  const Operation& operation = work.operation;
  TargetGate* gate = gate_of(operation);
  if (gate == nullptr || gate->breaker().state() == BreakerState::closed) return false;
  const bool waited_for = answered_now(operation, input, turn.now) == Answered::no &&
                          (operation.due_for == Due::read || operation.due_for == Due::attempt) &&
                          operation.due_at <= turn.now;
  if (!waited_for || turn.now >= operation.deadline) return false;
  work.answered = Answered::no;
  work.answered_probe = work.ticket.probe;
  work.ticket.inside = false;
  // It has asked for all: next time somebody else does, or one that cannot be read would keep the
  // breaker open for everybody.
  work.ticket.line = work.ticket.probe == 0 ? Line::reads : Line::attempts;
  work.ticket.probe = 0;
  gate->count_held(work.ticket, HeldBy::breaker);
  return true;
}

// ---- After it was decided

bool Engine::Impl::never_began(const Work& work, const Input& input, std::size_t events) {
  const auto* report = std::get_if<AttemptReport>(&input);
  if (report != nullptr && report->answered != Answered::not_asked) return false;
  return std::any_of(work.events.begin() + static_cast<std::ptrdiff_t>(events), work.events.end(),
                     [](const Event& event) {
                       const auto* ended = std::get_if<EffectEnded>(&event);
                       return ended != nullptr && ended->kind == EffectKind::not_sent;
                     });
}

void Engine::Impl::follow_gate(TurnState& turn, Work& work, const Input& input, Answered answered,
                               std::size_t events, std::size_t actions) {
  TargetGate* gate = gate_of(work.operation);
  if (gate == nullptr) return;
  GateTicket& ticket = work.ticket;
  if (answered != Answered::not_asked) {
    work.answered = answered;
    work.answered_probe = ticket.probe;
  }
  if (is_report(input)) {
    ticket.probe = 0;
    if (!never_began(work, input, events)) gate->came_back();
  }
  if (work.operation.state == State::attempting) {
    ticket.line = Line::none;
    ticket.wants_worker = false;
  }
  // In a worker's hands it is no call of ours; whoever is at work is not overdue.
  if (is_leased(work.operation)) {
    ticket.inside = false;
    return gate->still(ticket, turn.mono);
  }
  const Policy& policy = policy_of(work.operation.definition, work.operation.target);
  const bool reads =
      !policy.reads_elsewhere &&
      std::any_of(work.actions.begin() + static_cast<std::ptrdiff_t>(actions), work.actions.end(),
                  [](const Action& action) { return std::holds_alternative<RunRead>(action); });
  if (reads || work.operation.state == State::attempting) return gate->enter(ticket, work.taken);
  if (std::holds_alternative<PersonInput>(input)) return;
  ticket.inside = false;
  ticket.probe = 0;
  if (never_began(work, input, events)) ticket.unbegun = true;
  if (is_retry(work.operation, ticket)) pay_for_retry(turn, work, *gate, events);
}

// A retry is paid for when it is decided, so that what waits in backoff is counted.
void Engine::Impl::pay_for_retry(TurnState& turn, Work& work, TargetGate& gate,
                                 std::size_t events) {
  const bool scheduled =
      std::any_of(work.events.begin() + static_cast<std::ptrdiff_t>(events), work.events.end(),
                  [](const Event& event) { return std::holds_alternative<WaitScheduled>(event); });
  TRUED_ASSERT(events <= work.events.size());
  if (!scheduled || work.ticket.reserved > 0) return;
  const auto refused =
      gate.reserve(work.ticket, attempt_of(work.operation, work.ticket).cost, turn.mono);
  if (!refused) return;
  gate.count_held(work.ticket, refused->by);
  note_wait(turn, work, turn.now + (refused->again - turn.mono),
            "the retry budget of '" + work.operation.target + "' is spent");
}

void Engine::Impl::settle_gate(TurnState& turn, const OperationId& id, Work& work, bool settled) {
  TargetGate* gate = gate_of(work.operation);
  if (gate == nullptr) return;
  if (work.answered != Answered::not_asked) {
    gate->vote(work.ticket, work.answered, work.answered_probe, turn.mono, ports_.random);
  }
  if (settled) gate->give_back(work.ticket);
  TRUED_ASSERT(!settled || (!work.ticket.inside && work.ticket.line == Line::none));
  work.ticket.priority = work.operation.priority;
  gate->settle(id, work.ticket_before, work.ticket, work.taken);
}

// The turn came to nothing. What was spent of rate and budget stays spent.
void Engine::Impl::undo_gate(const OperationId& id, Work& work) {
  TargetGate* gate = gate_of(work.operation);
  if (gate == nullptr) return;
  if (work.ticket.reserved > work.ticket_before.reserved) gate->cancel(work.ticket);
  GateTicket back = work.ticket_before;
  back.reserved = std::min(back.reserved, work.ticket.reserved);
  TRUED_ASSERT(back.reserved <= work.ticket_before.reserved);
  gate->settle(id, work.ticket_before, back, work.taken);
  if (const auto entry = entries_.find(id); entry != entries_.end()) entry->second.ticket = back;
}

void Engine::Impl::snapshot_gates() {
  const Mono now = std::chrono::floor<Mono>(ports_.clock.monotonic());
  const WallTime wall = ports_.clock.wall();
  std::size_t i = 0;
  for (auto& [name, gate] : gates_) {
    GateStats& stats = counters_.targets.at(i++);
    stats = gate.stats(now);
    const CircuitBreaker& breaker = gate.breaker();
    stats.breaker_since = breaker.openings() == 0 ? gates_since_ : wall - (now - breaker.since());
    if (breaker.state() == BreakerState::open)
      stats.next_probe = wall + (breaker.open_until() - now);
  }
  TRUED_ASSERT(i == counters_.targets.size());
}

}  // namespace trued
