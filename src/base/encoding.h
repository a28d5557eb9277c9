// encoding.h: base64, base32, hexadecimal, percent-encoding, UTF-8. Pure; strict when decoding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trued {

/// RFC 4648 section 4, with padding.
[[nodiscard]] std::string base64_encode(std::string_view data);
/// Nothing unless canonical: right alphabet, right padding, no stray bits, no white space.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

/// Lower-case hexadecimal.
[[nodiscard]] std::string hex_encode(std::string_view data);
/// Either case; nothing for an odd length or a foreign character.
[[nodiscard]] std::optional<std::string> hex_decode(std::string_view text);

/// "%2F" for "/": everything but the unreserved characters of RFC 3986 and those of `kept`.
[[nodiscard]] std::string percent_encoded(std::string_view text, std::string_view kept = {});

/// True for well-formed UTF-8 (RFC 3629): no overlong form, surrogate, or value above U+10FFFF.
[[nodiscard]] bool utf8_valid(std::string_view text);
/// `text` with every byte that is part of no well-formed sequence replaced by U+FFFD: for what
/// others say (targets, commands, the system) before it is stored or shown.
[[nodiscard]] std::string utf8_repaired(std::string_view text);

}  // namespace trued
