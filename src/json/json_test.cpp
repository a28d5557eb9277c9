#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "json/canonical.h"
#include "json/diff.h"
#include "json/parse.h"
#include "json/writer.h"

namespace trued::json {
namespace {

std::string number(std::uint64_t bits) {
  std::string out;
  write_number(std::bit_cast<double>(bits), out);
  return out;
}

Value parsed(std::string_view text) {
  auto value = parse(text);
  EXPECT_TRUE(value.has_value()) << text << (value ? "" : ": " + value.error().message);
  return value ? std::move(value).value() : Value();
}

std::string refusal(std::string_view text) {
  auto value = parse(text);
  EXPECT_FALSE(value.has_value()) << text;
  return value ? "" : value.error().message;
}

// RFC 8785, appendix B.
TEST(Canonical, T2_numbers_of_rfc_8785) {
  EXPECT_EQ(number(0x0000000000000000), "0");
  EXPECT_EQ(number(0x8000000000000000), "0");
  EXPECT_EQ(number(0x0000000000000001), "5e-324");
  EXPECT_EQ(number(0x8000000000000001), "-5e-324");
  EXPECT_EQ(number(0x7fefffffffffffff), "1.7976931348623157e+308");
  EXPECT_EQ(number(0x4340000000000000), "9007199254740992");
  EXPECT_EQ(number(0xc340000000000000), "-9007199254740992");
  EXPECT_EQ(number(0x4430000000000000), "295147905179352830000");
  EXPECT_EQ(number(0x44b52d02c7e14af5), "9.999999999999997e+22");
  EXPECT_EQ(number(0x44b52d02c7e14af6), "1e+23");
  EXPECT_EQ(number(0x444b1ae4d6e2ef4e), "999999999999999700000");
  EXPECT_EQ(number(0x444b1ae4d6e2ef50), "1e+21");
  EXPECT_EQ(number(0x3eb0c6f7a0b5ed8c), "9.999999999999997e-7");
  EXPECT_EQ(number(0x3eb0c6f7a0b5ed8d), "0.000001");
  EXPECT_EQ(number(0x41b3de4355555553), "333333333.3333332");
  EXPECT_EQ(number(0xbecbf647612f3696), "-0.0000033333333333333333");
}

TEST(Canonical, T2_the_structure_of_rfc_8785) {
  EXPECT_EQ(canonical(parsed(R"({
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]})")),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,"
            "1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

// RFC 8785, section 3.2.3: by UTF-16 code units, not by bytes.
TEST(Canonical, T2_names_sort_by_utf_16_code_units) {
  EXPECT_EQ(canonical(parsed(R"({"\u20ac":"Euro Sign","\r":"Carriage Return",
    "\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face",
    "\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"})")),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\",\"ö\":\"Latin "
            "Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning "
            "Face\",\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

TEST(Parse, hostile_input_is_refused_with_its_reason) {
  for (const char* bad : {"",
                          " ",
                          "{",
                          "[1,]",
                          "{\"a\":1,}",
                          "01",
                          "1.",
                          "+1",
                          "NaN",
                          "Infinity",
                          "nul",
                          "\"\x01\"",
                          "\"\\x\"",
                          "\"abc",
                          "[1] 2",
                          "'a'",
                          "\xef\xbb\xbf{}",
                          "\"\xff\"",
                          "\"\xc0\xaf\"",
                          "\"\\ud800\"",
                          "1e400"}) {
    EXPECT_FALSE(refusal(bad).empty()) << bad;
  }
  EXPECT_NE(refusal(R"({"a":{"b":1,"b":2}})").find("\"b\" twice"), std::string::npos);
  EXPECT_NE(refusal("9007199254740993").find("2^53"), std::string::npos);
  EXPECT_NE(refusal("18446744073709551615").find("2^53"), std::string::npos);
  EXPECT_NE(refusal(std::string(100, '[') + std::string(100, ']')).find("deeper"),
            std::string::npos);
  EXPECT_FALSE(refusal(std::string(100'000, '[')).empty());
  EXPECT_FALSE(parse("[1,2,3]", {.depth_max = 64, .bytes_max = 3}).has_value());
}

TEST(Parse, T1_a_refusal_says_where_and_what_was_expected) {
  const std::array<std::pair<std::string, const char*>, 23> cases{{
      {"", "is empty"},
      {" \n ", "is empty"},
      {"{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7: expected ':', found '2'"},
      {R"({"a":1)", "line 1, column 7: the text ends where ',' or '}' was expected"},
      {"[1,]", "line 1, column 4: expected a value, found ']'"},
      {R"({"a":1,})", "column 8: expected a name in double quotes, found '}'"},
      {R"({'a':1})", "column 2: expected a name in double quotes or '}', found '''"},
      {"[1] 2", "line 1, column 5: there is more after the document: '2'"},
      {"{}\n{}", "line 2, column 1: there is more after the document"},
      {R"({"a":NaN})", "column 6: JSON has no NaN"},
      {"[-Infinity]", "column 2: JSON has no -Infinity"},
      {"[undefined]", "column 2: expected a value or ']', found 'undefined'"},
      {std::string("{\"a\":\0}", 7), "column 6: expected a value, found a NUL byte"},
      {std::string("[\"a\0\"]", 6), "column 4: a string holds a NUL byte; write it as \\u0000"},
      {std::string("{}\0", 3), "column 3: there is more after the document: a NUL byte"},
      {"[\"\n\"]", "a string holds the control character U+000A; write it as \\u000A"},
      {"[\"é\xff\"]", "column 4: a string holds the byte 0xFF, which is not valid UTF-8"},
      {R"(["abc])", "column 2: the string that begins here is not closed"},
      {R"(["\x"])", "column 3: an escape is"},
      {R"(["\ud800"])", "column 3: \\uD800 is half of a surrogate pair"},
      {"[01]", "column 2: a number has no leading zeros"},
      {"[1.]", "column 4: expected a digit, found ']'"},
      {"[1e400]", "column 2: a number too large for a double"},
  }};
  for (const auto& [text, said] : cases) {
    EXPECT_NE(refusal(text).find(said), std::string::npos) << text << "\n" << refusal(text);
  }
  EXPECT_NE(refusal("[1,123456789012345678901234567890]").find("column 4: an integer beyond 2^53"),
            std::string::npos);
}

TEST(Parse, T1_nesting_beyond_the_limit_is_named_with_the_limit) {
  for (const std::string& text :
       {std::string(100'000, '['), std::string(100'000, '[') + std::string(100'000, ']'),
        std::string(65, '[') + std::string(65, ']'), std::string(65, '[') + "x"}) {
    EXPECT_NE(refusal(text).find("nested deeper than 64"), std::string::npos) << refusal(text);
  }
  EXPECT_TRUE(parse(std::string(64, '[') + std::string(64, ']')).has_value());
  EXPECT_NE(refusal(std::string(64, '[')).find("the text ends"), std::string::npos);
}

TEST(Parse, T1_the_pointer_names_the_member_at_fault) {
  const auto pointer_of = [](std::string_view text) {
    std::string pointer;
    EXPECT_FALSE(parse(text, {}, &pointer).has_value()) << text;
    return pointer;
  };
  EXPECT_EQ(pointer_of(R"({"type":1,"type":2})"), "/type");
  EXPECT_EQ(pointer_of(R"({"a":[0,{"b/c~":1,"b/c~":1}]})"), "/a/1/b~1c~0");
  EXPECT_EQ(pointer_of(R"({"a":[0,9007199254740993]})"), "/a/1");
  EXPECT_EQ(pointer_of("{"), "");
}

TEST(Parse, numbers_that_are_equal_are_one) {
  EXPECT_EQ(parsed("1"), parsed("1.0"));
  EXPECT_EQ(parsed("1e2"), parsed("100"));
  EXPECT_EQ(parsed("-0"), parsed("0"));
  EXPECT_EQ(parsed("9007199254740992").as_int(), 9'007'199'254'740'992);
}

// Found by fuzzing: what was taken in one spelling could not be read in the canonical one.
TEST(Parse, T2_whatever_is_taken_can_be_read_in_its_canonical_form) {
  for (const char* whole :
       {"11111110E11", "1e18", "-9007199254740994.0", "9007199254740993", "9e20"}) {
    EXPECT_FALSE(parse(whole).has_value()) << whole;
  }
  for (const char* taken : {"1e21", "-1.5e300", "9007199254740992.0", "1e-7", "4.5"}) {
    const auto value = parse(taken);
    ASSERT_TRUE(value.has_value()) << taken;
    const auto again = parse(canonical(*value));
    ASSERT_TRUE(again.has_value()) << canonical(*value);
    EXPECT_EQ(canonical(*again), canonical(*value));
  }
}

rc::Gen<Value> any_value(int depth) {
  const auto text = rc::gen::map(rc::gen::container<std::string>(rc::gen::inRange(' ', '~')),
                                 [](std::string s) { return Value(std::move(s)); });
  const auto whole = rc::gen::map(rc::gen::inRange<std::int64_t>(-(1LL << 53), 1LL << 53),
                                  [](std::int64_t n) { return Value(n); });
  const auto flag = rc::gen::map(rc::gen::arbitrary<bool>(), [](bool b) { return Value(b); });
  if (depth == 0) return rc::gen::oneOf(text, whole, flag, rc::gen::just(Value()));
  const auto list = rc::gen::map(rc::gen::container<std::vector<Value>>(
                                     rc::gen::lazy([depth] { return any_value(depth - 1); })),
                                 [](std::vector<Value> items) { return Value(std::move(items)); });
  const auto object = rc::gen::map(rc::gen::container<std::map<std::string, Value>>(
                                       rc::gen::container<std::string>(rc::gen::inRange('a', 'f')),
                                       rc::gen::lazy([depth] { return any_value(depth - 1); })),
                                   [](std::map<std::string, Value> members) {
                                     Value::Object object_members;
                                     for (auto& [name, value] : members)
                                       object_members.emplace_back(name, std::move(value));
                                     return Value(std::move(object_members));
                                   });
  return rc::gen::oneOf(text, whole, flag, list, object);
}

RC_GTEST_PROP(Canonical, T2_the_canonical_form_reads_back_and_is_its_own, ()) {
  const Value value = *any_value(2);
  const std::string text = canonical(value);
  const auto again = parse(text);
  RC_ASSERT(again.has_value());
  RC_ASSERT(*again == value);
  RC_ASSERT(canonical(*again) == text);
  std::string pretty;
  write_pretty(value, pretty);
  RC_ASSERT(*parse(pretty) == value);
}

RC_GTEST_PROP(Canonical, T2_doubles_read_back_exactly, (std::uint64_t bits)) {
  const double original = std::bit_cast<double>(bits);
  RC_PRE(std::isfinite(original) && std::fabs(original) < 9e15);
  std::string text;
  write_number(original, text);
  const auto again = parse(text);
  RC_ASSERT(again.has_value());
  RC_ASSERT(again->as_double() == original);
}

TEST(Diff, T2_pointers_name_what_differs) {
  const Value before = parsed(R"({"a":1,"b":{"c~d":[1,2],"e/f":true},"g":null})");
  const Value after = parsed(R"({"a":2,"b":{"c~d":[1,3,4],"e/f":true},"h":null})");
  EXPECT_EQ(differing_pointers(before, after, 10),
            (std::vector<std::string>{"/a", "/b/c~0d/1", "/b/c~0d/2", "/g", "/h"}));
  EXPECT_EQ(differing_pointers(before, after, 2).size(), 2U);
  EXPECT_TRUE(differing_pointers(before, before, 10).empty());
  EXPECT_EQ(differing_pointers(parsed("1"), parsed("[1]"), 10), std::vector<std::string>{""});
}

TEST(Writer, T1_what_is_written_can_be_read_even_if_it_was_not_utf_8) {
  std::string text;
  Writer(text).begin_object().member("reason", "caf\xE9 \xC3\xA9\xFF").end_object();
  const auto read = parse(text, {});
  ASSERT_TRUE(read.has_value()) << text;
  EXPECT_EQ(read->find("reason")->as_string(), "caf\xEF\xBF\xBD \xC3\xA9\xEF\xBF\xBD");
}

TEST(Writer, T2_what_identifies_something_is_never_repaired) {
  std::string text;
  Writer(text).exact("caf\xC3\xA9\"");
  EXPECT_EQ(text, "\"caf\xC3\xA9\\\"\"");
  std::string out;
  EXPECT_DEATH(Writer(out).exact("caf\xE9"), "assertion failed");
  EXPECT_DEATH(write_canonical(Value("caf\xE9"), out), "assertion failed");
  EXPECT_DEATH(write_canonical(Value(Value::Object{{"\xFF", Value()}}), out), "assertion failed");
}

TEST(Writer, writes_what_it_is_told_with_the_commas_in_place) {
  std::string text;
  Writer out(text);
  out.begin_object().member("a", 1).key("b").begin_array().null().boolean(true).string("x\n");
  out.end_array().member("c", std::uint64_t{18'446'744'073'709'551'615U}).end_object();
  EXPECT_EQ(text, R"({"a":1,"b":[null,true,"x\n"],"c":18446744073709551615})");
  EXPECT_DEATH(
      {
        std::string broken;
        Writer(broken).begin_object().string("no key");
      },
      "assertion failed");
}

TEST(Parse, V4_what_is_only_compared_may_hold_large_integers) {
  const ParseLimits near{.exact = false};
  const auto value =
      parse("[9007199254740993,-9007199254740993,18446744073709551615,9007199254740992]", near);
  ASSERT_TRUE(value.has_value()) << value.error().message;
  EXPECT_EQ(canonical(*value),
            "[9007199254740994,-9007199254740994,18446744073709552000,9007199254740992]");
  EXPECT_FALSE(parse("[9007199254740993]").has_value());
}

}  // namespace
}  // namespace trued::json
