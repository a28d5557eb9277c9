// diff.h: where two documents differ, as JSON pointers (RFC 6901). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "json/value.h"

namespace trued::json {

/// Pointers of what was added, removed or changed, in document order, at most `max`. Arrays are
/// compared element by element. Empty if and only if the documents are equal (or `max` is 0).
[[nodiscard]] std::vector<std::string> differing_pointers(const Value& before, const Value& after,
                                                          std::size_t max);

}  // namespace trued::json
