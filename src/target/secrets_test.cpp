#include "target/secrets.h"

#include <gtest/gtest.h>

namespace trued {
namespace {

TEST(Secrets, V10_a_value_and_its_long_parts_are_masked) {
  Secrets secrets;
  secrets.add("Bearer abcdefgh-1234", ' ');
  EXPECT_EQ(secrets.masked("Bearer abcdefgh-1234, abcdefgh-1234; Bearer abcdefgh"),
            "***, ***; Bearer abcdefgh");
  EXPECT_EQ(secrets.masked(""), "");
  EXPECT_EQ(Secrets().masked("as it is"), "as it is");
}

TEST(Secrets, V10_a_letter_or_two_is_no_secret) {
  Secrets secrets;
  for (const char* each : {"", "1", "no", "abc"}) secrets.add(each, ' ');
  EXPECT_EQ(secrets.masked("11 abc no"), "11 abc no");
}

TEST(Secrets, V10_the_longest_that_begins_at_a_place_counts) {
  Secrets secrets;
  secrets.add("abcd", ' ');
  secrets.add("abcd-efgh", ' ');
  secrets.add("cdcdcd", ' ');
  EXPECT_EQ(secrets.masked("abcd-efgh abcd abcdcdcd"), "*** *** ***cdcd");
}

TEST(Secrets, V10_a_cut_leaves_no_part_of_one) {
  Secrets secrets;
  secrets.add("s3cr3t-word", ' ');
  EXPECT_EQ(secrets.masked("12345 s3cr3t-word", 8), "12345 **");
  EXPECT_EQ(secrets.masked("12345 s3cr3t-word", 9), "12345 ***");
  EXPECT_EQ(secrets.masked("12345 s3cr3t-word", 6), "12345 ");
}

// 16 MiB of "a" and a secret that begins everywhere: what is not kept is not looked at.
TEST(Secrets, T1_only_what_is_kept_costs_anything) {
  Secrets secrets;
  secrets.add(std::string(64, 'a') + "b", ' ');
  const std::string large(std::size_t{16} << 20U, 'a');
  EXPECT_EQ(secrets.masked(large, 100), std::string(100, 'a'));
}

TEST(Secrets, V10_names_are_told_by_their_words) {
  for (const char* name : {"Authorization", "X-Api-Key", "x-auth-token", "Cookie", "PRIVATE-TOKEN",
                           "X-AccessToken", "Client_Secret", "apikey", "X-Amz-Security-Token"}) {
    EXPECT_TRUE(names_a_secret(name)) << name;
  }
  for (const char* name : {"X-Author", "X-Monkey", "Keyboard-Layout", "X-Tokens-Left", "Accept"}) {
    EXPECT_FALSE(names_a_secret(name)) << name;
  }
}

}  // namespace
}  // namespace trued
