#include "config/postgres.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "config/config.h"

namespace trued::config {
namespace {

Rules rules() {
  Rules rules;
  rules.serving = [](const ServingSpec&) { return std::string(); };
  rules.postgres = [](const PostgresSpec& spec) {
    std::vector<SpecFault> faults;
    if (spec.url.empty()) faults.push_back({"url", "is missing"});
    return faults;
  };
  return rules;
}

Loaded load_text(const std::string& lines) {
  return parse("[target.db]\nkind = \"postgres\"\n" + lines, "t.toml", rules());
}

std::string faults_of(const std::string& lines) {
  std::string out;
  for (const Fault& fault : load_text(lines).faults) out += to_string(fault) + "\n";
  return out;
}

TEST(ConfigPostgres, V10_every_setting_is_read_and_no_secret_is_shown) {
  ::setenv("TRUED_CONFIG_TEST_PG", "p:w@d", 1);
  const Loaded loaded = load_text(R"(
url = "postgresql://app@db1:5433,db2/shop?sslmode=verify-full"
password = "${env:TRUED_CONFIG_TEST_PG}"
marker_table = "ops.marker"
pool_max = 3
statement_timeout = "5s"
)");
  ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
  const TargetSpec& spec = loaded.config.targets.at(0);
  EXPECT_EQ(spec.postgres.url, "postgresql://app@db1:5433,db2/shop?sslmode=verify-full");
  EXPECT_EQ(spec.postgres.password, "p:w@d");
  EXPECT_EQ(spec.postgres.marker_table, "ops.marker");
  EXPECT_EQ(spec.postgres.pool_max, 3U);
  EXPECT_EQ(spec.postgres.statement_timeout, Duration{5'000});
  EXPECT_EQ(spec.location, "postgresql://app@db1:5433,db2/shop");
}

TEST(ConfigPostgres, V10_a_url_is_shown_without_its_password) {
  EXPECT_EQ(without_password("postgresql://u:p@h/d?password=x"), "postgresql://u@h/d");
  EXPECT_EQ(without_password("postgresql://u:p%40@h:1/d"), "postgresql://u@h:1/d");
  EXPECT_EQ(without_password("postgresql://h:1,h:2/d"), "postgresql://h:1,h:2/d");
  EXPECT_EQ(without_password("postgresql://u@h:1/d"), "postgresql://u@h:1/d");
  EXPECT_EQ(without_password("nonsense"), "nonsense");
}

TEST(ConfigPostgres, V10_faults_have_their_place_and_say_what_is_meant) {
  const std::pair<std::string, std::string> wrong[] = {
      {"", "target.db.url: is missing"},
      {"url = \"postgresql://u:p@h/d\"\n", "t.toml:3:7: target.db.url: a password does not belong"},
      {"url = \"postgresql://u@h/d?password=p\"\n", "a password does not belong"},
      {"url = \"postgresql://h/d\"\npassword = \"p\"\n", "a secret does not belong"},
      {"url = \"postgresql://h/d\"\npool_max = 0\n", "whole number from 1"},
      {"url = \"postgresql://h/d\"\nmarker_tabl = \"m\"\n", "did you mean 'marker_table'?"},
      {"url = \"postgresql://h/d\"\n[target.db.serving]\nurl = \"https://x\"\n",
       "unknown key 'target.db.serving'"},
  };
  for (const auto& [lines, expected] : wrong) {
    EXPECT_NE(faults_of(lines).find(expected), std::string::npos) << lines << faults_of(lines);
  }
}

}  // namespace
}  // namespace trued::config
