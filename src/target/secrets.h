// secrets.h: values that no reason or result may repeat.
//
// A value of a letter or two is no secret, and would blot out half of every answer: what is shorter
// than kSecretMin bytes is not masked. Pure; any thread.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace trued {

class Secrets {
 public:
  static constexpr std::size_t kSecretMin = 4;
  static constexpr std::size_t kPartMin = 8;  ///< of what is only a part of a value

  static constexpr std::size_t kAll = static_cast<std::size_t>(-1);

  /// The value as a whole, and what is long enough of it between two `between` ("Bearer abc…").
  void add(std::string_view value, char between);
  /// `text` with "***" for each of them, cut after `bytes_max` bytes; no more of it is looked at
  /// than is kept. One that the cut goes through is masked as well. Where two overlap, the one that
  /// begins first counts, of those that begin together the longest.
  [[nodiscard]] std::string masked(std::string_view text, std::size_t bytes_max = kAll) const;

 private:
  void add_one(std::string_view value);

  std::vector<std::string> values_;    ///< the longest first
  std::array<bool, 256> begins_ = {};  ///< by first byte
};

/// Whether something of that name ("X-Api-Key", "Set-Cookie") is likely to hold a secret: one of
/// its words says so.
[[nodiscard]] bool names_a_secret(std::string_view name);

}  // namespace trued
