#include "ledger/postgres/values.h"

#include <charconv>

#include "base/assert.h"
#include "base/encoding.h"

namespace trued::postgres {

namespace {

// Object identifiers of pg_type; the same on every server that speaks the protocol.
constexpr std::uint32_t kBigint = 20;
constexpr std::uint32_t kBytea = 17;

void put32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xffU);
}

}  // namespace

void Column::add(std::int64_t value) {
  TRUED_ASSERT(element_ == Element::number);
  put32(elements_, sizeof value);
  const auto bits = static_cast<std::uint64_t>(value);
  put32(elements_, static_cast<std::uint32_t>(bits >> 32U));
  put32(elements_, static_cast<std::uint32_t>(bits));
  ++size_;
}

void Column::add(std::string_view bytes) {
  TRUED_ASSERT(element_ == Element::bytes && bytes.size() <= INT32_MAX);
  put32(elements_, static_cast<std::uint32_t>(bytes.size()));
  elements_ += bytes;
  ++size_;
}

void Column::add_null() {
  put32(elements_, ~std::uint32_t{0});
  nulls_ = true;
  ++size_;
}

// array_send() of PostgreSQL (src/backend/utils/adt/arrayfuncs.c): dimensions, whether there are
// NULLs, the type of the elements; for each dimension its length and lower bound; the elements.
pg::Parameter Column::parameter() const {
  std::string out;
  out.reserve(elements_.size() + 20);
  put32(out, size_ == 0 ? 0 : 1);
  put32(out, nulls_ ? 1 : 0);
  put32(out, element_ == Element::number ? kBigint : kBytea);
  if (size_ > 0) {
    put32(out, size_);
    put32(out, 1);
  }
  return pg::Parameter::binary(out + elements_);
}

pg::Parameter bytea(std::string_view bytes) { return pg::Parameter::binary(std::string(bytes)); }

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
