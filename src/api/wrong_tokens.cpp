#include "api/wrong_tokens.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <tuple>
#include <vector>

#include "base/assert.h"

namespace trued::api {
namespace {

// What stands for the peer in the table.
std::string network_of(const std::string& peer) {
  constexpr std::size_t kNetworkBytes = 8;
  std::string address = peer.substr(0, peer.rfind(':'));
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  in6_addr six{};
  if (::inet_pton(AF_INET6, address.c_str(), &six) != 1) return address;
  const auto* bytes = reinterpret_cast<const char*>(&six);
  if (IN6_IS_ADDR_V4MAPPED(&six)) return {bytes, sizeof six};
  return {bytes, kNetworkBytes};
}

}  // namespace

std::optional<std::chrono::nanoseconds> WrongTokens::count(const std::string& peer,
                                                           std::chrono::nanoseconds now) {
  const std::string network = network_of(peer);
  auto found = peers_.find(network);
  if (found == peers_.end()) {
    if (peers_.size() >= peers_max_) make_room(now);
    found = peers_.emplace(network, Wrong{.count = 0, .since = now}).first;
    TRUED_ASSERT(peers_.size() <= peers_max_);
  }
  Wrong& wrong = found->second;
  if (now - wrong.since > kWindow) wrong = {.count = 0, .since = now};
  if (wrong.count >= kWrongMax) return wrong.since + kWindow - now;
  ++wrong.count;
  TRUED_ASSERT(wrong.count <= kWrongMax);
  return std::nullopt;
}

// A tenth at a time, so that a flood does not pay for a look at the whole table with every guess.
void WrongTokens::make_room(std::chrono::nanoseconds now) {
  std::erase_if(peers_, [&](const auto& each) { return now - each.second.since > kWindow; });
  if (peers_.size() < peers_max_) return;
  using Iterator = decltype(peers_)::iterator;
  std::vector<Iterator> all;
  all.reserve(peers_.size());
  for (auto each = peers_.begin(); each != peers_.end(); ++each) all.push_back(each);
  const auto going = static_cast<std::ptrdiff_t>(std::max<std::size_t>(all.size() / 10, 1));
  std::ranges::nth_element(all, all.begin() + (going - 1), {}, [](Iterator each) {
    return std::tuple(each->second.count, each->second.since);
  });
  all.resize(static_cast<std::size_t>(going));
  for (const Iterator each : all) peers_.erase(each);
  TRUED_ASSERT(peers_.size() < peers_max_);
}

}  // namespace trued::api
