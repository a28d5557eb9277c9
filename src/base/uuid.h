// uuid.h: UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then random bits.
//
// Written as 26 lower-case Crockford base32 characters, whose order is the order of the bytes.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace trued {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  friend bool operator==(const Uuid&, const Uuid&) = default;
  friend auto operator<=>(const Uuid&, const Uuid&) = default;

  /// 26 characters.
  [[nodiscard]] std::string base32() const;
  /// Nothing unless `text` is exactly what base32() writes for some value.
  [[nodiscard]] static std::optional<Uuid> from_base32(std::string_view text);
};

/// Makes strictly increasing UUIDs, also when the clock stands still or steps back (RFC 9562,
/// section 6.2: the 12 bits after the version count within a millisecond). One thread.
class UuidV7Generator {
 public:
  [[nodiscard]] Uuid next(WallTime now, std::uint64_t entropy_hi, std::uint64_t entropy_lo);

 private:
  std::uint64_t last_ms_ = 0;
  std::uint32_t counter_ = 0;
};

}  // namespace trued
