// digest.h: SHA-256 (FIPS 180-4), by OpenSSL.
//
// Digests are evidence, so they are cryptographic. Any thread; one Sha256 belongs to one thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace trued {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;

  /// 64 lower-case hexadecimal digits.
  [[nodiscard]] std::string hex() const;
  /// Nothing unless `text` is exactly 64 hexadecimal digits.
  [[nodiscard]] static std::optional<Digest> from_hex(std::string_view text);
};

[[nodiscard]] Digest sha256(std::string_view data);

/// Equality in a time that tells nothing of where they differ: for digests of secrets.
[[nodiscard]] bool equal_in_constant_time(const Digest& a, const Digest& b);

/// The same in pieces. finish() may be called once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::string_view data);
  [[nodiscard]] Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace trued

template <>
struct std::hash<trued::Digest> {
  std::size_t operator()(const trued::Digest& digest) const {
    std::size_t value = 0;
    std::memcpy(&value, digest.bytes.data(), sizeof value);
    return value;
  }
};
