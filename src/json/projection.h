// projection.h: that part of a document which another one speaks of. Pure.
//
// "Every member meant is there and equal; others may be there too" is decided by projecting what
// was found onto the structure of what was meant: canonical(project(found, meant)) is
// canonical(meant) if and only if the subset holds, and so their digests are equal.
#pragma once

#include <optional>
#include <string>

#include "json/value.h"

namespace trued::json {

/// Objects: the members that `meant` has, each projected; others are left out. Arrays of the same
/// length: element by element. Everything else as it was found.
[[nodiscard]] Value project(Value found, const Value& meant);

/// Where a document fails to hold what was meant.
struct Difference {
  std::string pointer;           ///< of the first that differs, in document order
  const Value* meant = nullptr;  ///< within what was meant
  const Value* found = nullptr;  ///< within what was found; null: it is not there
};

/// Nothing if `found` holds every member of `meant`. Points into both.
[[nodiscard]] std::optional<Difference> first_difference(const Value& found, const Value& meant);

}  // namespace trued::json
