#include "cli/output.h"

#include <string>

#include <gtest/gtest.h>

#include "json/parse.h"

namespace trued::cli {
namespace {

std::string text_for(const std::string& json) {
  const auto value = json::parse(json);
  return value.has_value() ? receipt_text(*value, false) + receipt_line(*value, false) +
                                 event_line(*value) + problem_text(*value)
                           : "no JSON";
}

TEST(Output, control_characters_are_spelled_out) {
  EXPECT_EQ(plain("a\x1b[31mb\tc\x7f"), "a\\u001b[31mb\\u0009c\\u007f");
  EXPECT_EQ(plain("\xc2\x9b"
                  "31m"),
            "\\u009b31m");  // CSI of C1
  EXPECT_EQ(plain("\x9b"
                  "31m"),
            "\\u009b31m");                          // the same without UTF-8
  EXPECT_EQ(plain("\xe2\x80\xae-b"), "\\u202e-b");  // turns the direction
  EXPECT_EQ(plain("Zürich … \xf0\x9f\x8c\x8d"), "Zürich … \xf0\x9f\x8c\x8d");
}

TEST(Output, nothing_of_a_receipt_steers_the_terminal) {
  for (const char* member : {"state", "id", "key", "target", "reason", "tell", "decision", "actor",
                             "title", "detail", "pointer", "at", "event"}) {
    const std::string text = text_for(R"({"attempts":1,")" + std::string(member) +
                                      R"(":"x\u001b[31my","artifacts":[]})");
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << member << text;
  }
  const std::string artifact =
      text_for(R"({"artifacts":[{"name":"n\u001b","level":"l\u001b","verdict":"v\u001b",)"
               R"("observed":{"unreadable":"u\u001b"}}],"next":{"detail":"d\u001b"}})");
  EXPECT_EQ(artifact.find('\x1b'), std::string::npos) << artifact;
  EXPECT_NE(artifact.find("u\\u001b"), std::string::npos) << artifact;
}

TEST(Output, V4_unchanged_counts_no_attempt) {
  const std::string text = text_for(R"({"state":"unchanged","attempts":1,"changed":false})");
  EXPECT_NE(text.find("nothing was sent"), std::string::npos) << text;
  EXPECT_EQ(text.find("attempt(s)"), std::string::npos) << text;
}

TEST(Output, V4_what_is_not_known_to_have_changed_is_said_to_be_unknown) {
  const auto text = [](const std::string& changed) {
    return text_for(R"({"state":"needs_action","attempts":1,"changed":)" + changed + "}");
  };
  EXPECT_NE(text("null").find("1 attempt(s), not known whether anything changed"),
            std::string::npos);
  EXPECT_NE(text("true").find("1 attempt(s), changed"), std::string::npos);
  EXPECT_NE(text("false").find("1 attempt(s), nothing changed"), std::string::npos);
}

TEST(Output, what_is_to_be_typed_is_quoted_for_a_shell) {
  EXPECT_EQ(shell_quoted("deploy-1.2"), "deploy-1.2");
  EXPECT_EQ(shell_quoted("it's $x"), "'it'\\''s $x'");
  EXPECT_EQ(shell_quoted(""), "''");
  EXPECT_EQ(shell_quoted("na\xc3\xafve"), "'na\xc3\xafve'");
  EXPECT_EQ(shell_quoted("a\nb'\\"), "$'a\\012b\\'\\\\'");
  EXPECT_EQ(shell_quoted("caf\xe9"), "$'caf\\351'");
}

}  // namespace
}  // namespace trued::cli
