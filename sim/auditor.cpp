#include "sim/auditor.h"

#include <algorithm>

#include "base/overloaded.h"
#include "ledger/codec.h"

namespace trued::sim {

// ---- The ledger
// -----------------------------------------------------------------------------------

void Auditor::on_batch(const Batch& batch) {
  for (const Change& change : batch.changes) {
    ++steps_;
    const OperationId id = change.row.id;
    auto events = change.events.begin();
    if (change.insert) {
      const auto* accepted = std::get_if<Accepted>(&*events);
      if (accepted == nullptr) return trace_.violation("an operation without acceptance");
      accept(change, *accepted);
      ++events;
    }
    const auto found = lives_.find(id);
    if (found == lives_.end()) return trace_.violation("a change of nothing: " + to_string(id));
    Life& life = found->second;
    for (; events != change.events.end(); ++events) take(life, *events, change.at);
    if (life.versions.back() != encode_row(change.row)) {
      trace_.violation("(5) the row of " + to_string(id) + " is not the fold of its events");
    }
  }
}

void Auditor::accept(const Change& change, const Accepted& accepted) {
  const OperationId id = change.row.id;
  const auto [slot, fresh] = identities_.emplace(identity_digest(accepted.identity), id);
  if (!fresh) {
    trace_.violation("(1) two operations have one identity: " + to_string(slot->second) + ", " +
                     to_string(id));
  }
  Life& life = lives_[id];
  life.row = begin(id, accepted, change.at);
  const std::string undone = accepted.actor.substr(0, accepted.actor.find('#'));
  if (undone.starts_with("undo:") && !undoings_.insert(undone).second) {
    trace_.violation("(9) " + accepted.actor + " was asked for twice");
  }
  check_nothing_under_way(undone);
  life.versions.push_back(encode_row(life.row));
  for (const ArtifactSummary& artifact : accepted.artifacts) {
    by_artifact_[{accepted.target, artifact.name}].insert(id);
  }
  trace_.say("ledger ", to_string(id), " accepted ", accepted.identity.key);
}

// `undone`: "undo:" and an operation, or a client.
void Auditor::check_nothing_under_way(const std::string& undone) {
  for (const auto& [id, life] : lives_) {
    if (life.performing > 0 && undone == "undo:" + to_string(id)) {
      trace_.violation("(9) " + undone + " is begun while an attempt may still land");
    }
  }
}

void Auditor::take(Life& life, const Event& event, WallTime at) {
  trace_.say("ledger ", to_string(life.row.id), " ", name_of(event));
  cover("event", name_of(event));
  if (const auto why = contradiction(life.row, event)) {
    return trace_.violation("(5) " + to_string(life.row.id) + " records " +
                            std::string(name_of(event)) + ": " + std::string(*why));
  }
  if (const auto* end = std::get_if<Settled>(&event)) settled(life, *end, at);
  tell_gates(life.row, event, at);
  if (const auto* lie = std::get_if<LieCaught>(&event)) {
    cover("tell", to_string(lie->tell));
    if (!life.excused) {
      trace_.violation("(7) " + to_string(life.row.id) + " accuses its target (" +
                       std::string(to_string(lie->tell)) + "), which told the truth");
    }
  }
  if (const auto* acted = std::get_if<PersonActed>(&event)) {
    life.person = true;
    if (acted->action != PersonAction::compensate) retried_by_person(life);
  }
  evolve(life.row, event, at);
  if (std::holds_alternative<Settled>(event)) life.ended = ++steps_;
  life.versions.push_back(encode_row(life.row));
  cover("state", to_string(life.row.state));
  if (std::holds_alternative<AttemptStarted>(event)) started(life, at);
}

void Auditor::tell_gates(const Operation& row, const Event& event, WallTime at) {
  std::visit(Overloaded{
                 [&](const AttemptStarted&) { gates_.on_started(row); },
                 [&](const EffectEnded& e) { gates_.on_ended(row, e); },
                 [&](const ReadBack& e) { gates_.on_read_back(row, e); },
                 [&](const PersonActed&) { gates_.on_asked_by_person(row); },
                 [&](const Settled& e) { gates_.on_settled(row, e, at); },
                 [&](const WaitScheduled& e) {
                   if (e.reason.starts_with("held: ")) cover("seen", "held");
                 },
                 [](const auto&) {},
             },
             event);
}

void Auditor::retried_by_person(Life& life) {
  // What may have been sent is told from others' work by a history, where there is one.
  if (life.row.sent && has_history_.at(life.row.target)) return;
  life.performs_then = life.performs;
  life.attempts_then = life.row.attempts;
  life.retried = ++steps_;
  for (const ArtifactState& artifact : life.row.artifacts) {
    // Of what was sent, a person was shown what stood there last.
    const std::optional<Observation>& found =
        life.row.sent ? artifact.store.last : artifact.store.baseline;
    if (!found || found->seen == Seen::unreadable) continue;
    life.given_up_on[artifact.meant.name] =
        found->seen == Seen::found ? std::optional(found->id) : std::nullopt;
  }
}

// Before its attempt began somebody else had changed what it had once looked at.
void Auditor::check_retry(const OperationId& id, const std::string& name) const {
  const Life& life = lives_.at(id);
  const auto then = life.given_up_on.find(name);
  const auto now = holds_.find({life.row.target, name});
  if (then == life.given_up_on.end() || now == holds_.end() || options_.stale_reads > 0) return;
  // A process ended in the middle of an attempt since: it may have been sent, and a history tells.
  if (life.row.sent && has_history_.at(life.row.target)) return;
  // An attempt of before, which comes late: nobody could call it back.
  if (life.newest_performed <= life.attempts_then) return;
  const Held& held = now->second;
  // Between the look and the write there is a moment that nobody can close without a history.
  const auto reads = reads_.find({life.row.target, Level::store, name});
  const std::uint64_t looked = reads == reads_.end() ? 0 : reads->second.back().step;
  if (looked > life.retried && held.since > looked) return;
  if (held.since >= life.newest_start || held.content == then->second || held.writer == id) return;
  if (held.torn) return;
  // As it was before the first attempt, whoever brought it back; of which nothing may be known.
  for (const ArtifactState& artifact : life.row.artifacts) {
    if (artifact.meant.name != name) continue;
    const std::optional<Observation>& before = artifact.store.baseline;
    const bool as_before =
        before ? before->seen == Seen::absent ? !held.content : held.content == before->id
               : !held.content;
    if (as_before) return;
  }
  trace_.violation("(3) " + to_string(id) + " was retried over what was written to " + name +
                   " since it was first looked at");
}

// In the hands of an attempt, from its start to its verdict.
bool Auditor::begun(const Life& life) {
  const State state = life.row.state;
  if (life.row.due_for == Due::start) return false;  // it waits for its turn
  // Past its deadline it only looks once more.
  if (life.row.due_for == Due::attempt && life.row.due_at >= life.row.deadline) return false;
  if (state == State::unknown && life.performing == 0 && life.row.updated_at >= life.row.deadline) {
    return false;
  }
  return !life.retired &&
         (state == State::attempting || state == State::unknown || state == State::verifying ||
          (state == State::accepted && life.row.due_for == Due::attempt));
}

void Auditor::check_alone(const Life& life, std::string_view what) {
  for (const ArtifactState& artifact : life.row.artifacts) {
    for (const OperationId& other : by_artifact_[{life.row.target, artifact.meant.name}]) {
      if (other == life.row.id || !begun(lives_.at(other))) continue;
      trace_.violation("(3) " + to_string(life.row.id) + " " + std::string(what) + " on " +
                       artifact.meant.name + " while " + to_string(other) + " is at work there");
    }
  }
}

void Auditor::started(Life& life, WallTime at) {
  life.newest_start = ++steps_;
  // Its retry has looked; whoever comes after that is like anyone who comes in between.
  if (life.performs > life.performs_then) life.given_up_on.clear();
  life.newest_perform = 0;
  check_alone(life, "starts");
  if (life.row.attempts_counted > options_.policy.retry.attempts_max) {
    trace_.violation("(6) " + to_string(life.row.id) + " is tried past its bound");
  }
  if (at >= life.row.deadline) {
    trace_.violation("(6) " + to_string(life.row.id) + " is tried past its deadline");
  }
}

void Auditor::settled(const Life& life, const Settled& event, WallTime at) {
  const std::string id = to_string(life.row.id);
  trace_.say("ledger ", id, " is ", to_string(event.state), " ", event.reason);
  switch (event.state) {
    case State::confirmed:
      return check_confirmed(life);
    case State::unchanged:
      if (life.reached) trace_.violation("(2) " + id + " is unchanged, and was sent");
      return;
    case State::superseded:
      return check_superseded(life);
    case State::failed:
      if (life.row.attempts == 0) check_waited_for_somebody(life, at);
      if (life.changed_something && !life.person) {
        trace_.violation("(2) " + id + " failed, and something of it landed");
      }
      return;
    case State::canceled:
      if (life.performs > 0 && life.changed_something) {
        trace_.violation("(2) " + id + " is canceled, and something of it landed");
      }
      return;
    case State::acknowledged:
      if (life.row.verify && !life.person) {
        trace_.violation("(2) " + id + " was to be verified and is called acknowledged");
      }
      return;
    case State::accepted:
    case State::attempting:
    case State::unknown:
    case State::verifying:
    case State::needs_action:
    case State::compensating:
      return;
    case State::compensated:
      return check_undone(life, event);
  }
}

void Auditor::check_undone(const Life& life, const Settled& event) {
  const std::string id = to_string(life.row.id);
  const auto by = std::ranges::find_if(
      lives_, [&](const auto& entry) { return to_string(entry.first) == event.superseded_by; });
  if (by == lives_.end()) return trace_.violation("(9) " + id + " is undone by nobody");
  const Life& other = by->second;
  const State state = other.row.state;
  const bool done = state == State::confirmed || state == State::acknowledged ||
                    state == State::superseded || state == State::unchanged;
  if (!done || !other.row.actor.starts_with("undo:" + id + "#")) {
    trace_.violation("(9) " + id + " is called undone by " + event.superseded_by + ", which is " +
                     std::string(to_string(state)));
  }
  if (other.ended < life.last_change) {
    trace_.violation("(9) " + id + " landed again after " + event.superseded_by +
                     " had undone it, and is called undone");
  }
}

// Who never had its turn until its deadline must have had somebody before it; unless the clock
// jumped over the deadline, a commit in question held everybody up, or nobody acted for a while.
void Auditor::check_waited_for_somebody(const Life& life, WallTime at) {
  if (options_.jump_every.count() > 0 || options_.commit_unknown > 0) return;
  if (options_.nodes > 1 || trace_.now() - took_over_ < Duration{2'000}) return;
  if (life.row.reason.find("waits for") == std::string::npos) return;
  // For a worker; how long that may take is the workers' affair.
  if (life.row.reason.find("waits for a worker") != std::string::npos) return;
  for (const ArtifactState& artifact : life.row.artifacts) {
    for (const OperationId& id : by_artifact_[{life.row.target, artifact.meant.name}]) {
      const Life& other = lives_.at(id);
      // One that has ended just now may not have made room yet.
      const bool just = at - other.row.updated_at < Duration{2'000};
      const bool there = !is_settled(other.row.state) || other.performing > 0 || just;
      if (id != life.row.id && there) return;
    }
  }
  trace_.violation("(4) " + to_string(life.row.id) + " waited for its turn, and for nobody");
}

bool Auditor::was_read(const Life& life, const ArtifactSummary& meant, Level level) const {
  const auto found = reads_.find({life.row.target, level, meant.name});
  if (found == reads_.end()) return false;
  const std::uint64_t since = std::max(life.newest_start, life.newest_perform);
  return std::ranges::any_of(found->second, [&](const Read& read) {
    if (read.step < since) return false;
    return meant.absent ? !read.content : read.content && *read.content == meant.id;
  });
}

void Auditor::check_confirmed(const Life& life) {
  if (!life.row.verify) {
    trace_.violation("(2) " + to_string(life.row.id) + " opted out and is called confirmed");
  }
  for (const ArtifactState& artifact : life.row.artifacts) {
    const bool held = was_read(life, artifact.meant, Level::store) &&
                      (!life.row.has_serving || was_read(life, artifact.meant, Level::serving));
    if (held) continue;
    trace_.violation("(2) " + to_string(life.row.id) + " is confirmed, and nobody read " +
                     artifact.meant.name + " as it was meant");
  }
}

void Auditor::check_superseded(const Life& life) {
  if (life.replaced.empty()) {
    trace_.violation("(2) " + to_string(life.row.id) +
                     " is superseded, and nobody replaced what it had landed");
  }
}

void Auditor::on_retired(const OperationId& id) {
  Life& life = lives_.at(id);
  trace_.say("ledger ", to_string(id), " retired");
  cover("state", "retired");
  if (!is_settled(life.row.state) || life.row.state == State::needs_action) {
    trace_.violation("(4) " + to_string(id) + " was retired before it ended");
  }
  life.retired = true;
}

// ---- The targets
// ----------------------------------------------------------------------------------

void Auditor::on_perform(const EffectRequest& request) {
  const auto found = lives_.find(request.operation);
  if (found == lives_.end()) {
    return trace_.violation("(1) something was sent for an operation that is not in the ledger");
  }
  Life& life = found->second;
  ++life.performs;
  if (request.attempt.value() > life.row.attempts) {
    trace_.violation("(1) " + to_string(request.operation) +
                     " was sent before its attempt was in the ledger");
  }
  if (life.performs > life.row.attempts) {
    trace_.violation("(6) " + to_string(request.operation) + " was sent twice in one attempt");
  }
  if (request.attempt.value() == life.row.attempts) life.newest_perform = ++steps_;
  life.newest_performed = request.attempt.value();
  if (++life.performing > 1) {
    trace_.violation("(3) two effects of " + to_string(request.operation) + " are under way");
  }
  check_alone(life, "writes");
  gates_.on_perform(life.row, request.attempt);
}

void Auditor::on_landing(const OperationId& id) { check_alone(lives_.at(id), "lands"); }

void Auditor::on_lie(const OperationId& id, std::string_view lie) {
  cover("lie", lie);
  if (const auto found = lives_.find(id); found != lives_.end()) found->second.excused = true;
}

void Auditor::excuse_all(const std::string& target, const std::string& name,
                         std::optional<OperationId> but) {
  for (const OperationId& id : by_artifact_[{target, name}]) {
    if (id != but && lives_.at(id).row.attempts > 0) lives_.at(id).excused = true;
  }
}

void Auditor::on_change(const std::string& target, const std::string& name,
                        std::optional<OperationId> writer, const std::optional<ContentId>& now,
                        bool lying) {
  ++steps_;
  const bool could_tell = has_history_.at(target) && !lying;
  for (const OperationId& id : by_artifact_[{target, name}]) {
    Life& life = lives_.at(id);
    const bool there = life.landed.contains(name) || life.held.contains(name);
    if (writer != id && there) life.replaced.insert(name);
  }
  // Whoever began before is right to find another's work there: at once, or when a person retries.
  excuse_all(target, name, writer);
  const Held held{.since = steps_, .content = now, .writer = writer, .torn = lying};
  if (!writer) {
    holds_[{target, name}] = held;
    return;
  }
  Life& life = lives_.at(*writer);
  check_retry(*writer, name);
  life.given_up_on.erase(name);
  holds_[{target, name}] = held;
  life.changed_something = true;
  life.last_change = steps_;
  const bool meant = std::ranges::any_of(life.row.artifacts, [&](const ArtifactState& artifact) {
    if (artifact.meant.name != name) return false;
    return artifact.meant.absent ? !now : now && *now == artifact.meant.id;
  });
  // What needed no change has left no trace of ours in a history.
  if (could_tell && life.landed.contains(name) && life.replaced.contains(name)) {
    trace_.violation("(3) " + to_string(*writer) + " wrote " + name +
                     " over a later writer, though the target could tell");
  }
  if (meant) life.landed.insert(name);
}

void Auditor::on_read(const std::string& target, Level level, const std::string& name,
                      const std::optional<ContentId>& content, bool true_now) {
  ++steps_;
  reads_[{target, level, name}].push_back({steps_, content});
  if (!true_now) excuse_all(target, name, std::nullopt);
}

// ---- The clients
// ----------------------------------------------------------------------------------

std::uint64_t Auditor::on_submit(const Identity& identity, const Fingerprint& fingerprint) {
  const Digest digest = identity_digest(identity);
  sent_.push_back({.identity = digest,
                   .fingerprint = fingerprint,
                   .only = ++submissions_[digest] == 1,
                   .refused = false});
  return sent_.size() - 1;
}

void Auditor::on_reply(std::uint64_t submission, const std::variant<Answer, EngineProblem>& reply) {
  Sent& sent = sent_.at(submission);
  if (const auto* problem = std::get_if<EngineProblem>(&reply)) {
    cover("problem", std::to_string(static_cast<int>(problem->code)));
    sent.refused = problem->code == ProblemCode::overloaded ||
                   problem->code == ProblemCode::ledger_unavailable ||
                   problem->code == ProblemCode::draining ||
                   problem->code == ProblemCode::below_floor;
    return;
  }
  answered(sent, std::get<Answer>(reply));
}

void Auditor::answered(const Sent& sent, const Answer& answer) {
  cover("decision", to_string(answer.decision));
  const auto id = identities_.find(sent.identity);
  if (id == identities_.end()) {
    return trace_.violation("(1) an answer for an identity that is not in the ledger");
  }
  const Life& life = lives_.at(id->second);
  const bool same = life.row.fingerprint == sent.fingerprint;
  if (answer.decision == SubmitDecision::late) {
    if (!life.retired) trace_.violation("(1) called late within retention");
    return;
  }
  if ((answer.decision == SubmitDecision::conflict) == same) {
    trace_.violation("(1) " + to_string(life.row.id) +
                     ": a conflict with itself, or none with another");
  }
  const Operation& shown = *answer.operation;
  if (shown.id != life.row.id) return trace_.violation("(1) an answer with another's operation");
  const bool durable = shown.events <= life.versions.size() &&
                       life.versions.at(shown.events - 1) == encode_row(shown);
  if (!durable) {
    trace_.violation("(1) the answer for " + to_string(shown.id) + " shows " +
                     std::string(to_string(shown.state)) + ", which is not in the ledger");
  }
}

// (1) What a worker hears is in the ledger, and no attempt is handed out twice.
void Auditor::on_leased(const Operation& shown) {
  cover("seen", "leased");
  const auto found = lives_.find(shown.id);
  if (found == lives_.end()) return trace_.violation("(1) a lease of nothing in the ledger");
  Life& life = found->second;
  const bool durable = shown.events <= life.versions.size() &&
                       life.versions.at(shown.events - 1) == encode_row(shown);
  if (!durable || !is_leased(shown)) {
    trace_.violation("(1) " + to_string(shown.id) + " is leased, and the ledger does not say so");
  }
  if (shown.attempts <= life.leased) {
    trace_.violation("(1) an attempt of " + to_string(shown.id) + " was handed out twice");
  }
  life.leased = shown.attempts;
}

// ---- The end
// --------------------------------------------------------------------------------------

void Auditor::at_rest() {
  for (const auto& [id, life] : lives_) {
    if (!life.retired && !is_settled(life.row.state)) {
      trace_.violation("(4) " + to_string(id) + " is stuck in " +
                       std::string(to_string(life.row.state)) + ": " + life.row.reason);
    }
  }
  for (const Sent& sent : sent_) {
    const bool alone = sent.only && submissions_.at(sent.identity) == 1;
    if (sent.refused && alone && identities_.contains(sent.identity)) {
      trace_.violation("(1) what was refused as not accepted is in the ledger");
    }
  }
}

std::vector<OperationId> Auditor::in_state(State state) const {
  std::vector<OperationId> ids;
  for (const auto& [id, life] : lives_) {
    if (!life.retired && life.row.state == state) ids.push_back(id);
  }
  return ids;
}

std::vector<OperationId> Auditor::effects_out() const {
  std::vector<OperationId> ids;
  for (const auto& [id, life] : lives_) {
    if (life.performing > 0 && over_for_now(life)) ids.push_back(id);
  }
  return ids;
}

std::vector<OperationId> Auditor::around_undoings() const {
  std::vector<OperationId> ids;
  for (const auto& [id, life] : lives_) {
    const bool meant =
        life.row.actor.starts_with("undo:") || undoings_.contains("undo:" + to_string(id));
    if (meant && over_for_now(life)) ids.push_back(id);
  }
  return ids;
}

bool Auditor::over_for_now(const Life& life) {
  const State state = life.row.state;
  return !life.retired &&
         (state == State::needs_action || state == State::failed || state == State::confirmed);
}

std::optional<OperationId> Auditor::known(const Identity& identity) const {
  const auto found = identities_.find(identity_digest(identity));
  if (found == identities_.end()) return std::nullopt;
  return found->second;
}

}  // namespace trued::sim
