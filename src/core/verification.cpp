#include "core/verification.h"

#include <algorithm>
#include <functional>

#include "base/assert.h"

namespace trued {
namespace {

bool content_equal(const Observation& a, const Observation& b) {
  if (a.seen == Seen::unreadable || b.seen == Seen::unreadable) return false;
  return a.seen == b.seen && (a.seen == Seen::absent || a.id == b.id);
}

// Without a history, only what stood there before, a torn piece of ours, or (when a crash took the
// reads made before) nothing at all may be written over. Where what stood there before is not known
// and the target carries out our identity once, a repeat is the first effect or none at all.
bool content_is_ours_to_replace(const LevelCheck& check, bool deduplicates) {
  if (!check.last) return false;
  if (check.last->proper_prefix) return true;
  const bool known = check.baseline && check.baseline->seen != Seen::unreadable;
  if (!known && deduplicates) return true;
  if (!check.baseline) return check.last->seen == Seen::absent;
  return content_equal(*check.last, *check.baseline);
}

bool history_usable(const Operation& operation) {
  return operation.history.known &&
         operation.history.artifacts.size() == operation.artifacts.size();
}

bool replaced(const ArtifactHistory& entry) { return entry.landed && !entry.replaced_by.empty(); }

bool is_ours_to_write(const Operation& operation, std::size_t index, bool deduplicates) {
  const LevelCheck& check = operation.artifacts.at(index).store;
  if (check.verdict == Verdict::match) return true;
  if (check.verdict != Verdict::mismatch) return false;
  if (history_usable(operation)) return !replaced(operation.history.artifacts.at(index));
  return content_is_ours_to_replace(check, deduplicates);
}

Follow after_mismatch(const VerificationFacts& facts) {
  if (facts.superseded) return Follow::supersede;
  if (facts.may_read_again) return Follow::read_again;
  return facts.safe && facts.attempts_remain ? Follow::attempt_again : Follow::ask_person;
}

// Absence is weak evidence: what says no is asked again until the settling bound.
Follow after_nothing_to_read(const VerificationFacts& facts) {
  if (facts.probed == Happened::yes) return Follow::acknowledge;
  if (facts.probed && facts.may_read_again) return Follow::read_again;
  if (facts.safe && facts.attempts_remain) return Follow::attempt_again;
  return facts.probed == Happened::no ? Follow::fail : Follow::ask_person;
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
      return after_nothing_to_read(facts);
  }
  return Follow::ask_person;
}

Follow after_acknowledgement(const VerificationFacts& facts) {
  // Nothing can be read: the target's word is all there is, and is called no more than that.
  if (!facts.verify || facts.overall == Overall::nothing_to_read) return Follow::acknowledge;
  return after_effect_that_may_have_happened(facts);
}

std::string describe(const Observation& seen) {
  if (seen.seen == Seen::absent) return "absent";
  return std::to_string(seen.id.bytes) + " bytes, sha256 " + seen.id.sha256.hex().substr(0, 12);
}

}  // namespace

std::optional<HeldBack> held_back(const Intent& intent, const std::vector<Observation>& then,
                                  const std::vector<Observation>& now) {
  std::optional<HeldBack> unknown;
  for (const Observation& before : then) {
    if (before.level != Level::store || before.seen == Seen::unreadable) continue;
    const ArtifactIntent& meant = intent.artifacts.at(before.artifact);
    const auto found = std::ranges::find_if(now, [&](const Observation& read) {
      return read.level == Level::store && read.artifact == before.artifact;
    });
    if (found == now.end() || found->seen == Seen::unreadable) {
      unknown = HeldBack{.kind = EffectKind::not_sent,
                         .reason = "'" + meant.name +
                                   "' cannot be read, and another may have written it since this "
                                   "operation was first tried"};
      continue;
    }
    if (content_equal(before, *found) || judge(meant, *found) == Verdict::match) continue;
    return HeldBack{.kind = EffectKind::rejected_final,
                    .reason = "stale-state: '" + meant.name +
                              "' was changed by another since this operation was first tried "
                              "(then " +
                              describe(before) + "; now " + describe(*found) +
                              "): submit a new operation if it should still be written"};
  }
  return unknown;
}

namespace {

Follow follow_of(const VerificationFacts& facts) {
  switch (facts.effect) {
    case EffectKind::rejected_final:
      return Follow::fail;
    case EffectKind::rejected_retryable:
    case EffectKind::not_sent:
      return facts.attempts_remain ? Follow::attempt_again : Follow::fail;
    case EffectKind::acknowledged:
      return after_acknowledgement(facts);
    case EffectKind::none:
    case EffectKind::unknown:
    case EffectKind::skipped:
      return after_effect_that_may_have_happened(facts);
  }
  return Follow::ask_person;
}

// The invariants of verification.h, held against every row of its table.
void assert_follows(const VerificationFacts& facts, Follow follow) {
  const bool turned_away =
      facts.effect == EffectKind::rejected_retryable || facts.effect == EffectKind::not_sent;
  const bool acknowledged = facts.effect == EffectKind::acknowledged;
  switch (follow) {
    case Follow::confirm:
      TRUED_ASSERT(facts.overall == Overall::match);
      TRUED_ASSERT(facts.verify);
      return;
    case Follow::acknowledge:
      TRUED_ASSERT(acknowledged || !facts.verify || facts.probed == Happened::yes);
      return;
    case Follow::read_again:
      TRUED_ASSERT(facts.may_read_again);
      TRUED_ASSERT(facts.overall != Overall::match && !turned_away);
      return;
    case Follow::attempt_again:
      TRUED_ASSERT(facts.attempts_remain);
      TRUED_ASSERT(turned_away || facts.overall != Overall::unreadable);
      TRUED_ASSERT(turned_away || facts.safe);
      TRUED_ASSERT(turned_away || facts.overall != Overall::match);
      return;
    case Follow::supersede:
      TRUED_ASSERT(facts.superseded && facts.overall == Overall::mismatch);
      return;
    case Follow::fail:
      TRUED_ASSERT(!acknowledged);
      TRUED_ASSERT(turned_away || facts.effect == EffectKind::rejected_final ||
                   facts.probed == Happened::no);
      return;
    case Follow::ask_person:
      TRUED_ASSERT(facts.overall != Overall::match && !turned_away);
      return;
  }
}

}  // namespace

Follow decide_follow(const VerificationFacts& facts) {
  const Follow follow = follow_of(facts);
  assert_follows(facts, follow);
  return follow;
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
  TRUED_ASSERT(!mismatch || !all_match);
  if (mismatch) return Overall::mismatch;
  return all_match ? Overall::match : Overall::unreadable;
}

bool differs_at_store(const Operation& operation) {
  return std::ranges::any_of(operation.artifacts, [](const ArtifactState& artifact) {
    return artifact.store.verdict == Verdict::mismatch;
  });
}

bool proved_superseded(const Operation& operation) {
  if (!history_usable(operation)) return false;
  for (std::size_t i = 0; i < operation.artifacts.size(); ++i) {
    const std::optional<Verdict>& verdict = operation.artifacts.at(i).store.verdict;
    const ArtifactHistory& entry = operation.history.artifacts.at(i);
    if (verdict == Verdict::match) continue;
    if (!entry.landed) return false;
    if (verdict == Verdict::mismatch && !replaced(entry)) return false;
  }
  return differs_at_store(operation);
}

bool still_as_shown(const Operation& operation, const std::vector<Observation>& reads) {
  const bool asked = operation.sent && operation.attempts_counted == 0;
  if (!asked || operation.reads_done > 0) return false;
  std::vector<bool> known(operation.artifacts.size());
  for (const Observation& read : reads) {
    if (read.level != Level::store) continue;
    const ArtifactState& artifact = operation.artifacts.at(read.artifact);
    const LevelCheck& check = artifact.store;
    known.at(read.artifact) = judge(artifact.meant, read) == Verdict::match ||
                              (check.last && content_equal(*check.last, read)) ||
                              (check.baseline && content_equal(*check.baseline, read));
  }
  return !known.empty() && std::ranges::all_of(known, std::identity{});
}

std::optional<Happened> probed(const Operation& operation, const Capabilities& capabilities) {
  if (!capabilities.probes) return std::nullopt;
  if (!operation.history.known) return Happened::maybe;
  return operation.history.ours_present ? Happened::yes : Happened::no;
}

Capabilities capabilities_at(const Operation& operation, const Policy& policy, WallTime now) {
  Capabilities capabilities = policy.capabilities;
  if (policy.remembers.count() == 0) return capabilities;
  const WallTime first =
      std::max(operation.created_at, operation.not_before.value_or(operation.created_at));
  const bool forgotten = now + policy.effect_timeout > first + policy.remembers;
  capabilities.deduplicates = capabilities.deduplicates && !forgotten;
  return capabilities;
}

bool safe_to_repeat(const Operation& operation, const Capabilities& capabilities) {
  const bool harmless = capabilities.deduplicates || capabilities.idempotent;
  if (!harmless && probed(operation, capabilities) != Happened::no) return false;
  for (std::size_t i = 0; i < operation.artifacts.size(); ++i) {
    if (!is_ours_to_write(operation, i, capabilities.deduplicates)) return false;
  }
  return true;
}

}  // namespace trued
