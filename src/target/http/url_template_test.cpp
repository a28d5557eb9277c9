#include "target/http/url_template.h"

#include <gtest/gtest.h>

namespace trued {
namespace {

std::string expanded(const std::string& text, const std::string& path) {
  const auto parsed = UrlTemplate::parse(text);
  EXPECT_TRUE(parsed.has_value()) << text;
  return parsed.has_value() ? parsed->expand(path) : std::string();
}

TEST(UrlTemplate, V5_paths_are_filled_in_and_encoded) {
  EXPECT_EQ(expanded("https://docs.example.com/${artifact.path}", "guide/start.md"),
            "https://docs.example.com/guide/start.md");
  EXPECT_EQ(expanded("http://127.0.0.1:8080/x/${artifact.path}?raw=1", "a b/ü?#%.md"),
            "http://127.0.0.1:8080/x/a%20b/%C3%BC%3F%23%25.md?raw=1");
  EXPECT_EQ(expanded("http://h/${artifact.path}?p=${artifact.path}", "a&b"),
            "http://h/a%26b?p=a%26b");
  EXPECT_EQ(percent_encode_path("A-z_0.9~/$@:+"), "A-z_0.9~/%24%40%3A%2B");
}

TEST(UrlTemplate, V5_errors_are_told_at_once) {
  for (const char* text :
       {"", "docs.example.com/${artifact.path}", "ftp://h/${artifact.path}", "http://",
        "http:///${artifact.path}", "http://:80/${artifact.path}", "http://h/fixed",
        "http://h/${artifact.name}", "http://h/${artifact.path", "http://h/${}",
        "http://u:p@h/${artifact.path}", "http://${artifact.path}/", "http://h/a b${artifact.path}",
        "http://h/${artifact.path}#top", "http://h/\n${artifact.path}"}) {
    const auto parsed = UrlTemplate::parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(parsed.error().message.find(text), std::string::npos);
  }
}

}  // namespace
}  // namespace trued
