#include "engine/jobs.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace trued {

Jobs::Jobs(Runner& runner, std::shared_ptr<Inbox> inbox, std::size_t per_target_max)
    : runner_(runner), inbox_(std::move(inbox)), per_target_max_(per_target_max) {
  TRUED_ASSERT(inbox_ != nullptr);
  TRUED_ASSERT(per_target_max_ > 0);
}

std::size_t Jobs::at_a_time(const Target& target) const {
  const std::size_t wanted = target.policy.gates.concurrency;
  return wanted == 0 ? per_target_max_ : std::min(wanted, per_target_max_);
}

Jobs::StagePtr Jobs::hand_out(const OperationId& id, EffectWork work, Priority priority,
                              const JobEnd& end) {
  TRUED_ASSERT(end.target != nullptr && end.number > 0);
  auto stage = std::make_shared<std::atomic<Stage>>(Stage::queued);
  ++out_;
  auto run = [box = inbox_, stage, id, end, work = std::move(work)]() mutable {
    Stage expected = Stage::queued;
    // A read has begun with its job; an effect claims its beginning itself.
    const bool goes_on =
        stage->compare_exchange_strong(expected, end.effect ? Stage::looking : Stage::begun);
    const Claim claim = [&stage] {
      Stage looking = Stage::looking;
      return stage->compare_exchange_strong(looking, Stage::begun);
    };
    std::optional<Input> input;
    if (goes_on) input = work(claim);
    (void)box->push(MoveMessage{.id = id, .input = std::move(input), .end = end});
  };
  Line& line = lines_[end.target->name];
  TRUED_ASSERT(line.running <= at_a_time(*end.target));
  // Nobody waits while there is room.
  TRUED_ASSERT(line.waiting.empty() || line.running == at_a_time(*end.target));
  if (line.running >= at_a_time(*end.target)) {
    line.waiting.push(priority, ++number_, std::move(run));
  } else {
    ++line.running;
    runner_.run(std::move(run));
  }
  return stage;
}

void Jobs::effect(const Target& target, const OperationId& id, AttemptNo attempt, Priority priority,
                  EffectWork work) {
  TRUED_ASSERT(!effect_out(id));  // one effect of an operation at a time, or it may happen twice
  const JobEnd end{.target = &target, .effect = true, .number = ++number_};
  effects_[id].emplace(end.number, Effect{.attempt = attempt,
                                          .stage = hand_out(id, std::move(work), priority, end)});
}

void Jobs::read(const Target& target, const OperationId& id, Work work) {
  TRUED_ASSERT(!read_out(id));
  const JobEnd end{.target = &target, .effect = false, .number = ++number_};
  auto read = [work = std::move(work)](const Claim&) mutable { return work(); };
  // Others hang on what it finds out, and it keeps the target for a moment only.
  reads_[id] = hand_out(id, std::move(read), Priority::critical, end);
}

bool Jobs::call_back(std::atomic<Stage>& stage) {
  Stage expected = Stage::queued;
  if (stage.compare_exchange_strong(expected, Stage::revoked)) {
    TRUED_ASSERT(out_.load() > 0);
    --out_;
    return true;
  }
  return called_back(expected) ||
         (expected == Stage::looking && stage.compare_exchange_strong(expected, Stage::forbidden));
}

bool Jobs::revoke(const OperationId& id, AttemptNo attempt) {
  const auto found = effects_.find(id);
  if (found == effects_.end()) return false;
  for (auto& [number, effect] : found->second) {
    if (effect.attempt == attempt) return call_back(*effect.stage);
  }
  return false;
}

std::vector<std::pair<OperationId, AttemptNo>> Jobs::revoke_all() {
  std::vector<std::pair<OperationId, AttemptNo>> revoked;
  for (auto& [id, effects] : effects_) {
    for (auto& [number, effect] : effects) {
      const bool before = called_back(effect.stage->load());
      if (!before && call_back(*effect.stage)) revoked.emplace_back(id, effect.attempt);
    }
  }
  for (auto& [id, stage] : reads_) (void)call_back(*stage);
  return revoked;
}

bool Jobs::effect_out(const OperationId& id) const {
  const auto found = effects_.find(id);
  return found != effects_.end() && std::ranges::any_of(found->second, [](const auto& entry) {
           return !called_back(entry.second.stage->load());
         });
}

void Jobs::end(const OperationId& id, const JobEnd& end) {
  StagePtr stage;
  if (end.effect) {
    const auto found = effects_.find(id);
    TRUED_ASSERT(found != effects_.end());  // every job ends once
    stage = found->second.at(end.number).stage;
    found->second.erase(end.number);
    if (found->second.empty()) effects_.erase(found);
  } else {
    stage = std::move(reads_.at(id));
    reads_.erase(id);
  }
  TRUED_ASSERT(stage != nullptr && stage->load() != Stage::queued);
  if (stage->load() != Stage::revoked) {
    TRUED_ASSERT(out_.load() > 0);
    --out_;
  }
  Line& line = lines_.at(end.target->name);
  TRUED_ASSERT(line.running > 0 && line.running <= at_a_time(*end.target));
  if (line.waiting.empty()) {
    --line.running;
    return;
  }
  runner_.run(line.waiting.pop());
}

}  // namespace trued
