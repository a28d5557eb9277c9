#include "cli/settings.h"

#include <string>

#include <gtest/gtest.h>

namespace trued::cli {
namespace {

std::string refusal(const std::string& text) {
  const auto spec = parse_target_option(text);
  return spec.has_value() ? "" : spec.error().message;
}

TEST(TargetOption, is_taken_apart) {
  const auto spec =
      parse_target_option("docs=git:/srv/a,b.git,branch=v1,serving=https://h/${artifact.path}?a=1");
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->name, "docs");
  EXPECT_EQ(spec->location, "/srv/a,b.git");
  EXPECT_EQ(spec->branch, "v1");
  EXPECT_EQ(spec->serving->url, "https://h/${artifact.path}?a=1");
  EXPECT_EQ(parse_target_option("m=memory")->kind, "memory");
  EXPECT_EQ(parse_target_option("m=memory,serving=http://h/${artifact.path}")->kind, "memory");
}

TEST(TargetOption, what_is_not_known_is_never_part_of_the_path) {
  EXPECT_NE(refusal("d=git:/r,brnch=x").find("no option 'brnch'; allowed: branch=B and serving"),
            std::string::npos);
  EXPECT_NE(refusal("d=file:/r,branch=x").find("no option 'branch'; allowed: serving=URL"),
            std::string::npos);
  EXPECT_NE(refusal("d=git:,branch=x").find("no location"), std::string::npos);
  EXPECT_NE(refusal("nothing"), "");
}

TEST(TargetOption, the_rule_of_the_serving_reader_is_the_one_of_the_configuration) {
  const auto rule = config_rules({}).serving;
  EXPECT_EQ(rule({.url = "https://h/${artifact.path}", .headers = {}}), "");
  EXPECT_NE(rule({.url = "ftp://h/${artifact.path}", .headers = {}}), "");
  EXPECT_NE(rule({.url = "https://h/", .headers = {}}), "");
  EXPECT_NE(rule({.url = "https://h/${artifact.path}", .headers = {{"a b", "c"}}}), "");
}

}  // namespace
}  // namespace trued::cli
