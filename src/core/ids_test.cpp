#include "core/ids.h"

#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace trued {
namespace {

OperationId id_of(std::uint8_t first, std::uint8_t last) {
  Uuid uuid;
  uuid.bytes.front() = first;
  uuid.bytes.back() = last;
  return OperationId(uuid);
}

TEST(Ids, T2_operation_ids_are_written_and_read_back) {
  const OperationId id = id_of(0x01, 0xff);
  const std::string text = to_string(id);
  EXPECT_EQ(text.size(), 3U + 26U);
  EXPECT_TRUE(text.starts_with("op_"));
  ASSERT_TRUE(parse_operation_id(text).has_value());
  EXPECT_EQ(*parse_operation_id(text), id);
}

TEST(Ids, T2_operation_ids_sort_by_acceptance) {
  EXPECT_LT(id_of(1, 9), id_of(2, 0));
  EXPECT_LT(to_string(id_of(1, 9)), to_string(id_of(2, 0)));
}

TEST(Ids, T2_nothing_but_an_operation_id_is_one) {
  const std::string text = to_string(id_of(1, 2));
  EXPECT_FALSE(parse_operation_id(""));
  EXPECT_FALSE(parse_operation_id("op_"));
  EXPECT_FALSE(parse_operation_id(text.substr(3)));
  EXPECT_FALSE(parse_operation_id(text + "0"));
  EXPECT_FALSE(parse_operation_id(text.substr(0, text.size() - 1)));
  EXPECT_FALSE(parse_operation_id("OP_" + text.substr(3)));
  EXPECT_FALSE(parse_operation_id(" " + text));
  EXPECT_FALSE(parse_operation_id("op_" + std::string(26, 'u')));
  EXPECT_FALSE(parse_operation_id("op_" + std::string(26, 'z'))) << "more than 128 bits";
  EXPECT_FALSE(parse_operation_id("op_8" + std::string(25, '0'))) << "more than 128 bits";
}

RC_GTEST_PROP(Ids, T2_every_operation_id_round_trips, ()) {
  Uuid uuid;
  for (std::uint8_t& byte : uuid.bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
  const OperationId id(uuid);
  RC_ASSERT(parse_operation_id(to_string(id)) == id);
}

TEST(Ids, T2_what_it_is_called_at_its_target_is_fixed_for_good) {
  const Identity identity{.scope = "acme", .type = "charge", .key = "k1"};
  EXPECT_EQ(effect_identity(identity), "a8912e2c600bb3a453a8df4b95cabd83");
  EXPECT_NE(effect_identity({.scope = "acme", .type = "refund", .key = "k1"}),
            effect_identity(identity));
}

TEST(Ids, T2_identity_digest_does_not_collide_by_concatenation) {
  std::set<Digest> digests;
  const Identity identities[] = {
      {"ab", "c", "d"}, {"a", "bc", "d"}, {"a", "b", "cd"}, {"abcd", "", ""}, {"", "abcd", ""},
      {"", "", "abcd"}, {"a", "b", "c"},  {"", "a", "bc"},  {"1:a", "", ""},  {"", "1:a", ""},
      {"1", ":a", ""},  {"a", "1:b", ""}, {"a1:b", "", ""}, {"", "", ""},
  };
  for (const Identity& identity : identities) digests.insert(identity_digest(identity));
  EXPECT_EQ(digests.size(), std::size(identities));
}

RC_GTEST_PROP(Ids, T2_identity_digest_is_equal_only_for_equal_identities, ()) {
  // Few characters, so that different splits of one text are common.
  const auto part = rc::gen::container<std::string>(rc::gen::element('1', ':', 'a'));
  const Identity a{*part, *part, *part};
  const Identity b{*part, *part, *part};
  RC_ASSERT((identity_digest(a) == identity_digest(b)) == (a == b));
}

TEST(Ids, T2_keys_are_1_to_255_visible_ascii_characters) {
  EXPECT_TRUE(valid_key("k"));
  EXPECT_TRUE(valid_key(std::string(255, 'k')));
  EXPECT_TRUE(valid_key("!~\"'\\{}"));
  EXPECT_FALSE(valid_key(""));
  EXPECT_FALSE(valid_key(std::string(256, 'k')));
  EXPECT_FALSE(valid_key("a b"));
  EXPECT_FALSE(valid_key("a\tb"));
  EXPECT_FALSE(valid_key(std::string("a\0b", 3)));
  EXPECT_FALSE(valid_key("\x7f"));
  EXPECT_FALSE(valid_key("\xc3\xa9"));
}

TEST(Ids, T2_names_are_1_to_64_plain_characters) {
  EXPECT_TRUE(valid_name("write"));
  EXPECT_TRUE(valid_name("A-z_0.9"));
  EXPECT_TRUE(valid_name(std::string(64, 'n')));
  EXPECT_FALSE(valid_name(""));
  EXPECT_FALSE(valid_name(std::string(65, 'n')));
  EXPECT_FALSE(valid_name("a/b"));
  EXPECT_FALSE(valid_name("a b"));
  EXPECT_FALSE(valid_name("\xc3\xa9"));
}

}  // namespace
}  // namespace trued
