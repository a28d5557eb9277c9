#include "ledger/postgres/values.h"

#include <charconv>

#include "base/encoding.h"

namespace trued::postgres {

void Column::add(std::optional<WallTime> value) {
  if (value) return add(*value);
  next() += "NULL";
}

// The backslash of "\x" is doubled: an array takes one away.
void Column::add(std::string_view bytes) { next() += "\\\\x" + hex_encode(bytes); }

std::string bytea(std::string_view bytes) { return "\\x" + hex_encode(bytes); }

const std::string* Fields::take() {
  if (null()) {
    wrong_ = true;
    ++at_;
    return nullptr;
  }
  return &*row_[at_++];
}

std::int64_t Fields::integer() {
  const std::string* text = take();
  std::int64_t value = 0;
  if (text == nullptr) return value;
  const char* end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || rest != end) wrong_ = true;
  return value;
}

std::string Fields::bytes() {
  const std::string* text = take();
  if (text == nullptr) return {};
  auto decoded =
      text->starts_with("\\x") ? hex_decode(std::string_view(*text).substr(2)) : std::nullopt;
  if (!decoded) wrong_ = true;
  return decoded.value_or("");
}

std::string Fields::text() {
  const std::string* text = take();
  return text == nullptr ? "" : *text;
}

Result<void> Fields::check() const {
  if (!wrong_ && at_ <= row_.size()) return {};
  return Error{.code = ErrorCode::corrupt,
               .message = "the ledger holds a row with a value that is missing or malformed"};
}

}  // namespace trued::postgres
