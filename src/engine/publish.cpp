// The second half of a turn: commit, then everything that may only follow from it.
#include <algorithm>

#include "base/assert.h"
#include "base/overloaded.h"
#include "engine/attempt.h"
#include "engine/impl.h"
#include "engine/write_input.h"
#include "json/parse.h"

namespace trued {
namespace {

constexpr Duration kLedgerPause{500};
constexpr Duration kReadWatchdog{60'000};  ///< a read that has not reported by then is made again

double seconds_of(std::chrono::nanoseconds span) {
  return std::chrono::duration<double>(span).count();
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

}  // namespace

Engine::Impl::Impl(EnginePorts ports, EngineOptions options) : ports_(ports), options_(options) {}

Result<void> Engine::Impl::recover() {
  TRUED_TRY(reader_, ports_.ledger.open_reader());
  std::vector<OperationId> waiting;
  auto visited = ports_.ledger.each_open([&](Operation&& operation) {
    const OperationId id = operation.id;
    Entry& entry = entries_[id];
    open_identities_.emplace(identity_digest(operation.identity), id);
    ++counters_.open_by_state.at(std::to_underlying(operation.state));
    const bool begun = operation.state != State::accepted || operation.due_for == Due::attempt;
    const bool early = operation.not_before && ports_.clock.wall() < *operation.not_before;
    if (begun) {
      locks_.enqueue(operation);
    } else if (!early) {
      waiting.push_back(id);
    }
    if (operation.state == State::attempting) post_local(id, Recover{});
    if (operation.due_for != Due::none && operation.state != State::attempting) {
      set_timer(entry, id, operation.due_at);
    }
    entry.operation = std::make_shared<const Operation>(std::move(operation));
  });
  if (!visited.has_value()) return visited;
  // Those that had begun keep their artifacts; the others follow in the order of acceptance.
  for (const OperationId& id : waiting) {
    if (locks_.enqueue(*entries_.at(id).operation)) post_local(id, Start{});
  }
  snapshot();
  return {};
}

Turn Engine::Impl::step() {
  const WallTime now = ports_.clock.wall();
  if (held_) return settle_held(now);
  TurnState turn;
  turn.now = now;
  if (now < ledger_retry_) {
    inbox->take(turn.messages, options_.inputs_per_turn_max);
    return pause(std::move(turn), "the last write failed a moment ago");
  }
  look_after_retention(now);
  take_messages(turn);
  const bool repeats = !repeats_.empty() && now >= repeats_due_;
  if (turn.messages.empty() && !repeats) {
    expire_waiters(now);
    snapshot();
    return {.worked = false, .next_due = next_due(now)};
  }
  if (!load(turn)) {
    ledger_down = true;
    ledger_retry_ = now + kLedgerPause;
    return pause(std::move(turn), "it cannot be read");
  }
  decide_all(turn);
  return commit(std::move(turn));
}

// Callers are refused, everything else waits for better times.
Turn Engine::Impl::pause(TurnState turn, const std::string& why) {
  refuse_submissions(turn, ledger_problem(why));
  std::ranges::move(turn.messages, std::back_inserter(local_));
  expire_waiters(turn.now);
  snapshot();
  return {.worked = false, .next_due = held_ ? held_retry_ : ledger_retry_};
}

Turn Engine::Impl::settle_held(WallTime now) {
  if (now < held_retry_) {
    TurnState arrived;
    arrived.now = now;
    inbox->take(arrived.messages, options_.inputs_per_turn_max);
    return pause(std::move(arrived), "the outcome of its last write is not known yet");
  }
  const CommitResult result = ports_.ledger.settle_unknown();
  if (result.outcome == CommitOutcome::unknown) {
    held_retry_ = now + kLedgerPause;
    return {.worked = false, .next_due = held_retry_};
  }
  TurnState turn = std::move(*held_);
  held_.reset();
  turn.now = now;
  return finish(std::move(turn), result);
}

Turn Engine::Impl::commit(TurnState turn) {
  Batch batch;
  batch.at = turn.now;
  for (const OperationId& id : turn.order) {
    Work& work = turn.works.at(id);
    if (work.events.empty()) continue;
    batch.changes.push_back({.row = std::move(work.operation),
                             .insert = work.insert,
                             .intent = std::move(work.intent_json),
                             .events = std::move(work.events),
                             .at = turn.now});
  }
  CommitResult result{.outcome = CommitOutcome::committed, .message = {}};
  if (!batch.changes.empty()) {
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
  return finish(std::move(turn), result);
}

Turn Engine::Impl::finish(TurnState turn, const CommitResult& result) {
  switch (result.outcome) {
    case CommitOutcome::committed:
      ledger_down = false;
      publish(turn);
      break;
    case CommitOutcome::rolled_back:
    case CommitOutcome::conflict:
      ledger_down = result.outcome == CommitOutcome::rolled_back;
      ledger_retry_ = turn.now + kLedgerPause;
      undo(turn, result.message);
      break;
    case CommitOutcome::unknown:
      ++counters_.commits_unknown;
      ledger_down = true;
      held_ = std::move(turn);
      held_retry_ = ports_.clock.wall();
      snapshot();
      return {.worked = true, .next_due = held_retry_};
  }
  expire_waiters(turn.now);
  snapshot();
  return {.worked = true, .next_due = next_due(turn.now)};
}

void Engine::Impl::publish(TurnState& turn) {
  for (DirectAnswer& direct : turn.answers) direct.reply(std::move(direct.answer));
  for (const OperationId& id : turn.order) publish(turn, id, turn.works.at(id));
  release_after(turn.effects_ended);
}

void Engine::Impl::publish(TurnState& turn, const OperationId& id, Work& work) {
  count(work, turn.now);
  const bool settled = is_settled(work.operation.state);
  auto slot = entries_.find(id);
  if (slot == entries_.end()) {
    if (settled) {
      const auto operation = std::make_shared<const Operation>(std::move(work.operation));
      for (Waiter& waiter : work.waiters) {
        waiter.reply(Answer{waiter.decision, operation, std::nullopt});
      }
      return;
    }
    slot = entries_.try_emplace(id).first;
    open_identities_.emplace(identity_digest(work.operation.identity), id);
  }
  Entry& entry = slot->second;
  if (work.events.empty()) return attend(turn, entry, work);
  if (entry.operation) --counters_.open_by_state.at(std::to_underlying(entry.operation->state));
  entry.operation = std::make_shared<const Operation>(std::move(work.operation));
  if (!entry.intent) entry.intent = std::move(work.intent);
  if (!settled) return keep(turn, entry, work);
  std::ranges::move(work.waiters, std::back_inserter(entry.waiters));
  const std::shared_ptr<const Operation> operation = entry.operation;
  answer_waiters(entry, turn.now, true);
  close(turn, *operation);
}

// It stays open.
void Engine::Impl::keep(TurnState& turn, Entry& entry, Work& work) {
  const Operation& operation = *entry.operation;
  ++counters_.open_by_state.at(std::to_underlying(operation.state));
  // A record that moves nothing must not wake what is already under way.
  if (!std::ranges::all_of(work.events, moves_nothing)) {
    const bool timed = operation.due_for != Due::none;
    set_timer(entry, operation.id, timed ? operation.due_at : std::nullopt);
  }
  attend(turn, entry, work);
}

// Callers who wait for it, and what is to be done for it now.
void Engine::Impl::attend(TurnState& turn, Entry& entry, Work& work) {
  const std::shared_ptr<const Operation> operation = entry.operation;
  for (Waiter& waiter : work.waiters) {
    if (waiter.until > turn.now) waits_.emplace(waiter.until, operation->id);
    entry.waiters.push_back(std::move(waiter));
  }
  answer_waiters(entry, turn.now, false);
  for (const Action& action : work.actions) dispatch(*operation, entry, action);
}

void Engine::Impl::close(TurnState& turn, const Operation& operation) {
  Entry& entry = entries_.at(operation.id);
  set_timer(entry, operation.id, std::nullopt);
  if (!effects_out_.contains(operation.id)) release_artifacts(operation.id);
  counters_.settle_seconds.add(seconds_of(turn.now - operation.created_at));
  open_identities_.erase(identity_digest(operation.identity));
  entries_.erase(operation.id);
}

void Engine::Impl::release_artifacts(const OperationId& id) {
  for (const OperationId& next : locks_.release(id)) post_local(next, Start{});
}

// Operations that settled while an effect of theirs was out, and it has come back now.
void Engine::Impl::release_after(const std::vector<OperationId>& effects_ended) {
  for (const OperationId& id : effects_ended) {
    if (!effects_out_.contains(id) && !entries_.contains(id)) release_artifacts(id);
  }
}

void Engine::Impl::undo(TurnState& turn, const std::string& why) {
  for (const OperationId& id : turn.enqueued) release_artifacts(id);
  release_after(turn.effects_ended);
  const EngineProblem problem = ledger_problem(why);
  for (DirectAnswer& direct : turn.answers) direct.reply(problem);
  for (auto& [id, work] : turn.works) {
    for (Waiter& waiter : work.waiters) waiter.reply(problem);
    counters_.refused += work.waiters.size();
  }
  for (Message& message : turn.messages) {
    if (std::holds_alternative<MoveMessage>(message)) local_.push_back(std::move(message));
  }
  for (const auto& [id, counts] : turn.repeats) {
    for (const auto& [decision, count] : counts) repeats_[id][decision] += count;
  }
}

void Engine::Impl::dispatch(const Operation& operation, Entry& entry, const Action& action) {
  const auto found = ports_.targets.find(operation.target);
  const bool configured = found != ports_.targets.end();
  const std::string missing =
      !configured ? "the target '" + operation.target + "' is not configured any more"
      : ensure_intent(operation.id, entry) ? ""
                                           : "its intent cannot be read from the ledger";
  if (missing.empty()) {
    std::visit(
        Overloaded{
            [&](const RunAttempt& a) { dispatch_attempt(operation, entry, found->second, a); },
            [&](const RunRead& a) { dispatch_read(operation, entry, found->second, a); },
        },
        action);
    return;
  }
  if (const auto* attempt = std::get_if<RunAttempt>(&action)) {
    AttemptReport report;
    report.attempt = attempt->attempt;
    report.effect.kind = EffectKind::not_sent;
    report.effect.reason = missing;
    post_local(operation.id, std::move(report));
    return;
  }
  ReadReport report;
  report.attempt = AttemptNo(operation.attempts);
  for (std::uint32_t i = 0; i < operation.artifacts.size(); ++i) {
    Observation read;
    read.artifact = i;
    read.detail = missing;
    report.reads.push_back(std::move(read));
  }
  post_local(operation.id, std::move(report));
}

void Engine::Impl::dispatch_attempt(const Operation& operation, const Entry& entry,
                                    const Target& target, const RunAttempt& action) {
  const bool lied = operation.tell.has_value() && operation.attempts > 1;
  AttemptJob job{.operation = operation.id,
                 .attempt = action.attempt,
                 .first = action.first,
                 .verify = operation.verify,
                 .has_serving = operation.has_serving,
                 .restage = lied,
                 .key = operation.identity.key,
                 .actor = operation.actor,
                 .since = operation.version_before,
                 .intent = entry.intent};
  hand_out(
      target,
      [&target, &clock = ports_.clock, job = std::move(job)]() -> Input {
        return run_attempt(target, job, clock);
      },
      operation.id, true);
}

void Engine::Impl::dispatch_read(const Operation& operation, Entry& entry, const Target& target,
                                 const RunRead& action) {
  ReadJob job{.operation = operation.id,
              .attempt = action.attempt,
              .since = operation.version_before,
              .reported = operation.version,
              .store_artifacts = {},
              .serving_artifacts = {},
              .has_serving = operation.has_serving,
              .intent = entry.intent};
  for (std::uint32_t i = 0; i < operation.artifacts.size(); ++i) {
    const ArtifactState& artifact = operation.artifacts.at(i);
    if (wants_read(artifact, Level::store, operation.has_serving)) {
      job.store_artifacts.push_back(i);
    }
    if (wants_read(artifact, Level::serving, operation.has_serving)) {
      job.serving_artifacts.push_back(i);
    }
  }
  set_timer(entry, operation.id, ports_.clock.wall() + kReadWatchdog);
  hand_out(
      target,
      [&target, &clock = ports_.clock, job = std::move(job)]() -> Input {
        return run_read(target, job, clock);
      },
      operation.id, false);
}

void Engine::Impl::hand_out(const Target& target, std::move_only_function<Input()> job,
                            OperationId id, bool effect) {
  if (target.store->is_inline() && !target.serving) return post_local(id, job());
  ++jobs_in_flight;
  if (effect) ++effects_out_[id];
  ports_.runner.run([box = inbox, id, effect, job = std::move(job)]() mutable {
    box->push(MoveMessage{.id = id, .input = job(), .ends_job = true, .ends_effect = effect});
  });
}

void Engine::Impl::post_local(const OperationId& id, Input input) {
  local_.emplace_back(MoveMessage{.id = id, .input = std::move(input), .ends_job = false});
}

bool Engine::Impl::ensure_intent(const OperationId& id, Entry& entry) {
  if (entry.intent) return true;
  auto stored = reader_->intent(id);
  if (!stored.has_value() || !stored.value()) return false;
  auto value = json::parse(*stored.value());
  if (!value.has_value()) return false;
  InputFault fault;
  auto input = parse_write_input(std::move(value.value()), nullptr, fault);
  if (!input) return false;
  entry.intent = std::move(input->intent);
  return true;
}

void Engine::Impl::set_timer(Entry& entry, const OperationId& id, std::optional<WallTime> at) {
  if (entry.timer == at) return;
  if (entry.timer) timers_.erase({*entry.timer, id});
  entry.timer = at;
  if (at) timers_.emplace(*at, id);
}

void Engine::Impl::answer_waiters(Entry& entry, WallTime now, bool all) {
  const auto keep_from = std::ranges::partition(
      entry.waiters, [&](const Waiter& waiter) { return all || waiter.until <= now; });
  for (auto it = entry.waiters.begin(); it != keep_from.begin(); ++it) {
    waits_.erase({it->until, entry.operation->id});
    it->reply(Answer{it->decision, entry.operation, std::nullopt});
  }
  entry.waiters.erase(entry.waiters.begin(), keep_from.begin());
}

void Engine::Impl::expire_waiters(WallTime now) {
  while (!waits_.empty() && waits_.begin()->first <= now) {
    const auto entry = entries_.find(waits_.begin()->second);
    waits_.erase(waits_.begin());
    if (entry != entries_.end()) answer_waiters(entry->second, now, false);
  }
}

void Engine::Impl::release_waiters() {
  for (auto& [id, entry] : entries_) answer_waiters(entry, ports_.clock.wall(), true);
  TurnState rest;
  inbox->take(rest.messages, options_.inputs_per_turn_max);
  refuse_submissions(rest, {.code = ProblemCode::draining,
                            .name = {},
                            .detail = "the server is stopping, nothing was accepted",
                            .retry_after = Duration{2'000}});
  if (!held_) return;
  const EngineProblem unknown{
      .code = ProblemCode::outcome_unknown,
      .name = {},
      .detail =
          "whether it was accepted is not known: the ledger failed while it was written; "
          "submit it again under the same key",
      .retry_after = Duration{2'000}};
  for (DirectAnswer& direct : held_->answers) direct.reply(unknown);
  for (auto& [id, work] : held_->works) {
    for (Waiter& waiter : work.waiters) waiter.reply(unknown);
  }
  held_.reset();
}

void Engine::Impl::look_after_retention(WallTime now) {
  if (now < retire_due_) return;
  const auto retired = ports_.ledger.retire(now, options_.retire_per_turn);
  const bool more = retired.has_value() && retired.value() == options_.retire_per_turn;
  if (!retired.has_value()) ++counters_.retire_failures;
  retire_due_ = more ? now : now + options_.retire_every;
}

std::optional<WallTime> Engine::Impl::next_due(WallTime now) const {
  if (!local_.empty()) return now;
  std::optional<WallTime> due = retire_due_;
  const auto sooner = [&](WallTime at) { due = std::min(*due, at); };
  if (!timers_.empty() && !draining.load()) sooner(timers_.begin()->first);
  if (!waits_.empty()) sooner(waits_.begin()->first);
  if (!repeats_.empty()) sooner(repeats_due_);
  return due;
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

void Engine::Impl::snapshot() {
  counters_.open = entries_.size();
  counters_.in_flight = jobs_in_flight.load();
  counters_.waiters = waits_.size();
  counters_.oldest_open_ms =
      entries_.empty()
          ? 0
          : (ports_.clock.wall() - entries_.begin()->second.operation->created_at).count();
  const std::scoped_lock lock(stats_mutex_);
  published_ = counters_;
}

EngineStats Engine::Impl::stats() const {
  const std::scoped_lock lock(stats_mutex_);
  return published_;
}

}  // namespace trued
