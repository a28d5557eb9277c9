// people.h: who decides, and why, as a request says it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/problems.h"
#include "json/value.h"

namespace trued::api {

/// Takes a text of at most 4096 bytes from a body, if there is one; false with the problem. Only
/// "why" may have lines.
[[nodiscard]] bool take_words(const json::Value& body, std::string_view name, std::string& out,
                              Problem& problem);

/// The token's name, which cannot be left out, then who the caller says it is.
[[nodiscard]] std::string signature(const std::string& actor, const std::string& who);

}  // namespace trued::api
