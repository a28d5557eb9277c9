#include "base/uuid.h"

#include <algorithm>

#include "base/assert.h"

namespace trued {
namespace {

constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t kTextLength = 26;
constexpr std::uint32_t kCounterMax = 0xfff;
static_assert(kAlphabet.size() == 32);
static_assert(kTextLength * 5 >= sizeof(Uuid::bytes) * 8);

}  // namespace

std::string Uuid::base32() const {
  // 130 bits for 128: two zero bits lead.
  std::string text(kTextLength, '0');
  std::uint32_t bits = 0;
  int count = 2;
  std::size_t out = 0;
  for (const std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      text[out++] = kAlphabet[bits >> count & 31];
    }
    bits &= (1U << count) - 1;
  }
  TRUED_ASSERT(out == kTextLength && count == 0);
  return text;
}

std::optional<Uuid> Uuid::from_base32(std::string_view text) {
  if (text.size() != kTextLength || text.front() > '7') return std::nullopt;
  Uuid uuid;
  std::uint32_t bits = 0;
  int count = -2;
  std::size_t out = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 5 | static_cast<std::uint32_t>(value);
    count += 5;
    if (count >= 8) {
      count -= 8;
      uuid.bytes.at(out++) = static_cast<std::uint8_t>(bits >> count & 0xff);
      bits &= (1U << count) - 1;
    }
  }
  TRUED_ASSERT(out == uuid.bytes.size() && count == 0);
  return uuid;
}

Uuid UuidV7Generator::next(WallTime now, std::uint64_t entropy_hi, std::uint64_t entropy_lo) {
  const auto since_epoch = std::max<Duration::rep>(now.time_since_epoch().count(), 0);
  const auto now_ms = static_cast<std::uint64_t>(since_epoch);
  if (now_ms > last_ms_) {
    last_ms_ = now_ms;
    counter_ = static_cast<std::uint32_t>(entropy_hi & 0xff);
  } else if (++counter_ > kCounterMax) {
    ++last_ms_;
    counter_ = 0;
  }
  TRUED_ASSERT(last_ms_ >= now_ms && counter_ <= kCounterMax);
  Uuid uuid;
  for (std::size_t i = 0; i < 6; ++i) {
    uuid.bytes.at(i) = static_cast<std::uint8_t>(last_ms_ >> (40 - 8 * i));
  }
  uuid.bytes.at(6) = static_cast<std::uint8_t>(0x70 | counter_ >> 8);
  uuid.bytes.at(7) = static_cast<std::uint8_t>(counter_ & 0xff);
  for (std::size_t i = 0; i < 8; ++i) {
    uuid.bytes.at(8 + i) = static_cast<std::uint8_t>(entropy_lo >> (56 - 8 * i));
  }
  uuid.bytes.at(8) = static_cast<std::uint8_t>(0x80 | (uuid.bytes.at(8) & 0x3f));
  return uuid;
}

}  // namespace trued
