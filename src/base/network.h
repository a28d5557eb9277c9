// network.h: IP addresses and networks as values, and which of them are not the public Internet.
//
// Pure: nothing is looked up or connected to. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trued {

struct IpAddress {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  ///< in network order; IPv4 has the first four

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

/// Exactly one address: dotted decimal, or RFC 4291 text without brackets or a zone.
[[nodiscard]] std::optional<IpAddress> parse_ip(std::string_view text);
[[nodiscard]] std::string to_string(const IpAddress& address);

/// An IPv4 address that is written as an IPv6 one (::ffff:a.b.c.d) becomes the IPv4 address that it
/// is; every other stays as it is.
[[nodiscard]] IpAddress unmapped(const IpAddress& address);

struct Network {
  IpAddress first;
  unsigned prefix_bits = 0;
};

/// "10.0.0.0/8", "fd00::/8", or one address. Nothing if bits beyond the prefix are set.
[[nodiscard]] std::optional<Network> parse_network(std::string_view text);
[[nodiscard]] bool contains(const Network& network, const IpAddress& address);

/// What an address is for, as far as it matters to whoever connects to it.
enum class Reach : std::uint8_t {
  open,    ///< the public Internet
  inside,  ///< private, unique local, shared (carrier-grade NAT) or loopback
  never,   ///< link-local, metadata services, multicast, unspecified, documentation, reserved
};

struct AddressUse {
  Reach reach = Reach::open;
  std::string_view name;  ///< "a private address", …; empty for open
};

/// By the registries of RFC 6890 and its successors. Addresses of transition mechanisms (mapped,
/// NAT64, 6to4) count as the IPv4 address that they lead to.
[[nodiscard]] AddressUse use_of(const IpAddress& address);

}  // namespace trued
