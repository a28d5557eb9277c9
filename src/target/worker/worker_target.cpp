#include "target/worker/worker_target.h"

#include <utility>

#include "json/canonical.h"
#include "target/outcome.h"

namespace trued {
namespace {

constexpr const char* kNothingToRead =
    "nothing can be read of a worker; read it where the worker leaves it, at another target";

}  // namespace

Capabilities WorkerTarget::capabilities() const {
  return {.idempotent = false, .deduplicates = deduplicates_};
}

EffectResult WorkerTarget::perform(const Call& call) {
  EffectResult result;
  result.handed_over = json::canonical(call.request);
  return result;
}

RawRead WorkerTarget::read(const Call&) { return read_unreadable(kNothingToRead); }

Probed WorkerTarget::probe(const CallContext&) {
  Probed probed;
  probed.detail = "a worker keeps no record that could be asked";
  return probed;
}

std::vector<CallFault> WorkerTarget::check_effect(const json::Value& call) const {
  if (call.is_object()) return {};
  return {{"", "is no object: what a worker is handed has members"}};
}

std::vector<CallFault> WorkerTarget::check_read(const json::Value&) const {
  return {{"", kNothingToRead}};
}

}  // namespace trued
