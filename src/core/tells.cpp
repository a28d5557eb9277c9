#include "core/tells.h"

#include <algorithm>
#include <string>

#include "base/assert.h"
#include "core/verification.h"

namespace trued {
namespace {

bool mismatched(const LevelCheck& check) { return check.verdict == Verdict::mismatch; }

bool equals_baseline(const LevelCheck& check) {
  if (!check.last || !check.baseline) return false;
  if (check.last->seen != check.baseline->seen) return false;
  return check.last->seen == Seen::absent || check.last->id == check.baseline->id;
}

// A piece of what was meant. A document that only grew is a piece of itself: what stood there
// before was not torn by us.
bool is_torn(const LevelCheck& check) {
  return mismatched(check) && check.last && check.last->proper_prefix && !equals_baseline(check);
}

// What was meant is what stood there before: such an artifact tells nothing about landing.
bool meant_to_stay(const ArtifactState& artifact) {
  const auto& baseline = artifact.store.baseline;
  if (!baseline || baseline->seen == Seen::unreadable) return false;
  if (artifact.meant.absent) return baseline->seen == Seen::absent;
  return baseline->seen == Seen::found && baseline->id == artifact.meant.id;
}

template <class Predicate>
bool any(const Operation& operation, Predicate predicate) {
  return std::ranges::any_of(operation.artifacts, predicate);
}

bool overwritten_by_another(const Operation& operation) {
  const History& history = operation.history;
  for (std::size_t i = 0; i < operation.artifacts.size(); ++i) {
    const LevelCheck& check = operation.artifacts.at(i).store;
    if (!mismatched(check)) continue;
    if (history.known) {
      const ArtifactHistory& entry = history.artifacts.at(i);
      if (entry.landed && !entry.replaced_by.empty()) return true;
      continue;
    }
    const bool other_content = check.last && check.last->seen == Seen::found &&
                               !check.last->proper_prefix && check.baseline &&
                               check.baseline->seen != Seen::unreadable && !equals_baseline(check);
    if (other_content) return true;
  }
  return false;
}

Tell tell_from_history(const Operation& operation) {
  const History& history = operation.history;
  TRUED_ASSERT(history.known);
  if (!history.ours_present) {
    return history.reported_present ? Tell::self_agreeing_noop : Tell::swallowed_race;
  }
  for (std::size_t i = 0; i < operation.artifacts.size(); ++i) {
    if (history.artifacts.at(i).landed && !meant_to_stay(operation.artifacts.at(i))) {
      return Tell::partial_landing;
    }
  }
  return Tell::empty_write;
}

Tell tell_without_history(const Operation& operation) {
  TRUED_ASSERT(!operation.history.known);
  const bool some_landed = any(operation, [](const ArtifactState& a) {
    return a.store.verdict == Verdict::match && !meant_to_stay(a);
  });
  if (some_landed) return Tell::partial_landing;
  const bool nothing_moved = std::ranges::all_of(operation.artifacts, [](const ArtifactState& a) {
    return !mismatched(a.store) || equals_baseline(a.store);
  });
  if (!nothing_moved) return Tell::unexplained;
  // A lost race has a version of its own to show; who shows none, or the one of before, did
  // nothing.
  const bool nothing_to_show =
      operation.version.empty() || operation.version == operation.version_before;
  return nothing_to_show ? Tell::self_agreeing_noop : Tell::swallowed_race;
}

Tell store_tell(const Operation& operation) {
  TRUED_ASSERT(differs_at_store(operation));
  if (overwritten_by_another(operation)) return Tell::overwritten;
  if (any(operation, [](const ArtifactState& a) { return is_torn(a.store); })) {
    return Tell::truncated;
  }
  return operation.history.known ? tell_from_history(operation) : tell_without_history(operation);
}

// The serving level moved on (its version did) and still shows what was there before.
bool moved_but_kept(const ArtifactState& artifact) {
  const LevelCheck& check = artifact.serving;
  if (!mismatched(check) || !check.last || !check.baseline) return false;
  return !check.last->version.empty() && !check.baseline->version.empty() &&
         check.last->version != check.baseline->version && equals_baseline(check);
}

Tell serving_tell(const Operation& operation) {
  TRUED_ASSERT(operation.has_serving && !differs_at_store(operation));
  if (any(operation, [](const ArtifactState& a) { return is_torn(a.serving); })) {
    return Tell::truncated;
  }
  const bool disagreed = any(operation, [](const ArtifactState& a) {
    return mismatched(a.serving) && a.serving.replicas_disagreed;
  });
  if (disagreed) return Tell::stale_replica;
  const bool some_arrived = any(operation, [](const ArtifactState& a) {
    return a.serving.verdict == Verdict::match && !meant_to_stay(a);
  });
  if (some_arrived) return Tell::partial_landing;
  const bool all_as_before = std::ranges::all_of(operation.artifacts, [](const ArtifactState& a) {
    return !mismatched(a.serving) || equals_baseline(a.serving);
  });
  if (!all_as_before) return Tell::unexplained;
  if (any(operation, moved_but_kept) || any(operation, meant_to_stay)) return Tell::clever_dedup;
  return Tell::stale_replica;
}

std::string describe(const LevelCheck& check) {
  if (!check.last) return "nothing read";
  switch (check.last->seen) {
    case Seen::absent:
      return "nothing";
    case Seen::unreadable:
      return "what could not be read";
    case Seen::found:
      break;
  }
  std::string text = std::to_string(check.last->id.bytes) + " bytes, sha256 " +
                     check.last->id.sha256.hex().substr(0, 12);
  if (check.last->proper_prefix) text += ", the beginning of what was meant";
  if (equals_baseline(check)) text += ", the same as before";
  return text;
}

}  // namespace

Tell name_tell(const Operation& operation) {
  TRUED_ASSERT(overall_of(operation) == Overall::mismatch);
  return differs_at_store(operation) ? store_tell(operation) : serving_tell(operation);
}

std::string describe_mismatch(const Operation& operation) {
  std::size_t others = 0;
  std::string text;
  const auto take = [&](const ArtifactState& artifact, const LevelCheck& check, Level level) {
    if (!mismatched(check)) return;
    if (!text.empty()) {
      ++others;
      return;
    }
    text = "'" + artifact.meant.name + "' at the " + std::string(to_string(level)) + " level: ";
    // Within a document a pointer says more than sizes do.
    if (check.last && check.last->seen == Seen::found && check.last->detail.starts_with('/')) {
      text += check.last->detail;
      return;
    }
    const std::string meant =
        artifact.meant.absent ? "absent" : std::to_string(artifact.meant.id.bytes) + " bytes";
    text += "meant " + meant + ", found " + describe(check);
  };
  for (const ArtifactState& artifact : operation.artifacts) {
    take(artifact, artifact.store, Level::store);
    take(artifact, artifact.serving, Level::serving);
  }
  if (others > 0) text += " (and " + std::to_string(others) + " more)";
  return text;
}

bool ended_stale(const Operation& operation) {
  return operation.state == State::failed && operation.effect == EffectKind::rejected_final &&
         !operation.sent && operation.reason.starts_with("stale-state:");
}

namespace {
constexpr std::string_view kStale = "stale-state: ";
static_assert(kStale.starts_with("stale-state:"));  // as ended_stale() looks for it
constexpr std::string_view kRequires = "requires/";
constexpr std::string_view kExpected = ": expected ";
constexpr std::string_view kSeen = ", seen ";

// Where `kSeen` begins; not within a quoted text, which may hold the same words.
std::size_t seen_begins(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text.substr(i).starts_with(kSeen)) {
      return i;
    }
  }
  return text.rfind(kSeen);
}
}  // namespace

std::string stale_reason(std::string_view which, std::string_view expected, std::string_view seen) {
  TRUED_ASSERT(!which.empty());
  std::string reason(kStale);
  return reason.append(which).append(kExpected).append(expected).append(kSeen).append(seen);
}

std::optional<StalePrecondition> stale_precondition(const Operation& operation) {
  if (!ended_stale(operation)) return std::nullopt;
  std::string_view rest = operation.reason;
  if (!rest.starts_with(kStale)) return std::nullopt;
  rest.remove_prefix(kStale.size());
  const std::size_t expected = rest.find(kExpected);
  if (!rest.starts_with(kRequires) || expected == std::string_view::npos) return std::nullopt;
  const std::string_view which = rest.substr(0, expected);
  rest.remove_prefix(expected + kExpected.size());
  const std::size_t seen = seen_begins(rest);
  if (seen == std::string_view::npos) return std::nullopt;
  TRUED_ASSERT(rest.substr(seen).starts_with(kSeen));
  return StalePrecondition{.which = std::string(which),
                           .expected = std::string(rest.substr(0, seen)),
                           .seen = std::string(rest.substr(seen + kSeen.size()))};
}

}  // namespace trued
