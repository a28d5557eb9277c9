#include "engine/engine.h"

#include <utility>

#include "base/assert.h"
#include "engine/impl.h"

namespace trued {

Engine::Engine(EnginePorts ports, EngineOptions options)
    : impl_(std::make_unique<Impl>(ports, options)) {}

Engine::~Engine() { impl_->inbox->on_input({}); }

Result<void> Engine::recover() { return impl_->recover(); }

void Engine::submit(Submission submission, Duration wait, Reply reply) {
  TRUED_ASSERT(submission.intent != nullptr && reply != nullptr);
  SubmitMessage message{std::move(submission), wait, std::move(reply)};
  impl_->push_or_refuse(std::move(message));
}

void Engine::person(OperationId id, PersonInput input, Reply reply) {
  TRUED_ASSERT(reply != nullptr);
  impl_->push_or_refuse(PersonMessage{id, std::move(input), std::move(reply)});
}

void Engine::wait_for(OperationId id, Duration wait, Reply reply) {
  TRUED_ASSERT(reply != nullptr);
  impl_->push_or_refuse(WaitMessage{id, wait, std::move(reply)});
}

void Engine::lease(LeaseAsk ask, Duration wait, LeaseReply reply) {
  TRUED_ASSERT(reply != nullptr);
  impl_->push_or_refuse(LeaseMessage{std::move(ask), wait, std::move(reply)});
}

void Engine::heartbeat(OperationId id, Heartbeat beat, WorkReply reply) {
  TRUED_ASSERT(reply != nullptr);
  impl_->push_or_refuse(WorkMessage{id, std::move(beat), std::move(reply)});
}

void Engine::complete(OperationId id, AttemptReport report, WorkReply reply) {
  TRUED_ASSERT(reply != nullptr);
  impl_->push_or_refuse(WorkMessage{id, std::move(report), std::move(reply)});
}

Turn Engine::step() { return impl_->step(); }

void Engine::on_input(std::function<void()> wake) { impl_->inbox->on_input(std::move(wake)); }

void Engine::begin_drain() { impl_->draining = true; }

bool Engine::draining() const { return impl_->draining.load(); }

bool Engine::drained() const { return impl_->jobs_out() == 0 && impl_->inbox->empty(); }

void Engine::release_waiters() { impl_->release_waiters(); }

bool Engine::fenced() const { return impl_->fenced.load(); }

bool Engine::ready(std::string& reason) const {
  if (impl_->fenced.load()) {
    reason = "another node has taken over";
    return false;
  }
  if (impl_->draining.load()) {
    reason = "draining";
    return false;
  }
  if (std::string below = impl_->below_floor(); !below.empty()) {
    reason = std::move(below);
    return false;
  }
  if (impl_->ledger_down()) {
    reason = "the ledger cannot be written";
    return false;
  }
  return true;
}

EngineStats Engine::stats() const { return impl_->stats(); }

LedgerPosition Engine::position() const { return impl_->position(); }

}  // namespace trued
