#include "json/canonical.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>

#include "base/assert.h"
#include "base/encoding.h"

namespace trued::json {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr int kDigitsMax = 17;  // that a double ever needs
static_assert(kDigitsMax == std::numeric_limits<double>::max_digits10);

bool needs_escape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

void write_escape(char c, std::string& out) {
  TRUED_ASSERT(needs_escape(c));
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
  }
}

void write_int(std::int64_t number, std::string& out) {
  std::array<char, 24> buffer{};
  const auto [end, failure] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  TRUED_ASSERT(failure == std::errc{});
  out.append(buffer.data(), end);
}

void indent(std::size_t depth, std::string& out) {
  out += '\n';
  out.append(depth * 2, ' ');
}

void write_quoted(std::string_view text, std::string& out) {
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!needs_escape(text[i])) continue;
    out.append(text, plain, i - plain);
    write_escape(text[i], out);
    plain = i + 1;
  }
  out.append(text, plain);
  out += '"';
}

bool readable(std::string_view text) {
  unsigned char bits = 0;
  for (const char c : text) bits |= static_cast<unsigned char>(c);
  return bits < 0x80 || utf8_valid(text);
}

void write_scalar(const Value& value, std::string& out) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    write_int(value.as_int(), out);
  } else if (value.is_double()) {
    write_number(value.as_double(), out);
  } else {
    write_exact(value.as_string(), out);
  }
}

void pretty(const Value& value, std::size_t depth, std::string& out) {
  const bool list = value.is_array();
  if (!list && !value.is_object()) return write_scalar(value, out);
  const std::size_t size = list ? value.items().size() : value.members().size();
  out += list ? '[' : '{';
  for (std::size_t i = 0; i < size; ++i) {
    if (i > 0) out += ',';
    indent(depth + 1, out);
    if (list) {
      pretty(value.items().at(i), depth + 1, out);
      continue;
    }
    const auto& [name, member] = value.members().at(i);
    write_exact(name, out);
    out += ": ";
    pretty(member, depth + 1, out);
  }
  if (size > 0) indent(depth, out);
  out += list ? ']' : '}';
}

}  // namespace

void write_string(std::string_view text, std::string& out) {
  readable(text) ? write_quoted(text, out) : write_quoted(utf8_repaired(text), out);
}

void write_exact(std::string_view text, std::string& out) {
  TRUED_ASSERT(readable(text));
  write_quoted(text, out);
}

// ECMA-262, Number::toString: the shortest digits, placed by the size of the exponent.
void write_number(double number, std::string& out) {
  TRUED_ASSERT(std::isfinite(number));
  if (number == 0) {
    out += '0';
    return;
  }
  if (number < 0) out += '-';
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::fabs(number),
                                 std::chars_format::scientific)
                       .ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t e = text.find('e');
  TRUED_ASSERT(e != std::string_view::npos && e + 1 < text.size());
  int exponent = 0;
  const char* begin = text.data() + e + 1 + (text[e + 1] == '+' ? 1 : 0);
  std::from_chars(begin, text.data() + text.size(), exponent);
  std::string digits(1, text[0]);
  if (e > 2) digits.append(text, 2, e - 2);
  const int count = static_cast<int>(digits.size());
  TRUED_ASSERT(count >= 1 && count <= kDigitsMax);
  const int point = exponent + 1;  // digits before the decimal point
  if (count <= point && point <= 21) {
    out += digits;
    out.append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= 21) {
    out.append(digits, 0, static_cast<std::size_t>(point));
    out += '.';
    out.append(digits, static_cast<std::size_t>(point));
  } else if (-6 < point && point <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-point), '0');
    out += digits;
  } else {
    out += digits[0];
    if (count > 1) {
      out += '.';
      out.append(digits, 1);
    }
    out += exponent < 0 ? "e-" : "e+";
    write_int(exponent < 0 ? -exponent : exponent, out);
  }
}

void write_canonical(const Value& value, std::string& out) {
  if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const Value& item : value.items()) {
      if (!first) out += ',';
      first = false;
      write_canonical(item, out);
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    bool first = true;
    for (const auto& [name, member] : value.members()) {
      if (!first) out += ',';
      first = false;
      write_exact(name, out);
      out += ':';
      write_canonical(member, out);
    }
    out += '}';
  } else {
    write_scalar(value, out);
  }
}

std::string canonical(const Value& value) {
  std::string out;
  write_canonical(value, out);
  return out;
}

void write_pretty(const Value& value, std::string& out) { pretty(value, 0, out); }

}  // namespace trued::json
