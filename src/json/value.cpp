#include "json/value.h"

#include <algorithm>
#include <cstddef>

#include "base/assert.h"

namespace trued::json {
namespace {

// The first UTF-16 unit of the code point at `i`, as far as order goes: code points above the BMP
// begin with a surrogate (0xd800 to 0xdbff) and so sort before U+E000 to U+FFFF.
std::uint32_t code_point(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) {
    return i + k < text.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(text[i + k]))
                               : 0U;
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return lead;
  if (lead < 0xe0) return (lead & 0x1f) << 6 | (byte(1) & 0x3f);
  if (lead < 0xf0) return (lead & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
  return (lead & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
}

// Maps code points so that plain comparison gives the order of their UTF-16 forms.
std::uint64_t utf16_rank(std::uint32_t point) {
  if (point < 0x10000) return static_cast<std::uint64_t>(point) << 16;
  const std::uint32_t offset = point - 0x10000;
  const std::uint64_t high = 0xd800 + (offset >> 10);
  const std::uint64_t low = 0xdc00 + (offset & 0x3ff);
  return high << 16 | low;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

bool name_less(std::string_view a, std::string_view b) {
  const auto [at_a, at_b] = std::ranges::mismatch(a, b);
  if (at_b == b.end()) return false;
  if (at_a == a.end()) return true;
  auto i = static_cast<std::size_t>(at_a - a.begin());
  // Back to where the differing code point begins; both share what is before.
  while (i > 0 && (is_continuation(a[i]) || is_continuation(b[i]))) --i;
  return utf16_rank(code_point(a, i)) < utf16_rank(code_point(b, i));
}

Value::Value(Object members) : data_(std::move(members)) {
  std::ranges::sort(this->members(),
                    [](const auto& a, const auto& b) { return name_less(a.first, b.first); });
}

bool Value::as_bool() const {
  TRUED_ASSERT(is_bool());
  return *std::get_if<bool>(&data_);
}

std::int64_t Value::as_int() const {
  TRUED_ASSERT(is_int());
  return *std::get_if<std::int64_t>(&data_);
}

double Value::as_double() const {
  if (is_int()) return static_cast<double>(as_int());
  TRUED_ASSERT(is_double());
  return *std::get_if<double>(&data_);
}

const std::string& Value::as_string() const {
  TRUED_ASSERT(is_string());
  return *std::get_if<std::string>(&data_);
}

std::string Value::take_string() && {
  TRUED_ASSERT(is_string());
  return std::move(*std::get_if<std::string>(&data_));
}

const Value::Array& Value::items() const {
  TRUED_ASSERT(is_array());
  return *std::get_if<Array>(&data_);
}

Value::Array& Value::items() {
  TRUED_ASSERT(is_array());
  return *std::get_if<Array>(&data_);
}

const Value::Object& Value::members() const {
  TRUED_ASSERT(is_object());
  return *std::get_if<Object>(&data_);
}

Value::Object& Value::members() {
  TRUED_ASSERT(is_object());
  return *std::get_if<Object>(&data_);
}

const Value* Value::find(std::string_view name) const {
  const auto* object = std::get_if<Object>(&data_);
  if (object == nullptr) return nullptr;
  constexpr std::size_t kFew = 12;
  if (object->size() <= kFew) {
    for (const auto& [each, value] : *object) {
      if (each == name) return &value;
    }
    return nullptr;
  }
  const auto at = std::ranges::lower_bound(
      *object, name, name_less,
      [](const auto& member) -> const std::string& { return member.first; });
  return at != object->end() && at->first == name ? &at->second : nullptr;
}

Value* Value::find(std::string_view name) {
  return const_cast<Value*>(std::as_const(*this).find(name));
}

}  // namespace trued::json
