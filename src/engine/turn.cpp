// The first half of a turn: inputs, loading, deciding. Nothing here is visible outside the turn.
#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/overloaded.h"
#include "engine/attempt.h"
#include "engine/impl.h"
#include "engine/write_input.h"

namespace trued {
namespace {

constexpr Duration kOverloadRetryAfter{2'000};
constexpr Duration kFloorRetryAfter{5'000};

EngineProblem below_floor_problem(const TurnState& turn) {
  return {.code = ProblemCode::below_floor,
          .name = {},
          .detail = turn.below + "; nothing was accepted",
          .retry_after = kFloorRetryAfter};
}

ArtifactSummary summary_of(const ArtifactIntent& artifact) {
  return {.name = artifact.name, .absent = artifact.absent, .id = artifact.id};
}

bool is_repeat(SubmitDecision decision) {
  return decision == SubmitDecision::duplicate || decision == SubmitDecision::in_flight ||
         decision == SubmitDecision::conflict;
}

}  // namespace

std::size_t DigestHash::operator()(const Digest& digest) const {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.bytes.data(), sizeof hash);
  return hash;
}

const Target* Engine::Impl::target_of(const std::string& definition,
                                      const std::string& target) const {
  // Not by the target's name: what the definition says of it counts, or nothing does.
  if (ports_.types != nullptr && definition != kWriteDefinition) {
    return ports_.types->target(definition);
  }
  const auto found = ports_.targets.find(target);
  return found == ports_.targets.end() ? nullptr : &found->second;
}

const Policy& Engine::Impl::policy_of(const std::string& definition,
                                      const std::string& target) const {
  const Target* found = target_of(definition, target);
  return found == nullptr ? fallback_policy_ : found->policy;
}

void Engine::Impl::take_messages(TurnState& turn) {
  turn.messages = std::exchange(local_, {});
  inbox->take(turn.messages, rarely("a turn of one") ? 1 : options_.inputs_per_turn_max);
  if (rarely("a timer for nothing") && !entries_.empty()) {
    auto any = entries_.begin();
    std::advance(any, static_cast<std::ptrdiff_t>(ports_.random.next() % entries_.size()));
    turn.messages.emplace_back(MoveMessage{any->first, TimerDue{}});
  }
  if (draining.load()) {
    // What runs may report; nothing new is begun. The rest is durable and goes on at next start.
    std::erase_if(turn.messages, [](const Message& message) {
      const auto* move = std::get_if<MoveMessage>(&message);
      return move != nullptr && move->input && std::holds_alternative<Start>(*move->input);
    });
    return;
  }
  release_held(turn);
  if (turn.below.empty()) {
    release_from_floor(turn);
    serve_workers(turn);
  }
  while (!timers_.empty() && timers_.begin()->first <= turn.now &&
         turn.messages.size() < 2 * options_.inputs_per_turn_max) {
    const OperationId id = timers_.begin()->second;
    set_timer(entries_.at(id), id, std::nullopt);
    turn.messages.emplace_back(MoveMessage{id, TimerDue{}});
  }
}

// One load for everything the messages touch and memory does not hold.
bool Engine::Impl::load(TurnState& turn) {
  std::vector<Identity> identities;
  std::vector<OperationId> ids;
  const auto want_row = [&](const OperationId& id) {
    if (!entries_.contains(id) && turn.rows.try_emplace(id).second) ids.push_back(id);
  };
  for (const Message& message : turn.messages) {
    std::visit(
        Overloaded{
            [&](const SubmitMessage& m) {
              const Digest digest = identity_digest(m.submission.identity);
              if (!open_identities_.contains(digest) && turn.known.try_emplace(digest).second) {
                identities.push_back(m.submission.identity);
              }
            },
            [&](const PersonMessage& m) { want_row(m.id); },
            [&](const WaitMessage& m) { want_row(m.id); },
            [&](const MoveMessage& m) { want_row(m.id); },
            [](const LeaseMessage&) {},
            [&](const WorkMessage& m) { want_row(m.id); },
        },
        message);
  }
  for (const auto& [id, counts] : repeats_) {
    if (turn.mono >= repeats_due_) want_row(id);
  }
  if (!identities.empty()) {
    auto known = ports_.ledger.load(identities);
    if (!known.has_value()) return false;
    TRUED_ASSERT(known->size() == identities.size());
    for (std::size_t i = 0; i < identities.size(); ++i) {
      turn.known[identity_digest(identities.at(i))] = std::move(known.value().at(i));
    }
  }
  if (!ids.empty()) {
    auto rows = ports_.ledger.load(ids);
    if (!rows.has_value()) return false;
    TRUED_ASSERT(rows->size() == ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      turn.rows[ids.at(i)] = std::move(rows.value().at(i));
    }
  }
  return true;
}

bool Engine::Impl::shows_another_node(const TurnState& turn) const {
  if (ports_.tenure == nullptr) return false;
  const auto anothers = [](const std::optional<Operation>& operation) {
    return operation && !is_settled(operation->state);
  };
  return std::ranges::any_of(turn.known,
                             [&](const auto& one) { return anothers(one.second.operation); }) ||
         std::ranges::any_of(turn.rows, [&](const auto& one) { return anothers(one.second); });
}

void Engine::Impl::decide_all(TurnState& turn) {
  TRUED_ASSERT(turn.works.empty() && turn.answers.empty());
  // First, while every counted operation is loaded: what this turn counts waits for the next flush.
  if (turn.mono >= repeats_due_) flush_repeats(turn);
  // Messages stay in place: undo() hands them back where the commit did not come about.
  for (Message& message : turn.messages) {
    std::visit(Overloaded{
                   [&](SubmitMessage& m) { on_submit(turn, m); },
                   [&](PersonMessage& m) { on_person(turn, m); },
                   [&](WaitMessage& m) { on_wait(turn, m); },
                   [&](MoveMessage& m) { on_move(turn, m); },
                   [&](LeaseMessage& m) { on_lease(turn, m); },
                   [&](WorkMessage& m) { on_work(turn, m); },
               },
               message);
  }
}

Work* Engine::Impl::work_on(TurnState& turn, const OperationId& id) {
  if (const auto found = turn.works.find(id); found != turn.works.end()) return &found->second;
  Work work;
  if (const auto entry = entries_.find(id); entry != entries_.end()) {
    work.operation = *entry->second.operation;
    work.intent = entry->second.intent;
    work.ticket = entry->second.ticket;
    work.ticket_before = work.ticket;
  } else {
    const auto row = turn.rows.find(id);
    if (row == turn.rows.end() || !row->second) return nullptr;
    work.operation = *row->second;
  }
  turn.order.push_back(id);
  const auto [placed, inserted] = turn.works.emplace(id, std::move(work));
  TRUED_ASSERT(inserted && turn.works.size() == turn.order.size());
  return &placed->second;
}

std::optional<Refusal> Engine::Impl::apply(TurnState& turn, Work& work, const Input& input) {
  const Policy& policy = policy_of(work.operation.definition, work.operation.target);
  const Answered answered = answered_now(work.operation, input, turn.now);
  const std::size_t events = work.events.size();
  const std::size_t actions = work.actions.size();
  Decision decision = decide(std::move(work.operation), policy, input,
                             {.now = turn.now, .entropy = ports_.random.next()});
  work.operation = std::move(decision.after);
  std::ranges::move(decision.events, std::back_inserter(work.events));
  std::ranges::move(decision.actions, std::back_inserter(work.actions));
  follow_gate(turn, work, input, answered, events, actions);
  return std::move(decision.refusal);
}

void Engine::Impl::wait_to_start(const TurnState& turn, Work& work, WallTime until,
                                 std::string why) {
  const Event wait =
      WaitScheduled{.due_for = Due::start, .due_at = until, .reason = std::move(why)};
  evolve(work.operation, wait, turn.now);
  work.events.push_back(wait);
}

// Takes its place at its artifacts, and starts if nobody is before it.
void Engine::Impl::start_when_free(TurnState& turn, Work& work) {
  const Operation& operation = work.operation;
  if (operation.state == State::compensating) {
    if (!held_by_floor(turn, work)) apply(turn, work, TimerDue{});
    return;
  }
  const bool asked_again = operation.state == State::unknown && operation.due_for == Due::start;
  if (operation.state != State::accepted && !asked_again) return;
  if (!before_its_time(operation, turn.now)) {
    if (!locks_.holds(operation.id)) {
      auto turns = turns_of(operation, work.intent);
      if (!turns.has_value() && turn.now < operation.deadline) {
        // Whose turn it is cannot be told, and nothing may begin out of turn.
        constexpr Duration kAgain{500};
        return wait_to_start(turn, work, std::min(turn.now + kAgain, operation.deadline),
                             "what it takes turns at cannot be read from the ledger");
      }
      locks_.enqueue(operation,
                     turns.has_value() ? std::move(turns).value() : std::vector<std::string>());
      turn.enqueued.push_back(operation.id);
    }
    const OperationId* ahead = locks_.ahead_of(operation.id);
    TRUED_ASSERT(locks_.may_run(operation.id) == (ahead == nullptr));
    TRUED_ASSERT(ahead == nullptr || *ahead != operation.id);
    if (ahead != nullptr && turn.now < operation.deadline) {
      // At its deadline it is looked at again, and gives up.
      return wait_to_start(turn, work, operation.deadline,
                           "waits for " + to_string(*ahead) + ", which touches the same artifact");
    }
  }
  if (!held_at_gate(turn, work)) apply(turn, work, Start{});
}

const Operation* Engine::Impl::known_operation(TurnState& turn, const Identity& identity,
                                               const Tombstone** tombstone) {
  const Digest digest = identity_digest(identity);
  if (const auto open = open_identities_.find(digest); open != open_identities_.end()) {
    const auto work = turn.works.find(open->second);
    return work != turn.works.end() ? &work->second.operation
                                    : entries_.at(open->second).operation.get();
  }
  if (const auto created = turn.created.find(digest); created != turn.created.end()) {
    return &turn.works.at(created->second).operation;
  }
  const auto loaded = turn.known.find(digest);
  if (loaded == turn.known.end()) return nullptr;
  if (loaded->second.operation) {
    const auto work = turn.works.find(loaded->second.operation->id);
    return work != turn.works.end() ? &work->second.operation : &*loaded->second.operation;
  }
  if (loaded->second.tombstone) *tombstone = &*loaded->second.tombstone;
  return nullptr;
}

void Engine::Impl::on_submit(TurnState& turn, SubmitMessage& message) {
  const Tombstone* tombstone = nullptr;
  const Operation* known = known_operation(turn, message.submission.identity, &tombstone);
  const SubmitVerdict verdict = decide_submit(known, tombstone, message.submission.fingerprint);
  TRUED_ASSERT((verdict.decision == SubmitDecision::late) == (tombstone != nullptr));
  TRUED_ASSERT(known != nullptr || verdict.decision == SubmitDecision::fresh ||
               verdict.decision == SubmitDecision::late);
  const auto counter = static_cast<std::size_t>(std::to_underlying(verdict.decision));
  const bool begins = verdict.decision == SubmitDecision::fresh || verdict.reexecute;
  if (begins && !turn.below.empty()) {
    ++counters_.refused;
    turn.answers.push_back({std::move(message.reply), below_floor_problem(turn)});
    return;
  }
  if (verdict.decision == SubmitDecision::fresh) return on_fresh(turn, message);
  ++counters_.decisions.at(counter);
  if (verdict.decision == SubmitDecision::late) {
    turn.answers.push_back(
        {std::move(message.reply), Answer{verdict.decision, nullptr, *tombstone}});
    return;
  }
  if (verdict.reexecute) {
    const OperationId id = known->id;
    turn.rows.try_emplace(id, *known);
    Work* work = work_on(turn, id);
    TRUED_ASSERT(work != nullptr);
    work->intent = message.submission.intent;
    apply(turn, *work,
          PersonInput{PersonAction::retry, "a repeated submission", "on_failure = \"reexecute\""});
    start_when_free(turn, *work);
    work->waiters.push_back(
        {turn.mono + message.wait, verdict.decision, std::move(message.reply), true});
    return;
  }
  if (is_repeat(verdict.decision)) ++repeats_[known->id][verdict.decision];
  if (verdict.decision == SubmitDecision::in_flight) {
    Work* work = work_on(turn, known->id);
    TRUED_ASSERT(work != nullptr);
    work->waiters.push_back({turn.mono + message.wait, verdict.decision, std::move(message.reply)});
    return;
  }
  turn.answers.push_back(
      {std::move(message.reply),
       Answer{verdict.decision, std::make_shared<const Operation>(*known), std::nullopt}});
}

void Engine::Impl::on_fresh(TurnState& turn, SubmitMessage& message) {
  TRUED_ASSERT(message.submission.intent != nullptr);
  const std::size_t bytes = bytes_of(*message.submission.intent);
  const bool many = entries_.size() + turn.created.size() >= options_.open_max ||
                    open_bytes_ + turn.created_bytes + bytes > options_.open_bytes_max;
  const bool full = many && !message.awaited;
  if (draining.load() || full) {
    ++counters_.refused;
    EngineProblem problem{.code = draining.load() ? ProblemCode::draining : ProblemCode::overloaded,
                          .name = {},
                          .detail = draining.load()
                                        ? "the server is stopping; submit again in a moment"
                                        : "too many operations are open, or too large ones; submit "
                                          "again later",
                          .retry_after = kOverloadRetryAfter};
    turn.answers.push_back({std::move(message.reply), std::move(problem)});
    return;
  }
  ++counters_.decisions.at(std::to_underlying(SubmitDecision::fresh));
  const Submission& submission = message.submission;
  const Policy& policy = policy_of(submission.definition, submission.intent->target);
  Accepted accepted{
      .identity = submission.identity,
      .fingerprint = submission.fingerprint,
      .definition = submission.definition,
      .target = submission.intent->target,
      .actor = submission.actor,
      .priority = submission.priority,
      .verify = submission.intent->verify && policy.verify,
      .has_serving = policy.has_serving,
      .not_before = submission.not_before,
      .deadline = submission.deadline.value_or(
          std::max(submission.not_before.value_or(turn.now), turn.now) + policy.deadline),
      .retention = policy.retention,
      .on_failure = policy.on_failure,
      .artifacts = {}};
  accepted.artifacts.reserve(submission.intent->artifacts.size());
  for (const ArtifactIntent& artifact : submission.intent->artifacts) {
    accepted.artifacts.push_back(summary_of(artifact));
  }
  TRUED_ASSERT(accepted.artifacts.size() == submission.intent->artifacts.size());
  const OperationId id(ids_.next(turn.now, ports_.random.next(), ports_.random.next()));
  Work work;
  work.insert = true;
  work.operation = begin(id, accepted, turn.now);
  work.events.emplace_back(std::move(accepted));
  work.intent = submission.intent;
  work.intent_json = std::move(message.submission.intent_json);
  Work& placed = turn.works.emplace(id, std::move(work)).first->second;
  turn.order.push_back(id);
  const bool fresh = turn.created.emplace(identity_digest(submission.identity), id).second;
  TRUED_ASSERT(fresh && turn.works.size() == turn.order.size());
  turn.created_bytes += bytes;
  start_when_free(turn, placed);
  placed.waiters.push_back(
      {turn.mono + message.wait, SubmitDecision::fresh, std::move(message.reply)});
}

void Engine::Impl::on_person(TurnState& turn, PersonMessage& message) {
  if (!turn.below.empty()) {
    ++counters_.refused;
    turn.answers.push_back({std::move(message.reply), below_floor_problem(turn)});
    return;
  }
  Work* work = work_on(turn, message.id);
  if (work == nullptr) {
    turn.answers.push_back(
        {std::move(message.reply), EngineProblem{.code = ProblemCode::not_found,
                                                 .name = {},
                                                 .detail = "no operation " + to_string(message.id),
                                                 .retry_after = {}}});
    return;
  }
  const bool undo =
      message.input.action == PersonAction::compensate && may_compensate(work->operation.state);
  if (undo) {
    if (auto problem = cannot_undo(work->operation)) {
      turn.answers.push_back({std::move(message.reply), *std::move(problem)});
      return;
    }
  }
  if (auto refusal = apply(turn, *work, message.input)) {
    turn.answers.push_back(
        {std::move(message.reply), EngineProblem{.code = ProblemCode::refused,
                                                 .name = std::move(refusal->code),
                                                 .detail = std::move(refusal->detail),
                                                 .retry_after = {}}});
    return;
  }
  if (message.input.action == PersonAction::retry) start_when_free(turn, *work);
  // Answered as soon as it is durable, whatever state that is.
  work->waiters.push_back({Mono{}, SubmitDecision::duplicate, std::move(message.reply)});
}

void Engine::Impl::on_wait(TurnState& turn, WaitMessage& message) {
  Work* work = work_on(turn, message.id);
  if (work == nullptr) {
    turn.answers.push_back(
        {std::move(message.reply), EngineProblem{.code = ProblemCode::not_found,
                                                 .name = {},
                                                 .detail = "no operation " + to_string(message.id),
                                                 .retry_after = {}}});
    return;
  }
  work->waiters.push_back(
      {turn.mono + message.wait, SubmitDecision::duplicate, std::move(message.reply)});
}

void Engine::Impl::on_move(TurnState& turn, MoveMessage& message) {
  if (const auto end = std::exchange(message.end, std::nullopt)) {
    jobs_.end(message.id, *end);
    if (end->effect) turn.effects_ended.push_back(message.id);
  }
  if (!message.input) return;
  Work* work = work_on(turn, message.id);
  if (work == nullptr) return;
  const Operation& operation = work->operation;
  const bool timer = std::holds_alternative<TimerDue>(*message.input);
  if (timer && operation.due_at && turn.now < *operation.due_at) {
    // It was due, and was not acted on: the turn came to nothing, and the clock was set back.
    return call_again(message.id, *operation.due_at);
  }
  if (std::holds_alternative<Start>(*message.input) || (timer && operation.due_for == Due::start)) {
    return start_when_free(turn, *work);
  }
  const bool overdue = timer && operation.due_for == Due::report && operation.due_at <= turn.now;
  if (overdue && jobs_.revoke(operation.id, AttemptNo(operation.attempts))) {
    if (TargetGate* gate = gate_of(operation); gate != nullptr) gate->overfull(turn.mono);
    apply(turn, *work,
          never_sent(AttemptNo(operation.attempts),
                     "its target was busy, or what stood there (at the store, and where its "
                     "consumers read) took all the time an attempt may take to be read"));
    return;
  }
  if (const auto* ready = std::get_if<Heartbeat>(&*message.input)) {
    return hand_over(turn, *work, *ready);
  }
  if (timer ? held_at_gate(turn, *work) : tells_nothing(turn, *work, *message.input)) return;
  apply(turn, *work, *message.input);
  // It was due, what stands there was read, and the clock was set back: the read says nothing then.
  const bool too_soon = std::holds_alternative<ReadReport>(*message.input) && operation.due_at &&
                        operation.due_for == Due::attempt && turn.now < *operation.due_at;
  if (too_soon) call_again(message.id, *operation.due_at);
}

// Unless something calls it before.
void Engine::Impl::call_again(const OperationId& id, WallTime at) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return;
  const auto& timer = entry->second.timer;
  if (!timer || at < *timer) set_timer(entry->second, id, at);
}

void Engine::Impl::flush_repeats(TurnState& turn) {
  repeats_due_ = turn.mono + options_.repeats_every;
  for (const auto& [id, counts] : repeats_) {
    Work* work = work_on(turn, id);
    if (work == nullptr) continue;  // retired meanwhile
    for (const auto& [decision, count] : counts) {
      TRUED_ASSERT(is_repeat(decision) && count > 0);
      const Event event = Repeated{std::string(to_string(decision)), count};
      evolve(work->operation, event, turn.now);
      work->events.push_back(event);
    }
  }
  turn.repeats = std::exchange(repeats_, {});
}

void Engine::Impl::refuse_submissions(TurnState& turn, const EngineProblem& problem) {
  std::vector<Message> kept;
  for (Message& message : turn.messages) {
    Reply* reply = nullptr;
    if (auto* submit = std::get_if<SubmitMessage>(&message)) reply = &submit->reply;
    if (auto* person = std::get_if<PersonMessage>(&message)) reply = &person->reply;
    if (auto* wait = std::get_if<WaitMessage>(&message)) reply = &wait->reply;
    auto* lease = std::get_if<LeaseMessage>(&message);
    if (lease != nullptr && lease->reply) lease->reply(problem);
    auto* said = std::get_if<WorkMessage>(&message);
    if (said != nullptr && said->reply) said->reply(problem);
    if (lease != nullptr || said != nullptr) continue;
    if (reply == nullptr) {
      kept.push_back(std::move(message));
    } else if (*reply) {
      ++counters_.refused;
      say(*reply, problem);
    }
  }
  turn.messages = std::move(kept);
}

}  // namespace trued
