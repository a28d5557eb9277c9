#include "json/locate.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "base/assert.h"
#include "base/encoding.h"

namespace trued::json {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_word_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '+' ||
         c == '-' || c == '.';
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Bytes of the well-formed UTF-8 sequence that `text` begins with; 0 if there is none.
std::size_t character_size(std::string_view text) {
  TRUED_ASSERT(!text.empty());
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return size <= text.size() && utf8_valid(text.substr(0, size)) ? size : 0;
}

std::string hex(unsigned value, std::size_t digits) {
  std::string out;
  while (out.size() < digits || value != 0) {
    out.insert(out.begin(), "0123456789ABCDEF"[value & 15U]);
    value >>= 4U;
  }
  return out;
}

// How people call the character with which `text` begins.
std::string named(std::string_view text) {
  TRUED_ASSERT(!text.empty());
  const auto first = static_cast<unsigned char>(text.front());
  if (first == 0) return "a NUL byte";
  if (first < 0x20 || first == 0x7f) return "the control character U+" + hex(first, 4);
  const std::size_t size = character_size(text);
  if (size == 0) return "the byte 0x" + hex(first, 2) + ", which is not valid UTF-8";
  return "'" + std::string(text.substr(0, size)) + "'";
}

// More digits than 2^53 has.
bool is_long(std::string_view whole_number) {
  constexpr std::size_t kDigitsMax = 16;
  return whole_number.size() > kDigitsMax + (whole_number.starts_with('-') ? 1 : 0);
}

// No double holds it, and not because it is too close to zero.
bool is_huge(std::string_view number) {
  double value = 0;
  const char* const end = number.data() + number.size();
  if (std::from_chars(number.data(), end, value).ec != std::errc::result_out_of_range) return false;
  const std::string_view magnitude = number.substr(number.starts_with('-') ? 1 : 0);
  const std::size_t exponent = magnitude.find_first_of("eE");
  const bool negative = exponent != std::string_view::npos && magnitude[exponent + 1] == '-';
  return !negative && !(exponent == std::string_view::npos && magnitude.starts_with("0."));
}

class Scanner {
 public:
  Scanner(std::string_view text, std::size_t depth_max) : text_(text), depth_max_(depth_max) {}

  std::optional<Flaw> scan() {
    while (true) {
      TRUED_ASSERT(at_ <= text_.size() && open_.size() <= depth_max_);
      while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
      if (at_ == text_.size()) {
        if (want_ == Want::nothing) return std::nullopt;
        fail("the text ends where " + wanted() + " was expected");
        return flaw_;
      }
      if (!step()) return flaw_;
    }
  }

 private:
  enum class Want : std::uint8_t {
    value,
    value_or_end,
    name,
    name_or_end,
    colon,
    comma_or_end,
    nothing
  };

  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  std::string_view rest() const { return text_.substr(at_); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  char closer() const {
    TRUED_ASSERT(!open_.empty());
    return open_.back() == '{' ? '}' : ']';
  }

  bool fail(std::string what) {
    flaw_ = {.offset = at_, .what = std::move(what)};
    return false;
  }

  std::string wanted() const {
    switch (want_) {
      case Want::value:
        return "a value";
      case Want::value_or_end:
        return "a value or ']'";
      case Want::name:
        return "a name in double quotes";
      case Want::name_or_end:
        return "a name in double quotes or '}'";
      case Want::colon:
        return "':'";
      case Want::comma_or_end:
        return std::string("',' or '") + closer() + "'";
      case Want::nothing:
        return "the end";
    }
    return "the end";
  }

  bool unexpected() { return fail("expected " + wanted() + ", found " + named(rest())); }

  void ended_value() { want_ = open_.empty() ? Want::nothing : Want::comma_or_end; }

  bool close() {
    TRUED_ASSERT(!open_.empty() && peek() == closer());
    ++at_;
    open_.pop_back();
    ended_value();
    return true;
  }

  bool step() {
    const char c = text_[at_];
    switch (want_) {
      case Want::value_or_end:
        return c == ']' ? close() : take_value();
      case Want::value:
        return take_value();
      case Want::name_or_end:
        return c == '}' ? close() : take_name();
      case Want::name:
        return take_name();
      case Want::colon:
        if (c != ':') return unexpected();
        ++at_;
        want_ = Want::value;
        return true;
      case Want::comma_or_end:
        if (c == closer()) return close();
        if (c != ',') return unexpected();
        ++at_;
        want_ = open_.back() == '{' ? Want::name : Want::value;
        return true;
      case Want::nothing:
        return fail("there is more after the document: " + named(rest()));
    }
    return false;
  }

  bool take_name() {
    if (peek() != '"') return unexpected();
    if (!take_string()) return false;
    want_ = Want::colon;
    return true;
  }

  bool take_value() {
    const char c = peek();
    if (c == '{' || c == '[') return take_opening(c);
    if (c == '"' ? !take_string() : is_digit(c) || c == '-' ? !take_number() : !take_word()) {
      return false;
    }
    ended_value();
    return true;
  }

  bool take_opening(char c) {
    if (open_.size() == depth_max_) {
      flaw_ = {.offset = at_, .what = {}, .depth = true};
      return false;
    }
    open_ += c;
    ++at_;
    want_ = c == '{' ? Want::name_or_end : Want::value_or_end;
    return true;
  }

  std::string_view word() const {
    const auto end = std::ranges::find_if_not(rest(), is_word_character);
    return rest().substr(0, static_cast<std::size_t>(end - rest().begin()));
  }

  bool take_word() {
    constexpr std::size_t kShownMax = 20;
    const std::string_view found = word();
    if (found == "true" || found == "false" || found == "null") {
      at_ += found.size();
      return true;
    }
    if (is_no_number(found)) return false;
    if (found.size() < 2) return unexpected();
    return fail("expected " + wanted() + ", found '" + std::string(found.substr(0, kShownMax)) +
                "'");
  }

  bool is_no_number(std::string_view found) {
    const std::string_view bare = found.substr(found.starts_with('-') ? 1 : 0);
    if (bare != "NaN" && bare != "Infinity") return false;
    fail("JSON has no " + std::string(found) + "; use null or a string");
    return true;
  }

  bool take_digits() {
    if (!is_digit(peek())) {
      return fail(at_ == text_.size() ? "the text ends where a digit was expected"
                                      : "expected a digit, found " + named(rest()));
    }
    while (is_digit(peek())) ++at_;
    return true;
  }

  bool take_number() {
    if (is_no_number(word())) return false;
    const std::size_t begin = at_;
    if (peek() == '-') ++at_;
    if (peek() == '0' && is_digit(peek(1))) return fail("a number has no leading zeros");
    if (!take_digits()) return false;
    bool whole = true;
    if (peek() == '.') {
      whole = false;
      ++at_;
      if (!take_digits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      whole = false;
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!take_digits()) return false;
    }
    const std::string_view number = text_.substr(begin, at_ - begin);
    if (!(whole ? is_long(number) : is_huge(number))) return true;
    at_ = begin;
    return fail(whole ? "an integer beyond 2^53, which JSON cannot carry exactly; use a string"
                      : "a number too large for a double; use a string");
  }

  bool take_string() {
    TRUED_ASSERT(peek() == '"');
    const std::size_t begin = at_++;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c == '\\') {
        if (!take_escape()) return false;
        continue;
      }
      if (c < 0x20) {
        return fail("a string holds " + named(rest()) + "; write it as \\u" + hex(c, 4));
      }
      const std::size_t size = character_size(rest());
      if (size == 0) return fail("a string holds " + named(rest()));
      at_ += size;
    }
    at_ = begin;
    return fail("the string that begins here is not closed");
  }

  // The code unit of "\uXXXX" at `at_`; nothing if there is none.
  std::optional<unsigned> unit() const {
    if (peek() != '\\' || peek(1) != 'u') return std::nullopt;
    unsigned value = 0;
    for (std::size_t i = 2; i < 6; ++i) {
      const auto byte = hex_decode(std::string("0") + peek(i));
      if (!byte) return std::nullopt;
      value = value << 4U | static_cast<unsigned char>(byte->front());
    }
    return value;
  }

  bool take_escape() {
    TRUED_ASSERT(peek() == '\\');
    constexpr std::string_view kSimple = "\"\\/bfnrt";
    if (kSimple.find(peek(1)) != std::string_view::npos && at_ + 1 < text_.size()) {
      at_ += 2;
      return true;
    }
    const auto first = unit();
    if (!first) {
      return fail(R"(an escape is \", \\, \/, \b, \f, \n, \r, \t or \u and four hex digits)");
    }
    if (*first < 0xd800 || *first > 0xdfff) {
      at_ += 6;
      return true;
    }
    const std::size_t begin = at_;
    at_ += 6;
    const auto second = unit();
    if (*first < 0xdc00 && second && *second >= 0xdc00 && *second <= 0xdfff) {
      at_ += 6;
      return true;
    }
    at_ = begin;
    return fail("\\u" + hex(*first, 4) + " is half of a surrogate pair");
  }

  const std::string_view text_;
  const std::size_t depth_max_;
  std::size_t at_ = 0;
  Want want_ = Want::value;
  std::string open_;  ///< '{' and '[' that are not closed yet
  Flaw flaw_;
};

}  // namespace

std::optional<Flaw> find_flaw(std::string_view text, std::size_t depth_max) {
  return Scanner(text, depth_max).scan();
}

std::string place_of(std::string_view text, std::size_t offset) {
  TRUED_ASSERT(offset <= text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line = std::ranges::count(before, '\n') + 1;
  const std::size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto column =
      std::ranges::count_if(before.substr(begin), [](char c) { return !continues_character(c); }) +
      1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

}  // namespace trued::json
