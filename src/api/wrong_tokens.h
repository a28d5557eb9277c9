// wrong_tokens.h: how often a peer gave a wrong token within a minute, in bounded memory.
//
// A peer is an IPv4 address or an IPv6 /64, which is what one subscriber gets. When the table is
// full, counts that ran out go, then the lowest of the rest: who floods it with addresses pushes
// out its own single guesses, and must spend as many guesses at each of thousands of addresses to
// push out a high count. Not for several threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

namespace trued::api {

class WrongTokens {
 public:
  static constexpr std::uint32_t kWrongMax = 20;  ///< of one peer within the window
  static constexpr std::chrono::nanoseconds kWindow = std::chrono::minutes(1);

  explicit WrongTokens(std::size_t peers_max = 10'000) : peers_max_(peers_max) {}

  /// Counts a wrong token of `peer` ("ADDRESS:PORT"). How long it is refused if there were too
  /// many, else nothing.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> count(const std::string& peer,
                                                              std::chrono::nanoseconds now);

  [[nodiscard]] std::size_t peers() const { return peers_.size(); }

 private:
  struct Wrong {
    std::uint32_t count = 0;
    std::chrono::nanoseconds since{};
  };
  void make_room(std::chrono::nanoseconds now);

  const std::size_t peers_max_;
  std::unordered_map<std::string, Wrong> peers_;
};

}  // namespace trued::api
