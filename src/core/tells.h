// tells.h: names the lie behind a mismatch from its signature.
//
// If several tells fit, the first of this order wins (docs/tells/ has a page for each):
//   1. overwritten          another writer's content stands there (not a lie)
//   2. truncated            what is there is a proper prefix of what was meant, and is not what
//                           was there before
//   3. empty_write          our change is in the history and holds none of our artifacts
//   4. partial_landing      some artifacts landed, some did not
//   5. self_agreeing_noop   acknowledged with a version that exists and is not ours (without a
//                           history: with none, or that of before, and nothing moved)
//   6. swallowed_race       acknowledged, and nothing of ours is in the history (without a history:
//                           with a version of its own, and nothing moved)
//   7. clever_dedup         the store matches, the serving level kept everything as it was, and an
//                           artifact of ours was meant to stay byte-identical
//   8. stale_replica        the store matches, the serving level shows the content of before
//   9. unexplained          none of these
// Rules 3 to 6 speak of the store, 7 and 8 of the serving level. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/operation.h"

namespace trued {

/// Names the tell of the operation's present mismatches. REQUIRES: at least one artifact
/// mismatches.
[[nodiscard]] Tell name_tell(const Operation& operation);

/// One sentence of evidence for people: which artifact, what was meant, what was seen.
[[nodiscard]] std::string describe_mismatch(const Operation& operation);

/// True if the operation failed because what it was based on (`base`) no longer stands, and nothing
/// of it ever reached the target. Connectors say so by a final rejection whose reason begins with
/// "stale-state:" (target/target_conformance.h holds them to it).
[[nodiscard]] bool ended_stale(const Operation& operation);

/// What such a reason says of a precondition (`requires` of a definition): which, what it asks for,
/// and what was found.
struct StalePrecondition {
  std::string which;  ///< "requires/0"
  std::string expected;
  std::string seen;
};
[[nodiscard]] std::string stale_reason(std::string_view which, std::string_view expected,
                                       std::string_view seen);
/// Nothing if it ended otherwise: a stale `base` is another matter.
[[nodiscard]] std::optional<StalePrecondition> stale_precondition(const Operation& operation);

}  // namespace trued
