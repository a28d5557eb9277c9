// text.h: words of HTTP, which are ASCII in any case, and texts that people will see. Pure.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace trued::api {

[[nodiscard]] inline char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// True if `text` is `lower_case` in any case.
[[nodiscard]] inline bool is_word(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case, [](char a, char b) { return lower(a) == b; });
}

/// At most 100 bytes of what a stranger sent, with everything but visible ASCII as \xHH: for
/// messages that quote it.
[[nodiscard]] std::string shown(std::string_view text);

}  // namespace trued::api
