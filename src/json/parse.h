// parse.h: strict JSON parsing (RFC 8259, restricted to I-JSON, RFC 7493), by simdjson.
//
// Refused, each with its place: malformed text, invalid UTF-8, lone surrogates, duplicate names,
// nesting beyond the limit, anything after the document, integers beyond 2^53 (which the canonical
// form of RFC 8785 would change) and numbers that no double can hold.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"

namespace trued::json {

struct ParseLimits {
  std::size_t depth_max = 64;
  std::size_t bytes_max = std::size_t{64} << 20;
  /// False: an integer of more than 2^53 becomes a double of more than 2^53 that is near it. Only
  /// for what is compared with something exact, never for what is passed on.
  bool exact = true;
};

/// The document, or `invalid_argument` / `too_large` with a message for people that says where
/// (line and column, or the pointer) and what was expected. `pointer`, if given, becomes the
/// RFC 6901 pointer of the member at fault where the text is well-formed. Any thread.
[[nodiscard]] Result<Value> parse(std::string_view text, const ParseLimits& limits = {},
                                  std::string* pointer = nullptr);

}  // namespace trued::json
