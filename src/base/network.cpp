#include "base/network.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <netinet/in.h>

#include "base/assert.h"

namespace trued {
namespace {

struct Block {
  std::string_view network;
  AddressUse use;
};

constexpr AddressUse kMetadata{Reach::never, "the address of a metadata service"};
constexpr AddressUse kPrivate{Reach::inside, "a private address"};
constexpr AddressUse kReserved{Reach::never, "a reserved address"};
constexpr AddressUse kDocumentation{Reach::never, "an address for documentation"};

// The first that contains an address decides.
constexpr Block kBlocksV4[] = {
    {"169.254.169.254/32", kMetadata},
    {"168.63.129.16/32", kMetadata},
    {"100.100.100.200/32", kMetadata},
    {"192.0.0.192/32", kMetadata},
    {"0.0.0.0/8", {Reach::never, "an unspecified address"}},
    {"10.0.0.0/8", kPrivate},
    {"100.64.0.0/10", {Reach::inside, "a shared address (carrier-grade NAT)"}},
    {"127.0.0.0/8", {Reach::inside, "a loopback address"}},
    {"169.254.0.0/16", {Reach::never, "a link-local address"}},
    {"172.16.0.0/12", kPrivate},
    {"192.0.0.0/24", kReserved},
    {"192.0.2.0/24", kDocumentation},
    {"192.88.99.0/24", kReserved},
    {"192.168.0.0/16", kPrivate},
    {"198.18.0.0/15", {Reach::never, "an address for benchmarks"}},
    {"198.51.100.0/24", kDocumentation},
    {"203.0.113.0/24", kDocumentation},
    {"224.0.0.0/4", {Reach::never, "a multicast address"}},
    {"240.0.0.0/4", kReserved},
};
constexpr Block kBlocksV6[] = {
    {"fd00:ec2::254/128", kMetadata},
    {"fd20:ce::254/128", kMetadata},
    {"::/128", {Reach::never, "an unspecified address"}},
    {"::1/128", {Reach::inside, "a loopback address"}},
    {"64:ff9b:1::/48", kReserved},
    {"100::/64", kReserved},
    {"2001::/23", kReserved},
    {"2001:db8::/32", kDocumentation},
    {"3fff::/20", kDocumentation},
    {"5f00::/16", kReserved},
    {"fc00::/7", {Reach::inside, "a unique local address"}},
    {"fe80::/10", {Reach::never, "a link-local address"}},
    {"fec0::/10", {Reach::never, "a site-local address"}},
    {"ff00::/8", {Reach::never, "a multicast address"}},
};

bool in(std::string_view network, const IpAddress& address) {
  const auto parsed = parse_network(network);
  TRUED_ASSERT(parsed.has_value());
  return contains(*parsed, address);
}

IpAddress v4_at(const IpAddress& address, std::size_t offset) {
  TRUED_ASSERT(address.v6 && offset + 4 <= address.bytes.size());
  IpAddress inner;
  std::copy_n(address.bytes.begin() + static_cast<std::ptrdiff_t>(offset), 4, inner.bytes.begin());
  return inner;
}

// The IPv4 address that an IPv6 one leads to, by mapping or translation.
std::optional<IpAddress> embedded_v4(const IpAddress& address) {
  if (!address.v6) return std::nullopt;
  if (in("::ffff:0:0/96", address) || in("64:ff9b::/96", address)) return v4_at(address, 12);
  if (in("2002::/16", address)) return v4_at(address, 2);
  // "IPv4-compatible" (deprecated); "::" and "::1" are addresses of their own.
  if (in("::/96", address) && !in("::/127", address)) return v4_at(address, 12);
  return std::nullopt;
}

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
  const std::string copy(text);
  if (copy.size() != text.size() || copy.find('\0') != std::string::npos) return std::nullopt;
  IpAddress address;
  if (::inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) return address;
  address.v6 = true;
  if (::inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  TRUED_ASSERT(::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(),
                           text.size()) != nullptr);
  return text.data();
}

IpAddress unmapped(const IpAddress& address) {
  return address.v6 && in("::ffff:0:0/96", address) ? v4_at(address, 12) : address;
}

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto first = parse_ip(text.substr(0, slash));
  if (!first) return std::nullopt;
  const unsigned all = first->v6 ? 128 : 32;
  Network network{*first, all};
  if (slash < text.size()) {
    const std::string_view bits = text.substr(slash + 1);
    const auto [end, failure] =
        std::from_chars(bits.data(), bits.data() + bits.size(), network.prefix_bits);
    if (failure != std::errc{} || end != bits.data() + bits.size() || network.prefix_bits > all) {
      return std::nullopt;
    }
  }
  for (unsigned bit = network.prefix_bits; bit < all; ++bit) {
    if ((first->bytes.at(bit / 8) >> (7 - bit % 8) & 1U) != 0) return std::nullopt;
  }
  return network;
}

bool contains(const Network& network, const IpAddress& address) {
  TRUED_ASSERT(network.prefix_bits <= (network.first.v6 ? 128U : 32U));
  if (network.first.v6 != address.v6) return false;
  for (unsigned bit = 0; bit < network.prefix_bits; bit += 8) {
    const unsigned wanted = std::min(8U, network.prefix_bits - bit);
    const unsigned differ = network.first.bytes.at(bit / 8) ^ address.bytes.at(bit / 8);
    if ((differ & 0xffU) >> (8 - wanted) != 0) return false;
  }
  return true;
}

AddressUse use_of(const IpAddress& address) {
  if (const auto inner = embedded_v4(address)) {
    TRUED_ASSERT(!inner->v6);  // so it leads to no third
    return use_of(*inner);
  }
  if (address.v6) {
    for (const Block& block : kBlocksV6) {
      if (in(block.network, address)) return block.use;
    }
    return {};
  }
  for (const Block& block : kBlocksV4) {
    if (in(block.network, address)) return block.use;
  }
  return {};
}

}  // namespace trued
