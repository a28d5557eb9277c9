#include "base/encoding.h"

#include <array>
#include <cstdint>

#include "base/assert.h"

namespace trued {
namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::uint8_t kForeign = 0xff;

constexpr std::array<std::uint8_t, 256> make_base64_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kForeign);
  for (std::size_t i = 0; i < kBase64.size(); ++i) {
    values.at(static_cast<std::uint8_t>(kBase64.at(i))) = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr auto kBase64Values = make_base64_values();
static_assert(kBase64.size() == 64);
static_assert(kHex.size() == 16);

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

// Length of the well-formed sequence at `i`, or 0.
std::size_t utf8_sequence(std::string_view text, std::size_t i) {
  TRUED_ASSERT(i < text.size());
  const std::uint8_t lead = byte_at(text, i);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (text.size() - i < length) return 0;
  const std::uint8_t second = byte_at(text, i + 1);
  if (second < low || second > high) return 0;
  for (std::size_t k = 2; k < length; ++k) {
    if ((byte_at(text, i + k) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string base64_encode(std::string_view data) {
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  std::size_t i = 0;
  for (; i + 3 <= data.size(); i += 3) {
    const std::uint32_t group = static_cast<std::uint32_t>(byte_at(data, i)) << 16 |
                                static_cast<std::uint32_t>(byte_at(data, i + 1)) << 8 |
                                byte_at(data, i + 2);
    for (int shift = 18; shift >= 0; shift -= 6) out += kBase64[group >> shift & 63];
  }
  const std::size_t rest = data.size() - i;
  TRUED_ASSERT(rest < 3);
  if (rest == 0) return out;
  std::uint32_t group = static_cast<std::uint32_t>(byte_at(data, i)) << 16;
  if (rest == 2) group |= static_cast<std::uint32_t>(byte_at(data, i + 1)) << 8;
  out += kBase64[group >> 18 & 63];
  out += kBase64[group >> 12 & 63];
  out += rest == 2 ? kBase64[group >> 6 & 63] : '=';
  out += '=';
  TRUED_ASSERT(out.size() == (data.size() + 2) / 3 * 4);
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.empty()) return std::string();
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::size_t digits = text.size() - padding;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int count = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const std::uint8_t value = kBase64Values[byte_at(text, i)];
    if (value == kForeign) return std::nullopt;
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xff);
      bits &= (1U << count) - 1;
    }
  }
  TRUED_ASSERT(count < 8);
  if (bits != 0) return std::nullopt;
  TRUED_ASSERT(out.size() == digits * 6 / 8);
  return out;
}

std::string hex_encode(std::string_view data) {
  std::string out;
  out.reserve(data.size() * 2);
  for (std::size_t i = 0; i < data.size(); ++i) {
    out += kHex[byte_at(data, i) >> 4];
    out += kHex[byte_at(data, i) & 15];
  }
  TRUED_ASSERT(out.size() == data.size() * 2);
  return out;
}

std::optional<std::string> hex_decode(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
  }
  TRUED_ASSERT(out.size() == text.size() / 2);
  return out;
}

bool utf8_valid(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t length = utf8_sequence(text, i);
    if (length == 0) return false;
    i += length;
  }
  TRUED_ASSERT(i == text.size());
  return true;
}

std::string utf8_repaired(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size() + 8);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_sequence(text, i);
    if (length == 0) {
      repaired += "\xEF\xBF\xBD";
      ++i;
      continue;
    }
    repaired.append(text, i, length);
    i += length;
  }
  return repaired;
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain || kept.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kDigits[byte >> 4U], kDigits[byte & 0xfU]};
    }
  }
  return out;
}

}  // namespace trued
