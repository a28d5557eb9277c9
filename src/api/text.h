// text.h: words of HTTP, which are ASCII in any case, and texts that people will see. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
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

/// Whether line breaks and tabs are part of a text, or as foreign to it as other control
/// characters.
enum class Breaks : std::uint8_t { refused, allowed };

/// True if a terminal or a log could be led astray by the text: it holds a control character (C0,
/// DEL or C1). A carriage return is part of a line break or refused. REQUIRES: valid UTF-8.
[[nodiscard]] bool has_control(std::string_view text, Breaks breaks);

/// At most 100 bytes of what a stranger sent, with everything but visible ASCII as \xHH: for
/// messages that quote it.
[[nodiscard]] std::string shown(std::string_view text);

}  // namespace trued::api
