// plan.h: the commit that an effect calls for on a given head. Private to this folder.
#pragma once

#include <string>
#include <variant>

#include "target/git/git_connector.h"
#include "target/git/store.h"

namespace trued::git {

/// Either the commit to put in place (its objects are written, nothing refers to it yet), or how
/// the attempt ends without one: it all holds, a path is in the way, the base is stale.
using Plan = std::variant<git_oid, EffectResult>;

/// Wherever the head is not the version before the first attempt, the history decides first what
/// landed and was replaced by somebody else: that is left alone. Errors: an object could not be
/// read or written; nothing happened.
[[nodiscard]] Result<Plan> plan(const Snapshot& snapshot, const EffectRequest& request,
                                const GitOptions& options);

}  // namespace trued::git
