#include "json/writer.h"

#include <array>
#include <charconv>
#include <system_error>

#include "base/assert.h"

namespace trued::json {
namespace {

template <class Number>
void append_number(Number number, std::string& out) {
  std::array<char, 24> buffer{};
  const auto [end, failure] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  TRUED_ASSERT(failure == std::errc{});
  out.append(buffer.data(), end);
}

}  // namespace

void Writer::before_value() {
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (level.object) {
    TRUED_ASSERT(level.keyed);
    level.keyed = false;
    return;
  }
  if (!level.empty) out_ += ',';
  level.empty = false;
}

Writer& Writer::begin_object() {
  before_value();
  out_ += '{';
  levels_.push_back({.object = true});
  return *this;
}

Writer& Writer::end_object() {
  TRUED_ASSERT(!levels_.empty() && levels_.back().object && !levels_.back().keyed);
  levels_.pop_back();
  out_ += '}';
  return *this;
}

Writer& Writer::begin_array() {
  before_value();
  out_ += '[';
  levels_.push_back({.object = false});
  return *this;
}

Writer& Writer::end_array() {
  TRUED_ASSERT(!levels_.empty() && !levels_.back().object);
  levels_.pop_back();
  out_ += ']';
  return *this;
}

Writer& Writer::key(std::string_view name) {
  TRUED_ASSERT(!levels_.empty() && levels_.back().object && !levels_.back().keyed);
  if (!levels_.back().empty) out_ += ',';
  levels_.back().empty = false;
  levels_.back().keyed = true;
  write_string(name, out_);
  out_ += ':';
  return *this;
}

Writer& Writer::string(std::string_view text) {
  before_value();
  write_string(text, out_);
  return *this;
}

Writer& Writer::exact(std::string_view text) {
  before_value();
  write_exact(text, out_);
  return *this;
}

Writer& Writer::integer(std::int64_t number) {
  before_value();
  append_number(number, out_);
  return *this;
}

Writer& Writer::unsigned_integer(std::uint64_t number) {
  before_value();
  append_number(number, out_);
  return *this;
}

Writer& Writer::real(double number) {
  before_value();
  write_number(number, out_);
  return *this;
}

Writer& Writer::boolean(bool value) {
  before_value();
  out_ += value ? "true" : "false";
  return *this;
}

Writer& Writer::null() {
  before_value();
  out_ += "null";
  return *this;
}

Writer& Writer::raw(std::string_view text) {
  before_value();
  out_ += text;
  return *this;
}

}  // namespace trued::json
