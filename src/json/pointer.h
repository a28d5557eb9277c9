// pointer.h: JSON pointers (RFC 6901). Pure.
#pragma once

#include <string>
#include <string_view>

namespace trued::json {

/// Appends "/" and the name, with '~' and '/' escaped.
void append_step(std::string& pointer, std::string_view name);
/// The pointer below `pointer` that leads to the member or element of that name.
[[nodiscard]] std::string pointer_below(std::string_view pointer, std::string_view name);

}  // namespace trued::json
