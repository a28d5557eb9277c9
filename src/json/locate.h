// locate.h: where and why a text is no JSON, for people. Private to src/json.
//
// simdjson says that a document is wrong, not where. This scanner looks once more at what it has
// refused: it is strict (RFC 8259), keeps no tree, and stops at the first flaw. Pure; O(bytes).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace trued::json {

struct Flaw {
  std::size_t offset = 0;  ///< in bytes; the size of the text where it ends too early
  std::string what;        ///< "expected ',' or '}', found 'x'"
  bool depth = false;      ///< it is nested too deep, and fine so far
};

/// The first flaw, or nothing: then the text is well-formed, and what is wrong is another matter.
[[nodiscard]] std::optional<Flaw> find_flaw(std::string_view text, std::size_t depth_max);

/// "line 3, column 7": both count from 1, columns in characters.
[[nodiscard]] std::string place_of(std::string_view text, std::size_t offset);

}  // namespace trued::json
