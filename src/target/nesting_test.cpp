#include "target/nesting.h"

#include <gtest/gtest.h>

#include "target/intents_test.h"

namespace trued {
namespace {

Intent intent_of(std::vector<ArtifactIntent> artifacts) {
  return *effect_of(std::move(artifacts)).intent;
}

TEST(Nesting, V6_a_file_cannot_hold_another) {
  const Intent intent = intent_of(
      {put("z", "1"), put("a/b/c", "2"), put("a.b", "3"), put("a", "4"), put("z/y", "5")});
  const auto clash = find_clash(intent);
  ASSERT_TRUE(clash.has_value());
  EXPECT_EQ(clash->file, 3U);
  EXPECT_EQ(clash->below, 1U);
  EXPECT_EQ(describe(intent, *clash), "'a' cannot be a file and hold 'a/b/c'");
}

TEST(Nesting, V6_what_is_absent_clashes_with_nothing) {
  for (const auto& artifacts : std::vector<std::vector<ArtifactIntent>>{
           {removal("a"), put("a/b", "1")},
           {put("a", "1"), removal("a/b")},
           {put("a", "1"), put("ab/c", "2"), put("b/a", "3")}}) {
    EXPECT_FALSE(find_clash(intent_of(artifacts)).has_value());
  }
}

TEST(Nesting, V1_what_makes_room_is_known) {
  const auto gives = giving_way(intent_of({removal("a"), put("a/b", "1"), removal("a/b/c"),
                                           removal("c"), removal("c/d"), put("ab", "2")}));
  EXPECT_EQ(gives, (std::vector<bool>{true, false, false, false, false, false}));
}

}  // namespace
}  // namespace trued
