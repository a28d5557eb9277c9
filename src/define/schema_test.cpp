#include "define/schema.h"

#include <string>

#include <gtest/gtest.h>

#include "define/call_fake_test.h"

namespace trued::define {
namespace {

std::string refused(std::string_view schema) {
  Faults faults;
  (void)Schema::compile(json_of(schema), "/input", faults);
  return lines_of(faults);
}

Schema schema(std::string_view text) {
  Faults faults;
  Schema compiled = Schema::compile(json_of(text), "/input", faults);
  EXPECT_EQ(lines_of(faults), "");
  return compiled;
}

// What is wrong with {"v": value} where v is to keep to `of`.
std::string wrong(std::string_view of, std::string_view value) {
  return lines_of(schema(R"({"properties":{"v":)" + std::string(of) + "}}")
                      .validate(json_of(R"({"v":)" + std::string(value) + "}")));
}

TEST(Schema, T11_every_keyword_is_held_to) {
  EXPECT_EQ(wrong(R"({"type":"string"})", "1"), "/v: expected a text, seen 1\n");
  EXPECT_EQ(wrong(R"({"type":["string","null"]})", "true"),
            "/v: expected null or a text, seen true\n");
  EXPECT_EQ(wrong(R"({"type":"integer"})", "1.5"), "/v: expected a whole number, seen 1.5\n");
  EXPECT_EQ(wrong(R"({"type":"integer"})", "1.0"), "");
  EXPECT_EQ(wrong(R"({"type":"number"})", "1"), "");
  EXPECT_EQ(wrong(R"({"enum":["eur","usd"]})", R"("gbp")"),
            "/v: expected one of \"eur\", \"usd\", seen \"gbp\"\n");
  EXPECT_EQ(wrong(R"({"const":{"a":1}})", R"({"a":1.0})"), "");
  EXPECT_EQ(wrong(R"({"const":3})", "4"), "/v: expected 3, seen 4\n");
  EXPECT_EQ(wrong(R"({"minimum":1})", "0"), "/v: expected at least 1, seen 0\n");
  EXPECT_EQ(wrong(R"({"maximum":1})", "1.5"), "/v: expected at most 1, seen 1.5\n");
  EXPECT_EQ(wrong(R"({"exclusiveMinimum":1})", "1"), "/v: expected more than 1, seen 1\n");
  EXPECT_EQ(wrong(R"({"exclusiveMaximum":1})", "1"), "/v: expected less than 1, seen 1\n");
  EXPECT_EQ(wrong(R"({"minLength":3})", R"("éé")"),
            "/v: expected at least 3 characters, seen \"éé\"\n");
  EXPECT_EQ(wrong(R"({"maxLength":2})", R"("éé")"), "") << "characters, not bytes";
  EXPECT_EQ(wrong(R"({"pattern":"^.{2}$"})", R"("éé")"), "") << "the same";
  EXPECT_EQ(wrong(R"({"pattern":"^[a-z]+$"})", R"("a1")"),
            "/v: expected a text that matches ^[a-z]+$, seen \"a1\"\n");
  EXPECT_EQ(wrong(R"({"pattern":"b"})", R"("abc")"), "") << "patterns search";
  EXPECT_EQ(wrong(R"({"minItems":1})", "[]"),
            "/v: expected at least 1 items, seen an array of 0\n");
  EXPECT_EQ(wrong(R"({"maxItems":1})", "[1,2]"),
            "/v: expected at most 1 items, seen an array of 2\n");
  EXPECT_EQ(wrong(R"({"items":{"type":"string"}})", R"(["a",1])"),
            "/v/1: expected a text, seen 1\n");
  EXPECT_EQ(wrong(R"({"minProperties":1})", "{}"), "/v: expected at least 1 members, seen 0\n");
  EXPECT_EQ(wrong(R"({"maxProperties":0})", R"({"a":1})"),
            "/v: expected at most 0 members, seen 1\n");
  EXPECT_EQ(wrong(R"({"required":["a"]})", "{}"), "/v/a: is missing\n");
  EXPECT_EQ(wrong(R"({"additionalProperties":{"type":"string"}})", R"({"x/y":1})"),
            "/v/x~1y: expected a text, seen 1\n");
  EXPECT_EQ(
      wrong(R"({"properties":{"amount":{}},"additionalProperties":false})", R"({"amuont":1})"),
      "/v/amuont: is not known here; did you mean 'amount'?\n");
}

TEST(Schema, T11_an_input_is_an_object) {
  EXPECT_EQ(lines_of(Schema().validate(json_of("[]"))),
            ": expected an object, seen an array of 0\n");
  EXPECT_EQ(lines_of(Schema().validate(json_of("{}"))), "");
  EXPECT_NE(refused(R"({"type":"string"})"), "");
}

TEST(Schema, T11_no_keyword_is_ignored) {
  EXPECT_EQ(refused(R"({"requried":["a"]})").substr(0, 78),
            "/input/requried: 'requried' is no keyword that is held to; did you mean 'requi");
  EXPECT_NE(refused(R"({"properties":{"a":{"format":"email"}}})").find("give a pattern"),
            std::string::npos);
  EXPECT_NE(refused(R"({"$ref":"#/x"})"), "");
  EXPECT_NE(refused(R"({"anyOf":[{}]})"), "");
  EXPECT_NE(refused(R"({"properties":{"a":{"default":1}}})").find("not filled in"),
            std::string::npos);
  EXPECT_NE(refused(R"({"properties":{"a":{"type":"strnig"}}})").find("mean 'string'"),
            std::string::npos);
  EXPECT_NE(refused(R"({"properties":{"a":{"type":"number","minLength":1}}})")
                .find("/input/properties/a/minLength: says nothing of \"number\""),
            std::string::npos);
  EXPECT_NE(refused(R"({"properties":{"amount":{}},"required":["amout"]})")
                .find("/input/required/0: 'amout' is not among the properties; did you mean"),
            std::string::npos);
  EXPECT_NE(refused(R"re({"properties":{"a":{"pattern":"(?=x)"}}})re").find("look-ahead"),
            std::string::npos);
  EXPECT_NE(refused(R"({"properties":{"a":{"minItems":3,"maxItems":2}}})"), "");
  EXPECT_NE(refused(R"({"properties":{"a":{"items":[{}]}}})"), "");
  EXPECT_NE(refused(R"({"properties":{"a":false}})"), "");
  EXPECT_EQ(refused(R"({"title":"t","description":"d","$comment":"c","examples":[{}]})"), "");
}

TEST(Schema, T11_a_hostile_text_does_not_stall_a_pattern) {
  const std::string text(100'000, 'a');
  EXPECT_NE(wrong(R"re({"pattern":"^(a+)+$"})re", '"' + text + "b\""), "");
}

TEST(Schema, T11_faults_are_bounded) {
  std::string items = "[0";
  for (int i = 1; i < 1000; ++i) items += "," + std::to_string(i);
  const Faults faults = schema(R"({"properties":{"v":{"items":{"type":"string"}}}})")
                            .validate(json_of(R"({"v":)" + items + "]}"));
  EXPECT_EQ(faults.size(), 16U);
}

std::string path(std::string_view of, std::string_view text) {
  const SchemaPath found = schema(of).at(*parse_path(text));
  if (!found.possible) return found.detail;
  return std::string(found.always ? "always" : "maybe") + (found.textual ? " text" : " no text");
}

TEST(Schema, T11_paths_that_cannot_exist_are_known) {
  const char* of = R"({"required":["a","l","o"],"properties":{
    "a":{"type":"integer"},"b":{"type":["string","null"]},"any":{},
    "l":{"type":"array","minItems":1,"maxItems":2,"items":{"type":"object",
         "properties":{"sku":{"type":"string"}},"required":["sku"]}},
    "o":{"type":"object","additionalProperties":{"type":"boolean"}},
    "e":{"enum":[{"x":1},{"y":[]}]}}, "type":"object"})";
  EXPECT_EQ(path(of, "a"), "always text");
  EXPECT_EQ(path(of, "b"), "maybe text");
  EXPECT_EQ(path(of, "any.thing.at.all"), "maybe text");
  EXPECT_EQ(path(of, "l"), "always no text");
  EXPECT_EQ(path(of, "l.0.sku"), "always text");
  EXPECT_EQ(path(of, "l.1.sku"), "maybe text");
  EXPECT_EQ(path(of, "l.2.sku"), "'input.l' has no item 2");
  EXPECT_EQ(path(of, "l.first"), "'input.l' is an array: the next step is an index from 0");
  EXPECT_EQ(path(of, "l.0.skuu"),
            "the schema of 'input.l.0' declares no 'skuu'; did you mean 'sku'?");
  EXPECT_EQ(path(of, "a.b"), "'input.a' is a whole number and holds nothing");
  EXPECT_EQ(path(of, "o.x"), "maybe text");
  EXPECT_EQ(path(of, "e.x"), "maybe text");
  EXPECT_EQ(path(of, "e.y"), "maybe no text");
  EXPECT_EQ(path(of, "e.z"), "no value that input.e may have holds it");
  EXPECT_EQ(path(of, "amount").substr(0, 45), "the schema of the input declares no 'amount';");
  EXPECT_EQ(path("{}", "amount"), "maybe text");
  EXPECT_EQ(path(R"({"properties":{"a":{}},"additionalProperties":true})", "b"), "maybe text");
}

}  // namespace
}  // namespace trued::define
