#include "core/verification.h"

#include <algorithm>

namespace trued {
namespace {

bool content_equal(const Observation& a, const Observation& b) {
  if (a.seen == Seen::unreadable || b.seen == Seen::unreadable) return false;
  return a.seen == b.seen && (a.seen == Seen::absent || a.id == b.id);
}

// Without a history, only what stood there before, a torn piece of ours, or (when a crash took the
// reads made before) nothing at all may be written over.
bool is_ours_to_write(const ArtifactState& artifact) {
  const LevelCheck& check = artifact.store;
  if (check.verdict != Verdict::mismatch) return true;
  if (!check.last) return false;
  if (check.last->proper_prefix) return true;
  if (!check.baseline) return check.last->seen == Seen::absent;
  return content_equal(*check.last, *check.baseline);
}

Follow after_mismatch(const VerificationFacts& facts) {
  if (facts.superseded) return Follow::supersede;
  if (facts.may_read_again) return Follow::read_again;
  return facts.safe && facts.attempts_remain ? Follow::attempt_again : Follow::ask_person;
}

Follow after_effect_that_may_have_happened(const VerificationFacts& facts) {
  switch (facts.overall) {
    case Overall::match:
      return facts.verify ? Follow::confirm : Follow::acknowledge;
    case Overall::mismatch:
      return after_mismatch(facts);
    case Overall::unreadable:
      return facts.may_read_again ? Follow::read_again : Follow::ask_person;
    case Overall::nothing_to_read:
      return facts.safe && facts.attempts_remain ? Follow::attempt_again : Follow::ask_person;
  }
  return Follow::ask_person;
}

}  // namespace

Follow decide_follow(const VerificationFacts& facts) {
  switch (facts.effect) {
    case EffectKind::rejected_final:
      return Follow::fail;
    case EffectKind::rejected_retryable:
    case EffectKind::not_sent:
      return facts.attempts_remain ? Follow::attempt_again : Follow::fail;
    case EffectKind::acknowledged:
      if (!facts.verify) return Follow::acknowledge;
      return after_effect_that_may_have_happened(facts);
    case EffectKind::none:
    case EffectKind::unknown:
    case EffectKind::skipped:
      return after_effect_that_may_have_happened(facts);
  }
  return Follow::ask_person;
}

Overall overall_of(const Operation& operation) {
  if (operation.artifacts.empty()) return Overall::nothing_to_read;
  bool all_match = true;
  bool mismatch = false;
  const auto take = [&](const LevelCheck& check) {
    mismatch = mismatch || check.verdict == Verdict::mismatch;
    all_match = all_match && check.verdict == Verdict::match;
  };
  for (const ArtifactState& artifact : operation.artifacts) {
    take(artifact.store);
    if (operation.has_serving) take(artifact.serving);
  }
  if (mismatch) return Overall::mismatch;
  return all_match ? Overall::match : Overall::unreadable;
}

bool proved_superseded(const Operation& operation) {
  const History& history = operation.history;
  if (!history.known || history.artifacts.size() != operation.artifacts.size()) return false;
  bool any = false;
  for (std::size_t i = 0; i < operation.artifacts.size(); ++i) {
    if (operation.artifacts.at(i).store.verdict != Verdict::mismatch) continue;
    const ArtifactHistory& entry = history.artifacts.at(i);
    if (!entry.landed || entry.replaced_by.empty()) return false;
    any = true;
  }
  return any;
}

bool safe_to_repeat(const Operation& operation, const Capabilities& capabilities) {
  if (capabilities.deduplicates) return true;
  if (!capabilities.idempotent) return false;
  if (capabilities.history) return true;
  return std::ranges::all_of(operation.artifacts, is_ours_to_write);
}

}  // namespace trued
