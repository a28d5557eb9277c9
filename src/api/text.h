// text.h: comparing words of HTTP, which are ASCII in any case. Pure.
#pragma once

#include <algorithm>
#include <string_view>

namespace trued::api {

[[nodiscard]] inline char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// True if `text` is `lower_case` in any case.
[[nodiscard]] inline bool is_word(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case, [](char a, char b) { return lower(a) == b; });
}

}  // namespace trued::api
