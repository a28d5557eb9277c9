// scalar.h: values that have one text. Pure.
#pragma once

#include <optional>
#include <string>

#include "json/value.h"

namespace trued::json {

/// A text as it is, a number or truth value in canonical form; nothing for what has no one text
/// (null, arrays, objects).
[[nodiscard]] std::optional<std::string> scalar_text(const Value& value);

}  // namespace trued::json
