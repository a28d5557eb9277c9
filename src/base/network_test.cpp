#include "base/network.h"

#include <string>

#include <gtest/gtest.h>

namespace trued {
namespace {

std::string use(const std::string& text) {
  const auto address = parse_ip(text);
  if (!address) return "no address";
  const AddressUse found = use_of(*address);
  const char* reach = found.reach == Reach::open     ? "open"
                      : found.reach == Reach::inside ? "inside"
                                                     : "never";
  return reach;
}

TEST(Network, S7_what_is_not_the_public_internet_is_known) {
  for (const char* open :
       {"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.0",
        "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "192.0.1.1", "223.255.255.255"}) {
    EXPECT_EQ(use(open), "open") << open;
  }
  for (const char* inside :
       {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.255.255.254",
        "100.64.0.1", "100.127.255.255", "::1", "fc00::1", "fdff::1", "::ffff:127.0.0.1",
        "::ffff:10.1.2.3", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1"}) {
    EXPECT_EQ(use(inside), "inside") << inside;
  }
  for (const char* never : {"0.0.0.0",
                            "0.1.2.3",
                            "169.254.169.254",
                            "169.254.0.1",
                            "224.0.0.1",
                            "239.255.255.255",
                            "255.255.255.255",
                            "240.0.0.1",
                            "192.0.2.1",
                            "198.51.100.7",
                            "203.0.113.9",
                            "198.18.0.1",
                            "::",
                            "fe80::1",
                            "febf::1",
                            "fec0::1",
                            "ff02::1",
                            "2001:db8::1",
                            "fd00:ec2::254",
                            "100.100.100.200",
                            "168.63.129.16",
                            "::ffff:169.254.169.254",
                            "2001::1",
                            "64:ff9b::a9fe:a9fe",
                            "2002:a9fe:a9fe::"}) {
    EXPECT_EQ(use(never), "never") << never;
  }
}

TEST(Network, addresses_are_read_strictly) {
  for (const char* bad : {"", "1", "1.2.3", "1.2.3.4.5", "127.1", "0x7f.0.0.1", "1.2.3.256",
                          "[::1]", "fe80::1%eth0", "::1 ", "localhost", ":::"}) {
    EXPECT_FALSE(parse_ip(bad).has_value()) << bad;
  }
  EXPECT_FALSE(parse_ip(std::string_view("1.2.3.4\0", 8)).has_value());
  EXPECT_EQ(to_string(*parse_ip("::ffff:1.2.3.4")), "::ffff:1.2.3.4");
  EXPECT_EQ(to_string(unmapped(*parse_ip("::ffff:1.2.3.4"))), "1.2.3.4");
  EXPECT_EQ(to_string(unmapped(*parse_ip("2001:db8::1"))), "2001:db8::1");
}

TEST(Network, networks) {
  for (const char* bad : {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x",
                          "10/8", "::/129", "fd00::1/8", "/8"}) {
    EXPECT_FALSE(parse_network(bad).has_value()) << bad;
  }
  const auto has = [](const char* network, const char* address) {
    return contains(*parse_network(network), *parse_ip(address));
  };
  EXPECT_TRUE(has("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(has("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(has("192.168.4.0/22", "192.168.7.255"));
  EXPECT_FALSE(has("192.168.4.0/22", "192.168.8.0"));
  EXPECT_TRUE(has("0.0.0.0/0", "1.2.3.4"));
  EXPECT_FALSE(has("0.0.0.0/0", "::1"));
  EXPECT_TRUE(has("127.0.0.1", "127.0.0.1"));
  EXPECT_FALSE(has("127.0.0.1", "127.0.0.2"));
  EXPECT_TRUE(has("fd00::/8", "fdab::1"));
}

}  // namespace
}  // namespace trued
