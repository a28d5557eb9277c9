// definitions.h: definitions as they are applied: a plan, and one operation for each change.
//
// Shared by the API and by `trued serve`, which applies its file when it starts. Pure.
#pragma once

#include <string>
#include <string_view>

#include "define/registry.h"
#include "engine/submission.h"

namespace trued::api {

/// The operation that carries out `change`. REQUIRES: it adds, changes or retires.
[[nodiscard]] Submission submission_of(const define::PlannedChange& change, std::string actor);

/// True if there is something to be done for it.
[[nodiscard]] bool is_change(const define::PlannedChange& change);

}  // namespace trued::api
