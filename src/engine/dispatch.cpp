// Handing out what is to be done at a target, or saying at once why it cannot be done.
#include <algorithm>

#include "base/assert.h"
#include "base/overloaded.h"
#include "engine/attempt.h"
#include "engine/impl.h"
#include "engine/write_input.h"
#include "json/parse.h"

namespace trued {
namespace {

constexpr Duration kReadWatchdog{
    60'000};  ///< a read that has not reported by then is asked for again

constexpr std::string_view kShut = "the circuit breaker of its target opened before it could begin";

constexpr Duration kTargetPause{5'000};  ///< before it is looked again whether a target is there

// What was found at the store when the operation was first looked at.
std::vector<Observation> baselines_of(const Operation& operation) {
  std::vector<Observation> found;
  for (const ArtifactState& artifact : operation.artifacts) {
    if (artifact.store.baseline) found.push_back(*artifact.store.baseline);
  }
  return found;
}

// Prepared for a worker it is no report: its first heartbeat hands it over (leasing.cpp).
Input as_input(AttemptReport report, const AttemptJob& job) {
  TRUED_ASSERT(report.attempt == job.attempt);
  if (!job.handed_over || !job.handed_over->has_value()) return report;
  return Heartbeat{.attempt = job.attempt, .worker = {}, .baseline = std::move(report.baseline)};
}

bool runs_here(const Target& target) { return target.store->is_inline() && !target.serving; }

}  // namespace

void Engine::Impl::dispatch(const Operation& operation, Entry& entry, const Action& action) {
  if (std::holds_alternative<RunUndo>(action)) {
    if (!jobs_.effect_out(operation.id)) return run_undo(operation);
    return post_local(operation.id, UndoReport{.by = {},
                                               .done = false,
                                               .later = true,
                                               .reason = "an attempt of it has not come back"});
  }
  const Target* target = target_of(operation.definition, operation.target);
  const auto* attempt = std::get_if<RunAttempt>(&action);
  if (attempt != nullptr && jobs_.effect_out(operation.id)) {
    return post_local(operation.id,
                      never_sent(attempt->attempt, "an earlier attempt has not come back"));
  }
  const std::string missing =
      target == nullptr || target->store == nullptr
          ? "the target '" + operation.target + "'" +
                (is_defined(operation) ? ", or another that '" + operation.definition + "' names,"
                                       : "") +
                " is not configured any more"
      : ensure_intent(operation, entry) ? ""
                                        : "its intent cannot be read from the ledger";
  if (missing.empty()) {
    std::visit(Overloaded{
                   [&](const RunAttempt& a) { dispatch_attempt(operation, entry, *target, a); },
                   [&](const RunRead& a) { dispatch_read(operation, entry, *target, a); },
                   [](const RunUndo&) {},
               },
               action);
    return;
  }
  if (attempt != nullptr) return post_local(operation.id, never_sent(attempt->attempt, missing));
  // That a target is not configured is no evidence: until the deadline it may come back.
  const WallTime now = ports_.clock.wall();
  if (now < operation.deadline) {
    return set_timer(entry, operation.id, std::min(now + kTargetPause, operation.deadline));
  }
  ReadReport report;
  report.attempt = AttemptNo(operation.attempts);
  for (std::uint32_t i = 0; i < operation.artifacts.size(); ++i) {
    Observation read;
    read.artifact = i;
    read.detail = missing;
    read.read_at = now;
    report.reads.push_back(std::move(read));
  }
  post_local(operation.id, std::move(report));
}

void Engine::Impl::dispatch_attempt(const Operation& operation, const Entry& entry,
                                    const Target& target, const RunAttempt& action) {
  TRUED_ASSERT(entry.intent != nullptr && target.store != nullptr);
  TRUED_ASSERT(action.attempt.value() <= operation.attempts && !jobs_.effect_out(operation.id));
  const bool lied = operation.tell.has_value() && operation.attempts > 1;
  AttemptJob job{.operation = operation.id,
                 .attempt = action.attempt,
                 .first = action.first,
                 .verify = operation.verify,
                 .has_serving = operation.has_serving,
                 .restage = lied,
                 .identity = effect_identity(operation.identity),
                 .key = operation.identity.key,
                 .scope = operation.identity.scope,
                 .actor = operation.actor,
                 .since = operation.version_before,
                 .reported = operation.version,
                 .deadline = operation.deadline,
                 .expected = action.anew ? baselines_of(operation) : std::vector<Observation>{},
                 .intent = entry.intent,
                 .handed_over = prepare_lease(operation, target)};
  // What begins after its report is due would land when its outcome was already called unknown.
  const WallTime begin_by = operation.due_at.value_or(WallTime::max());
  // Many may have been admitted before the first of them showed that the target is out of order.
  const TargetGate* gate = gate_of(operation);
  auto shut = gate != nullptr ? gate->shut() : nullptr;
  auto work = [&target, &clock = ports_.clock, begin_by, shut = std::move(shut),
               tenure = ports_.tenure, floor = ports_.floor,
               job = std::move(job)](const Jobs::Claim& claim) -> Input {
    if (shut && shut->load()) return never_sent(job.attempt, std::string(kShut));
    if (floor != nullptr) {
      if (std::string below = floor->below(); !below.empty()) {
        return never_sent(job.attempt, std::move(below));
      }
    }
    const auto may_begin = [&] {
      if (floor != nullptr && !floor->below().empty()) return false;
      return clock.wall() < begin_by && claim() && (tenure == nullptr || tenure->holds());
    };
    return as_input(run_attempt(target, job, clock, may_begin), job);
  };
  if (runs_here(target)) return post_local(operation.id, work([] { return true; }));
  jobs_.effect(target, operation.id, action.attempt, operation.priority, std::move(work));
}

void Engine::Impl::dispatch_read(const Operation& operation, Entry& entry, const Target& target,
                                 const RunRead& action) {
  TRUED_ASSERT(entry.intent != nullptr && target.store != nullptr);
  TRUED_ASSERT(action.attempt.value() <= operation.attempts);
  const bool late = rarely("a read that is asked for again while it runs");
  set_timer(entry, operation.id, ports_.clock.wall() + (late ? Duration{1} : kReadWatchdog));
  if (jobs_.read_out(operation.id)) return;  // it is late, not lost
  ReadJob job{.operation = operation.id,
              .attempt = action.attempt,
              .since = operation.version_before,
              .reported = operation.version,
              .store_artifacts = {},
              .serving_artifacts = {},
              .untouched_since = {},
              .identity = effect_identity(operation.identity),
              .key = operation.identity.key,
              .scope = operation.identity.scope,
              .result = operation.result,
              .has_serving = operation.has_serving,
              .intent = entry.intent};
  for (std::uint32_t i = 0; i < operation.artifacts.size(); ++i) {
    const ArtifactState& artifact = operation.artifacts.at(i);
    if (!artifact.store.baseline && operation.verify) job.untouched_since = operation.created_at;
    if (wants_read(artifact, Level::store, operation.has_serving)) {
      job.store_artifacts.push_back(i);
    }
    if (wants_read(artifact, Level::serving, operation.has_serving)) {
      job.serving_artifacts.push_back(i);
    }
  }
  auto work = [&target, &clock = ports_.clock, job = std::move(job)]() -> Input {
    return run_read(target, job, clock);
  };
  if (runs_here(target)) return post_local(operation.id, work());
  jobs_.read(target, operation.id, std::move(work));
}

// Nothing new is begun; what has begun may come back. What was never sent says so, and is durable.
void Engine::Impl::call_back_waiting_jobs() {
  for (const auto& [id, attempt] : jobs_.revoke_all()) {
    post_local(id, never_sent(attempt, "the server is stopping"));
  }
}

void Engine::Impl::post_local(const OperationId& id, Input input) {
  local_.emplace_back(MoveMessage{.id = id, .input = std::move(input)});
}

bool Engine::Impl::ensure_intent(const Operation& operation, Entry& entry) {
  if (!entry.intent) keep_intent(entry, stored_intent(operation));
  return entry.intent != nullptr;
}

std::shared_ptr<const Intent> Engine::Impl::stored_intent(const Operation& operation) {
  auto intent = read_intent(operation);
  return intent.has_value() ? std::move(intent).value() : nullptr;
}

Result<std::shared_ptr<const Intent>> Engine::Impl::read_intent(const Operation& operation) {
  TRUED_TRY(const auto stored, reader_->intent(operation.id));
  if (!stored) return std::shared_ptr<const Intent>();
  auto value = json::parse(*stored);
  if (!value.has_value()) return std::shared_ptr<const Intent>();
  if (is_defined(operation)) {
    return ports_.types->restore(operation.definition, *value, operation.identity);
  }
  InputFault fault;
  auto input = parse_write_input(std::move(value.value()), nullptr, fault);
  return input ? std::move(input->intent) : std::shared_ptr<const Intent>();
}

bool Engine::Impl::is_defined(const Operation& operation) const {
  return ports_.types != nullptr && operation.identity.type != kWriteType;
}

Result<std::vector<std::string>> Engine::Impl::turns_of(const Operation& operation,
                                                        std::shared_ptr<const Intent>& intent) {
  if (!is_defined(operation)) return ArtifactLocks::names_of(operation);
  if (!intent) {
    TRUED_TRY(intent, read_intent(operation));
  }
  // Without its definition it is not carried out, and must not be in anybody's way.
  if (!intent) return std::vector<std::string>();
  return ports_.types->turns(operation.definition, *intent, operation.identity);
}

}  // namespace trued
