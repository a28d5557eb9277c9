// The second half of a turn: commit, then everything that may only follow from it.
#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "base/overloaded.h"
#include "engine/attempt.h"
#include "engine/impl.h"

namespace trued {
namespace {

constexpr Duration kLedgerPause{500};
// After a failed write the engine is not ready for so long: longer than a call to the ledger takes
// to fail. Then one more write may find out; whoever asks for readiness first would never send it.
constexpr Mono kLedgerDown{15'000};
constexpr Duration kFloorPause{200};  ///< before it is looked again whether what waits may begin
constexpr Duration kHeldPatience{5'000};  ///< with a commit of unknown outcome, for every caller

double seconds_of(std::chrono::nanoseconds span) {
  return std::chrono::duration<double>(span).count();
}

// Nothing is younger than now, whatever was done to the clock since.
Duration age(const Operation& operation, WallTime now) {
  return std::max(now - operation.created_at, Duration{0});
}

bool moves_nothing(const Event& event) {
  return std::holds_alternative<Repeated>(event) || std::holds_alternative<LateEvidence>(event);
}

EngineProblem ledger_problem(const std::string& why) {
  return {.code = ProblemCode::ledger_unavailable,
          .name = {},
          .detail = "the ledger cannot be written now, nothing was accepted: " + why,
          .retry_after = Duration{1'000}};
}

constexpr std::string_view kFenced = "another node has taken over; ask that one";

EngineProblem draining_problem() {
  return {.code = ProblemCode::draining,
          .name = {},
          .detail = "the server is stopping, nothing was accepted",
          .retry_after = Duration{2'000}};
}

}  // namespace

Engine::Impl::Impl(EnginePorts ports, EngineOptions options)
    : ports_(ports),
      options_(options),
      jobs_(ports.runner, inbox, std::max<std::size_t>(options.jobs_per_target_max, 1)) {
  open_gates();
}

void Engine::Impl::assert_invariants() const {
  const auto& by_state = counters_.open_by_state;
  TRUED_ASSERT(std::accumulate(by_state.begin(), by_state.end(), std::uint64_t{0}) ==
               entries_.size());
  TRUED_ASSERT(open_identities_.size() <= entries_.size());
  TRUED_ASSERT(timers_.size() <= entries_.size());
  TRUED_ASSERT(!held_ || ledger_down_until_.load() == Mono::max());
  TRUED_ASSERT(answers_.empty());
  if (!entries_.empty()) return;
  TRUED_ASSERT(waits_.empty() && open_identities_.empty());
  TRUED_ASSERT(open_bytes_ == 0);
}

Result<void> Engine::Impl::recover() {
  TRUED_TRY(reader_, ports_.ledger.open_reader());
  std::vector<OperationId> waiting;
  std::optional<Error> unreadable;
  auto visited = ports_.ledger.each_open([&](Operation&& operation) {
    const OperationId id = operation.id;
    Entry& entry = entries_[id];
    std::shared_ptr<const Intent> intent;
    open_identities_.emplace(identity_digest(operation.identity), id);
    ++counters_.open_by_state.at(std::to_underlying(operation.state));
    // Whoever waits for its turn, the first time or asked to try again, is not at work.
    const bool undone = operation.state == State::compensating;
    const bool begun = !undone && operation.due_for != Due::start &&
                       (operation.state != State::accepted || operation.due_for == Due::attempt);
    const bool early = before_its_time(operation, ports_.clock.wall());
    if (begun) {
      auto turns = turns_of(operation, intent);
      if (!turns.has_value()) {
        unreadable = turns.error();
        return;
      }
      locks_.enqueue(operation, std::move(turns).value());
    } else if (!early && !undone) {
      waiting.push_back(id);
    }
    // What a worker has in its hands goes on, and has a whole lease to be heard of.
    const bool leased = is_leased(operation);
    const bool lost = operation.state == State::attempting && !leased;
    if (lost || undone) post_local(id, Recover{});
    if (operation.due_for != Due::none && operation.state != State::attempting) {
      set_timer(entry, id, operation.due_at);
    }
    if (leased) {
      const Duration lease = policy_of(operation.definition, operation.target).lease;
      set_timer(entry, id, std::max(*operation.due_at, ports_.clock.wall() + lease));
      leases_.follow(operation, false);
    }
    keep_intent(entry, std::move(intent));
    entry.operation = std::make_shared<const Operation>(std::move(operation));
  });
  if (!visited.has_value()) return visited;
  if (unreadable) return *unreadable;
  // Those that had begun keep their artifacts; the others follow in the order of acceptance.
  for (const OperationId& id : waiting) {
    Entry& entry = entries_.at(id);
    std::shared_ptr<const Intent> intent;
    TRUED_TRY(auto turns, turns_of(*entry.operation, intent));
    keep_intent(entry, std::move(intent));
    if (locks_.enqueue(*entry.operation, std::move(turns))) post_local(id, Start{});
  }
  show();
  return {};
}

void Engine::Impl::push_or_refuse(Message message) {
  if (inbox->push(std::move(message))) return;
  std::visit(Overloaded{
                 [](MoveMessage&) {},
                 [](auto& asked) { asked.reply(draining_problem()); },
             },
             message);
}

TurnState Engine::Impl::new_turn() const {
  TurnState turn;
  turn.now = ports_.clock.wall();
  turn.mono = std::chrono::floor<Mono>(ports_.clock.monotonic());
  turn.begun = turn.mono;
  turn.below = below_floor();
  return turn;
}

Turn Engine::Impl::step() {
  TurnState turn = new_turn();
  if (fenced.load()) return stand_aside(std::move(turn));
  if (held_) return settle_held(std::move(turn));
  if (turn.mono < ledger_retry_) {
    inbox->take(turn.messages, options_.inputs_per_turn_max);
    return pause(std::move(turn), "the last write failed a moment ago");
  }
  look_after_retention(turn);
  if (draining.load()) {
    call_back_waiting_jobs();
    take_back(leases_.dismiss(std::nullopt, turn.mono));
  }
  take_messages(turn);
  if (rarely("repeats written at once")) repeats_due_ = turn.mono;
  const bool repeats = !repeats_.empty() && turn.mono >= repeats_due_;
  if (turn.messages.empty() && !repeats) {
    expire_waiters(turn.mono);
    show();
    return {.worked = false, .next_in = next_in(turn)};
  }
  if (!load(turn)) {
    ledger_down_until_ = turn.mono + kLedgerDown;
    ledger_retry_ = turn.mono + kLedgerPause;
    return pause(std::move(turn), "it cannot be read");
  }
  if (shows_another_node(turn)) {
    fenced = true;
    return stand_aside(std::move(turn));
  }
  decide_all(turn);
  return commit(std::move(turn));
}

// Nothing that this node decides counts any more. What ran comes back, and is not heard.
Turn Engine::Impl::stand_aside(TurnState turn) {
  call_back_waiting_jobs();
  inbox->take(turn.messages, options_.inputs_per_turn_max);
  refuse_submissions(turn, ledger_problem(std::string(kFenced)));
  for (Message& message : turn.messages) {
    auto* move = std::get_if<MoveMessage>(&message);
    if (move != nullptr && move->end) jobs_.end(move->id, *move->end);
  }
  local_.clear();
  for (auto& [id, entry] : entries_) answer_waiters(entry, turn.mono, true);
  // What comes back is another node's to find out about.
  leases_.dismiss(ledger_problem(std::string(kFenced)), turn.mono);
  show();
  return {.worked = false, .next_in = std::nullopt};
}

// Callers are refused, everything else waits for better times.
Turn Engine::Impl::pause(TurnState turn, const std::string& why) {
  refuse_submissions(turn, ledger_problem(why));
  std::ranges::move(turn.messages, std::back_inserter(local_));
  expire_waiters(turn.mono);
  show();
  const Mono again = held_ ? held_retry_ : ledger_retry_;
  return {.worked = false, .next_in = std::max(again - turn.mono, Mono{1})};
}

Turn Engine::Impl::settle_held(TurnState turn) {
  TRUED_ASSERT(held_.has_value());
  answer_held(turn.mono);
  if (turn.mono >= held_retry_) {
    const CommitResult result = ports_.ledger.settle_unknown();
    if (result.outcome != CommitOutcome::unknown) {
      TurnState held = std::move(*held_);
      held_.reset();
      held.now = turn.now;
      held.mono = turn.mono;
      return finish(std::move(held), result);
    }
    held_retry_ = turn.mono + kLedgerPause;
  }
  // Also when it has just failed again: the inbox wakes nobody for what came while it was not
  // empty.
  inbox->take(turn.messages, options_.inputs_per_turn_max);
  return pause(std::move(turn), "the outcome of its last write is not known yet");
}

Turn Engine::Impl::commit(TurnState turn) {
  TRUED_ASSERT(!held_ && !fenced.load());
  TRUED_ASSERT(turn.works.size() == turn.order.size());
  Batch batch;
  batch.at = turn.now;
  for (const OperationId& id : turn.order) {
    Work& work = turn.works.at(id);
    if (work.events.empty()) continue;
    TRUED_ASSERT(work.insert == std::holds_alternative<Accepted>(work.events.front()));
    batch.changes.push_back({.row = std::move(work.operation),
                             .insert = work.insert,
                             .intent = std::move(work.intent_json),
                             .events = std::move(work.events),
                             .at = turn.now});
  }
  CommitResult result{.outcome = CommitOutcome::committed, .message = {}};
  turn.wrote = !batch.changes.empty();
  if (turn.wrote) {
    const auto begin = ports_.clock.monotonic();
    result = ports_.ledger.commit(batch);
    counters_.commit_seconds.add(seconds_of(ports_.clock.monotonic() - begin));
    ++counters_.commits;
    counters_.committed_changes += batch.changes.size();
    for (Change& change : batch.changes) {
      Work& work = turn.works.at(change.row.id);
      work.operation = std::move(change.row);
      work.events = std::move(change.events);
    }
  }
  TRUED_ASSERT(turn.wrote || result.outcome == CommitOutcome::committed);
  return finish(std::move(turn), result);
}

Turn Engine::Impl::finish(TurnState turn, const CommitResult& result) {
  if (ports_.floor != nullptr && result.outcome != CommitOutcome::committed) {
    ports_.floor->look_again();
  }
  TRUED_ASSERT(!held_);
  switch (result.outcome) {
    case CommitOutcome::committed:
      // A turn that wrote nothing says nothing of the ledger.
      if (turn.wrote) ledger_down_until_ = Mono{0};
      publish(turn);
      break;
    case CommitOutcome::rolled_back:
    case CommitOutcome::conflict:
      ledger_down_until_ =
          result.outcome == CommitOutcome::rolled_back ? turn.mono + kLedgerDown : Mono{0};
      ledger_retry_ = turn.mono + kLedgerPause;
      undo(turn, result.message);
      break;
    case CommitOutcome::fenced:
      fenced = true;
      undo(turn, std::string(kFenced));
      break;
    case CommitOutcome::unknown:
      ++counters_.commits_unknown;
      ledger_down_until_ = Mono::max();
      held_retry_ = turn.mono;
      held_since_ = turn.mono;
      held_ = std::move(turn);
      show();
      return {.worked = true, .next_in = Duration{0}};
  }
  expire_waiters(turn.mono);
  show();
  return {.worked = true, .next_in = next_in(turn)};
}

void Engine::Impl::publish(TurnState& turn) {
  std::ranges::move(turn.answers, std::back_inserter(answers_));
  for (const OperationId& id : turn.order) publish(turn, id, turn.works.at(id));
  release_after(turn.effects_ended);
  deliver_leases(turn);
}

void Engine::Impl::publish(TurnState& turn, const OperationId& id, Work& work) {
  count(work, turn.now);
  follow_lease(work);
  const bool settled = is_settled(work.operation.state);
  settle_gate(turn, id, work, settled);
  auto slot = entries_.find(id);
  if (slot == entries_.end()) {
    if (settled) {
      const auto operation = std::make_shared<const Operation>(std::move(work.operation));
      for (Waiter& waiter : work.waiters) {
        say(waiter.reply, Answer{waiter.decision, operation, std::nullopt, waiter.reexecutes});
      }
      // It may have taken its tickets and settled in one turn.
      if (!jobs_.effect_out(id)) release_artifacts(id);
      return;
    }
    slot = entries_.try_emplace(id).first;
    open_identities_.emplace(identity_digest(work.operation.identity), id);
  }
  Entry& entry = slot->second;
  entry.ticket = work.ticket;
  if (work.events.empty()) return attend(turn, entry, work);
  if (entry.operation) --counters_.open_by_state.at(std::to_underlying(entry.operation->state));
  entry.operation = std::make_shared<const Operation>(std::move(work.operation));
  if (!entry.intent) keep_intent(entry, std::move(work.intent));
  if (!settled) return keep(turn, entry, work);
  std::ranges::move(work.waiters, std::back_inserter(entry.waiters));
  const std::shared_ptr<const Operation> operation = entry.operation;
  answer_waiters(entry, turn.mono, true);
  close(turn, *operation);
}

// It stays open.
void Engine::Impl::keep(TurnState& turn, Entry& entry, Work& work) {
  const Operation& operation = *entry.operation;
  TRUED_ASSERT(!is_settled(operation.state) && !work.events.empty());
  ++counters_.open_by_state.at(std::to_underlying(operation.state));
  // A record that moves nothing must not wake what is already under way.
  if (!std::ranges::all_of(work.events, moves_nothing)) {
    below_floor_.erase(operation.id);
    const bool timed = operation.due_for != Due::none;
    set_timer(entry, operation.id, timed ? operation.due_at : std::nullopt);
  }
  attend(turn, entry, work);
}

// Callers who wait for it, and what is to be done for it now.
void Engine::Impl::attend(TurnState& turn, Entry& entry, Work& work) {
  const std::shared_ptr<const Operation> operation = entry.operation;
  for (Waiter& waiter : work.waiters) {
    if (waiter.until > turn.mono) waits_.emplace(waiter.until, operation->id);
    entry.waiters.push_back(std::move(waiter));
  }
  answer_waiters(entry, turn.mono, false);
  for (const Action& action : work.actions) dispatch(*operation, entry, action);
  // Whoever is in line is called from there; the deadline ends every wait.
  if (work.below_floor) return wait_for_floor(entry);
  const bool called = entry.ticket.line != Line::none || entry.ticket.wants_worker;
  if (called) set_timer(entry, operation->id, operation->deadline);
}

void Engine::Impl::close(TurnState& turn, const Operation& operation) {
  const auto entry = entries_.find(operation.id);
  TRUED_ASSERT(entry != entries_.end() && is_settled(operation.state));
  TRUED_ASSERT(entry->second.waiters.empty());  // nobody is left without an answer
  set_timer(entry->second, operation.id, std::nullopt);
  if (!jobs_.effect_out(operation.id)) release_artifacts(operation.id);
  counters_.settle_seconds.add(seconds_of(age(operation, turn.now)));
  open_identities_.erase(identity_digest(operation.identity));
  if (entry->second.intent) {
    const std::size_t bytes = bytes_of(*entry->second.intent);
    TRUED_ASSERT(open_bytes_ >= bytes);
    open_bytes_ -= bytes;
  }
  below_floor_.erase(operation.id);
  entries_.erase(entry);
}

void Engine::Impl::keep_intent(Entry& entry, std::shared_ptr<const Intent> intent) {
  if (rarely("contents not kept in memory")) intent = nullptr;
  TRUED_ASSERT(!entry.intent);  // or its bytes would be counted twice
  if (intent) open_bytes_ += bytes_of(*intent);
  entry.intent = std::move(intent);
}

void Engine::Impl::release_artifacts(const OperationId& id) {
  for (const OperationId& next : locks_.release(id)) post_local(next, Start{});
}

// Operations that settled while an effect of theirs was out, and it has come back now.
void Engine::Impl::release_after(const std::vector<OperationId>& effects_ended) {
  for (const OperationId& id : effects_ended) {
    const auto entry = entries_.find(id);
    const bool over =
        entry == entries_.end() || entry->second.operation->state == State::compensating;
    if (!jobs_.effect_out(id) && over) release_artifacts(id);
  }
}

void Engine::Impl::undo(TurnState& turn, const std::string& why) {
  for (const OperationId& id : turn.enqueued) release_artifacts(id);
  release_after(turn.effects_ended);
  const EngineProblem problem = ledger_problem(why);
  for (DirectAnswer& direct : turn.answers) say(direct.reply, problem);
  for (auto& [id, work] : turn.works) {
    undo_gate(id, work);
    for (Waiter& waiter : work.waiters) say(waiter.reply, problem);
    counters_.refused += work.waiters.size();
  }
  for (Message& message : turn.messages) {
    if (std::holds_alternative<MoveMessage>(message)) local_.push_back(std::move(message));
  }
  for (const auto& [id, counts] : turn.repeats) {
    for (const auto& [decision, count] : counts) repeats_[id][decision] += count;
  }
}

void Engine::Impl::set_timer(Entry& entry, const OperationId& id, std::optional<WallTime> at) {
  if (entry.timer == at) return;
  if (entry.timer) {
    const std::size_t erased = timers_.erase({*entry.timer, id});
    TRUED_ASSERT(erased == 1);
  }
  entry.timer = at;
  if (!at) return;
  const bool placed = timers_.emplace(*at, id).second;
  TRUED_ASSERT(placed);
}

void Engine::Impl::answer_waiters(Entry& entry, Mono now, bool all) {
  const auto keep_from = std::ranges::partition(
      entry.waiters, [&](const Waiter& waiter) { return all || waiter.until <= now; });
  for (auto it = entry.waiters.begin(); it != keep_from.begin(); ++it) {
    waits_.erase({it->until, entry.operation->id});
    say(it->reply, Answer{it->decision, entry.operation, std::nullopt, it->reexecutes});
  }
  entry.waiters.erase(entry.waiters.begin(), keep_from.begin());
  TRUED_ASSERT(!all || entry.waiters.empty());
}

void Engine::Impl::expire_waiters(Mono now) {
  take_back(leases_.settle(now));
  while (!waits_.empty() && waits_.begin()->first <= now) {
    const auto entry = entries_.find(waits_.begin()->second);
    waits_.erase(waits_.begin());
    if (entry != entries_.end()) answer_waiters(entry->second, now, false);
  }
}

void Engine::Impl::release_waiters() {
  for (auto& [id, entry] : entries_) answer_waiters(entry, Mono{}, true);
  // No turn comes any more: what comes back lapses.
  leases_.dismiss(draining_problem(), std::chrono::floor<Mono>(ports_.clock.monotonic()));
  TurnState rest;
  rest.messages = inbox->close();
  refuse_submissions(rest, draining_problem());
  if (held_) answer_held(Mono::max());
  held_.reset();
  show();
}

// Whether it was accepted is not known, and may not be for long: nobody waits for that beyond their
// time.
void Engine::Impl::answer_held(Mono now) {
  TRUED_ASSERT(held_.has_value());
  const bool patience_over = now >= held_since_ + kHeldPatience;
  const EngineProblem unknown{
      .code = ProblemCode::outcome_unknown,
      .name = {},
      .detail =
          "whether it was accepted is not known: the ledger failed while it was written; "
          "submit it again under the same key",
      .retry_after = Duration{2'000}};
  if (patience_over) {
    for (DirectAnswer& direct : held_->answers) say(direct.reply, unknown);
    held_->answers.clear();
  }
  for (auto& [id, work] : held_->works) {
    std::erase_if(work.waiters, [&](Waiter& waiter) {
      const bool over = patience_over && waiter.until <= now;
      if (over) say(waiter.reply, unknown);
      return over;
    });
  }
}

void Engine::Impl::look_after_retention(const TurnState& turn) {
  if (turn.mono < retire_due_ && !rarely("retention looked after early")) return;
  const auto retired = ports_.ledger.retire(turn.now, options_.retire_per_turn);
  const bool more = retired.has_value() && retired.value() == options_.retire_per_turn;
  if (!retired.has_value()) ++counters_.retire_failures;
  retire_due_ = more ? turn.mono : turn.mono + options_.retire_every;
}

Duration Engine::Impl::next_in(const TurnState& turn) {
  if (!local_.empty()) return Duration{0};
  Duration span = retire_due_ - turn.mono;
  if (!timers_.empty() && !draining.load()) {
    span = std::min<Duration>(span, timers_.begin()->first - turn.now);
  }
  if (const auto release = next_release(turn.mono); release && !draining.load()) {
    span = std::min(span, *release);
  }
  if (!waits_.empty()) span = std::min<Duration>(span, waits_.begin()->first - turn.mono);
  if (!below_floor_.empty()) span = std::min(span, kFloorPause);
  if (const auto work = leases_.wake(turn.mono)) span = std::min<Duration>(span, *work - turn.mono);
  if (!repeats_.empty()) span = std::min<Duration>(span, repeats_due_ - turn.mono);
  return std::max(span, Duration{0});
}

void Engine::Impl::count(const Event& event) {
  if (const auto* ended = std::get_if<EffectEnded>(&event)) {
    ++counters_.effects.at(std::to_underlying(ended->kind));
  } else if (const auto* lie = std::get_if<LieCaught>(&event)) {
    ++counters_.tells.at(std::to_underlying(lie->tell));
  } else if (const auto* settled = std::get_if<Settled>(&event)) {
    ++counters_.settled.at(std::to_underlying(settled->state));
  }
}

void Engine::Impl::count(const Work& work, WallTime) {
  for (const Event& event : work.events) {
    count(event);
    const auto* read = std::get_if<ReadBack>(&event);
    if (read == nullptr) continue;
    for (const Observation& seen : read->reads) {
      const ArtifactSummary& meant = work.operation.artifacts.at(seen.artifact).meant;
      const Verdict verdict = judge(meant, seen);
      ++counters_.verdicts.at(std::to_underlying(verdict));
    }
  }
}

void Engine::Impl::say(Reply& reply, std::variant<Answer, EngineProblem> answer) {
  answers_.push_back({std::move(reply), std::move(answer)});
}

// What a caller has been told must not be missing from figures that are asked for afterwards.
void Engine::Impl::show() {
  snapshot();
  for (DirectAnswer& direct : std::exchange(answers_, {})) {
    TRUED_ASSERT(direct.reply != nullptr);
    direct.reply(std::move(direct.answer));
  }
  leases_.send();
  assert_invariants();
}

void Engine::Impl::snapshot() {
  counters_.open = entries_.size();
  counters_.in_flight = jobs_.out();
  counters_.waiters = waits_.size();
  const WallTime now = ports_.clock.wall();
  counters_.oldest_open_ms =
      entries_.empty() ? 0 : age(*entries_.begin()->second.operation, now).count();
  snapshot_gates();
  counters_.leases = leases_.stats(now);
  for (LeaseStats& lease : counters_.leases) {
    const auto oldest = lease.oldest_queued ? entries_.find(*lease.oldest_queued) : entries_.end();
    if (oldest == entries_.end()) continue;
    lease.oldest_queued_ms = age(*oldest->second.operation, now).count();
  }
  const std::scoped_lock lock(stats_mutex_);
  published_ = counters_;
}

EngineStats Engine::Impl::stats() const {
  const std::scoped_lock lock(stats_mutex_);
  return published_;
}

}  // namespace trued
