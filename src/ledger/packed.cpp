#include "ledger/packed.h"

#include <cstring>

#include "base/assert.h"

namespace trued::codec {
namespace {

constexpr std::uint8_t kMore = 0x80;
constexpr int kBitsEach = 7;
constexpr int kBits = 64;
static_assert(1U << kBitsEach == kMore);
// A reference fits the byte of a digest, and the odd numbers that stand for a text.
static_assert(kRecentMax > 0 && kRecentMax < kMore / 2);

std::string_view view(const auto& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void Pack::integer(std::uint64_t value) {
  for (; value >= kMore; value >>= kBitsEach) byte(static_cast<std::uint8_t>(value | kMore));
  byte(static_cast<std::uint8_t>(value));
}

void Pack::number(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  integer(bits << 1U ^ (value < 0 ? ~std::uint64_t{0} : 0));
}

void Pack::leaf(const std::string& value) {
  if (const std::size_t back = value.size() < kTextMin ? 0 : texts_.find(value); back != 0) {
    TRUED_ASSERT(back <= kRecentMax && *texts_.at(back) == value);
    return integer(2 * back - 1);
  }
  integer(2 * value.size());
  out_ += value;
  if (value.size() >= kTextMin) texts_.add(value);
}

void Pack::leaf(const Digest& value) {
  const std::size_t back = digests_.find(value);
  TRUED_ASSERT(back <= kRecentMax && (back == 0 || *digests_.at(back) == value));
  byte(static_cast<std::uint8_t>(back));
  if (back != 0) return;
  out_ += view(value.bytes);
  digests_.add(value);
}

void Pack::leaf(const Uuid& value) { out_ += view(value.bytes); }

void Pack::leaf(const WallTime& value) {
  const std::int64_t time = value.time_since_epoch().count();
  number(static_cast<std::int64_t>(static_cast<std::uint64_t>(time) -
                                   static_cast<std::uint64_t>(time_)));
  time_ = time;
}

std::string_view Unpack::take(std::uint64_t size) {
  TRUED_ASSERT(ok_ || in_.empty());  // after a fault there is nothing left to read
  if (size > in_.size()) {
    fail();
    return {};
  }
  const std::string_view taken = in_.substr(0, static_cast<std::size_t>(size));
  in_.remove_prefix(taken.size());
  TRUED_ASSERT(taken.size() == size);
  return taken;
}

std::uint8_t Unpack::byte() {
  const std::string_view taken = take(1);
  return taken.empty() ? 0 : static_cast<std::uint8_t>(taken.front());
}

std::uint8_t Unpack::below(int limit) {
  TRUED_ASSERT(limit > 0);
  const std::uint8_t value = byte();
  if (value < limit) return value;
  fail();
  return 0;
}

std::uint64_t Unpack::integer() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < kBits; shift += kBitsEach) {
    const std::uint8_t next = byte();
    value |= static_cast<std::uint64_t>(next & ~kMore) << shift;
    if ((next & kMore) == 0) return value;
  }
  fail();
  return 0;
}

std::int64_t Unpack::number() {
  const std::uint64_t value = integer();
  return static_cast<std::int64_t>(value >> 1U ^ ((value & 1U) != 0 ? ~std::uint64_t{0} : 0));
}

std::int64_t Unpack::within_span(std::int64_t value) {
  if (value >= -kSpanMax && value <= kSpanMax) return value;
  fail();
  return 0;
}

void Unpack::leaf(std::string& value) {
  const std::uint64_t head = integer();
  if (head % 2 != 0) {
    const std::string_view* same = head > 2 * kRecentMax ? nullptr : texts_.at((head + 1) / 2);
    if (same == nullptr) return fail();
    value = *same;
    return;
  }
  const std::string_view text = take(head / 2);
  if (text.size() >= kTextMin) texts_.add(text);
  value = text;
}

void Unpack::leaf(Digest& value) {
  if (const std::uint8_t back = byte(); back != 0) {
    const Digest* same = digests_.at(back);
    if (same == nullptr) return fail();
    value = *same;
    return;
  }
  const std::string_view raw = take(value.bytes.size());
  if (raw.size() != value.bytes.size()) return;
  std::memcpy(value.bytes.data(), raw.data(), raw.size());
  digests_.add(value);
}

void Unpack::leaf(Uuid& value) {
  const std::string_view raw = take(value.bytes.size());
  if (raw.size() == value.bytes.size()) std::memcpy(value.bytes.data(), raw.data(), raw.size());
}

void Unpack::leaf(WallTime& value) {
  const auto difference = static_cast<std::uint64_t>(number());
  time_ = within_span(static_cast<std::int64_t>(static_cast<std::uint64_t>(time_) + difference));
  value = WallTime(Duration(time_));
}

}  // namespace trued::codec
