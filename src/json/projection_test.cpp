#include "json/projection.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "json/canonical.h"
#include "json/json_gen_test.h"
#include "json/parse.h"

namespace trued::json {
namespace {

Value parsed(std::string_view text) {
  auto value = parse(text);
  EXPECT_TRUE(value.has_value()) << text;
  return value ? std::move(value).value() : Value();
}

std::string projected(std::string_view found, std::string_view meant) {
  return canonical(project(parsed(found), parsed(meant)));
}

std::string difference(std::string_view found_text, std::string_view meant_text) {
  const Value found = parsed(found_text);
  const Value meant = parsed(meant_text);
  const auto first = first_difference(found, meant);
  if (!first) return "none";
  return first->pointer + ": meant " + canonical(*first->meant) + ", found " +
         (first->found == nullptr ? "nothing" : canonical(*first->found));
}

TEST(Projection, V4_keeps_what_was_meant_and_drops_the_rest) {
  EXPECT_EQ(projected(R"({"a":1,"b":2})", R"({"a":9})"), R"({"a":1})");
  EXPECT_EQ(projected(R"({"a":{"x":1,"y":2}})", R"({"a":{"y":0}})"), R"({"a":{"y":2}})");
  EXPECT_EQ(projected(R"([{"a":1,"b":2},3])", R"([{"a":1},4])"), R"([{"a":1},3])");
  EXPECT_EQ(projected(R"([{"a":1,"b":2}])", R"([{"a":1},4])"), R"([{"a":1,"b":2}])")
      << "other lengths are left as they are, and differ";
  EXPECT_EQ(projected(R"({"b":2})", R"({"a":1})"), "{}");
  EXPECT_EQ(projected("5", R"({"a":1})"), "5");
  EXPECT_EQ(projected(R"({"a":{"b":1}})", R"({"a":1})"), R"({"a":{"b":1}})");
}

TEST(Projection, V4_names_the_first_member_that_differs) {
  EXPECT_EQ(difference(R"({"a":1,"b":2})", R"({"a":1})"), "none");
  EXPECT_EQ(difference(R"({"a":1.0})", R"({"a":1})"), "none");
  EXPECT_EQ(difference(R"({"status":"pending"})", R"({"status":"succeeded"})"),
            R"(/status: meant "succeeded", found "pending")");
  EXPECT_EQ(difference(R"({"a":[{"b":1}]})", R"({"a":[{"b":1,"c/d":2}]})"),
            "/a/0/c~1d: meant 2, found nothing");
  EXPECT_EQ(difference("[1,2]", "[1]"), ": meant [1], found [1,2]");
  EXPECT_EQ(difference(R"({"a":null})", R"({"a":0})"), "/a: meant 0, found null");
  EXPECT_EQ(difference("{}", R"({"a":null})"), "/a: meant null, found nothing");
  EXPECT_EQ(difference("{}", "[]"), ": meant [], found {}");
}

// Something that a document holds: members dropped at random.
Value part_of(const Value& whole, unsigned& chance) {
  if (whole.is_object()) {
    Value::Object kept;
    for (const auto& [name, member] : whole.members()) {
      chance = chance * 1664525U + 1013904223U;
      if ((chance >> 16U) % 3 != 0) kept.emplace_back(name, part_of(member, chance));
    }
    return Value(std::move(kept));
  }
  if (whole.is_array()) {
    Value::Array items;
    for (const Value& item : whole.items()) items.push_back(part_of(item, chance));
    return Value(std::move(items));
  }
  return whole;
}

RC_GTEST_PROP(Projection, V4_equal_digests_if_and_only_if_nothing_differs, ()) {
  const Value found = *arbitrary_json();
  const Value meant = *arbitrary_json();
  const bool holds = !first_difference(found, meant);
  RC_ASSERT(holds == (canonical(project(found, meant)) == canonical(meant)));
}

RC_GTEST_PROP(Projection, V4_every_part_of_a_document_is_held_by_it, (unsigned chance)) {
  const Value found = *arbitrary_json();
  const Value meant = part_of(found, chance);
  RC_ASSERT(!first_difference(found, meant));
  RC_ASSERT(canonical(project(found, meant)) == canonical(meant));
  RC_ASSERT(canonical(project(meant, meant)) == canonical(meant));
}

}  // namespace
}  // namespace trued::json
