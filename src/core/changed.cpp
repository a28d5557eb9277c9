#include <algorithm>

#include "core/operation.h"
#include "core/verification.h"

namespace trued {
namespace {

// What stood there before was something else, and now it is what was meant.
bool arrived(const ArtifactState& artifact) {
  const LevelCheck& store = artifact.store;
  return store.verdict == Verdict::match && store.baseline &&
         judge(artifact.meant, *store.baseline) == Verdict::mismatch;
}

// The target's word covers the whole operation, and neither a read-back nor a person denies it.
// An attempt before the last one may have done what the last one found done: "nothing to do" then
// says nothing about the operation.
bool believed(const Operation& operation) {
  const bool whole = operation.changed || operation.attempts == 1;
  return operation.effect == EffectKind::acknowledged && whole &&
         operation.state != State::failed && !differs_at_store(operation);
}

}  // namespace

std::optional<bool> known_change(const EffectEnded& ended) {
  switch (ended.kind) {
    case EffectKind::acknowledged:
      return ended.changed;
    case EffectKind::rejected_retryable:
    case EffectKind::rejected_final:
    case EffectKind::not_sent:
    case EffectKind::skipped:
      return false;
    case EffectKind::none:
    case EffectKind::unknown:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<bool> known_change(const Operation& operation) {
  if (operation.state == State::unchanged) return false;
  if (!operation.sent) {
    if (operation.state == State::attempting) return std::nullopt;
    return false;
  }
  if (operation.history.ours_present || std::ranges::any_of(operation.artifacts, arrived)) {
    return true;
  }
  if (believed(operation)) return operation.changed;
  return std::nullopt;
}

}  // namespace trued
