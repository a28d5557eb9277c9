#include "api/wrong_tokens.h"

#include <string>

#include <gtest/gtest.h>

namespace trued::api {
namespace {

using std::chrono::seconds;

std::string peer(int number) {
  return "10." + std::to_string(number >> 16) + "." + std::to_string((number >> 8) & 255) + "." +
         std::to_string(number & 255) + ":4000";
}

// Wrong tokens until one is refused; how many were not.
int spend(WrongTokens& wrong, const std::string& who, std::chrono::nanoseconds now) {
  int counted = 0;
  while (!wrong.count(who, now)) ++counted;
  return counted;
}

TEST(WrongTokens, S2_twenty_within_a_minute_are_counted) {
  WrongTokens wrong;
  EXPECT_EQ(spend(wrong, "192.0.2.1:1", seconds(0)), 20);
  EXPECT_EQ(wrong.count("192.0.2.1:2", seconds(20)), seconds(40)) << "another port, one peer";
  EXPECT_FALSE(wrong.count("192.0.2.2:1", seconds(20)));
  EXPECT_FALSE(wrong.count("192.0.2.1:1", seconds(61)));
}

TEST(WrongTokens, S2_a_network_of_ipv6_is_one_peer) {
  WrongTokens wrong;
  EXPECT_EQ(spend(wrong, "2001:db8:0:1::1:4000", seconds(0)), 20);
  EXPECT_TRUE(wrong.count("2001:db8:0:1:ffff::2:4000", seconds(1)));
  EXPECT_FALSE(wrong.count("2001:db8:0:2::1:4000", seconds(1)));
  EXPECT_EQ(spend(wrong, "::ffff:192.0.2.1:4000", seconds(1)), 20);
  EXPECT_FALSE(wrong.count("::ffff:192.0.2.2:4000", seconds(1))) << "these are addresses of IPv4";
}

TEST(WrongTokens, S2_a_flood_of_addresses_clears_nobodys_count) {
  constexpr int kPeers = 1'000;
  WrongTokens wrong(kPeers);
  ASSERT_EQ(spend(wrong, "192.0.2.1:1", seconds(0)), 20);
  for (int i = 0; i < 20 * kPeers; ++i) {
    EXPECT_FALSE(wrong.count(peer(i), seconds(1)));
    EXPECT_LE(wrong.peers(), std::size_t{kPeers});
  }
  EXPECT_TRUE(wrong.count("192.0.2.1:1", seconds(2)));
}

TEST(WrongTokens, S2_counts_that_ran_out_go_first) {
  WrongTokens wrong(10);
  for (int i = 0; i < 9; ++i) ASSERT_EQ(spend(wrong, peer(i), seconds(0)), 20);
  EXPECT_FALSE(wrong.count(peer(9), seconds(50)));
  EXPECT_FALSE(wrong.count(peer(10), seconds(70)));
  EXPECT_EQ(wrong.peers(), 2U);
}

}  // namespace
}  // namespace trued::api
