#include "config/http.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "config/config.h"

namespace trued::config {
namespace {

Rules rules() {
  return {.serving = [](const ServingSpec&) { return std::string(); },
          .http =
              [](const HttpSpec& spec) {
                std::vector<SpecFault> faults;
                if (spec.base_url.empty()) faults.push_back({"base_url", "is missing"});
                for (const HttpHeader& header : spec.headers) {
                  if (header.name == "Host") faults.push_back({"headers.Host", "is not yours"});
                }
                return faults;
              }};
}

Loaded load_text(const std::string& lines) {
  return parse("[target.psp]\nkind = \"http\"\n" + lines, "t.toml", rules());
}

std::string faults_of(const std::string& lines) {
  std::string out;
  for (const Fault& fault : load_text(lines).faults) out += to_string(fault) + "\n";
  return out;
}

constexpr const char* kBase = "base_url = \"https://api.psp.example\"\n";

TEST(ConfigHttp, T1_every_setting_is_read) {
  ::setenv("TRUED_CONFIG_TEST", "tok-123456", 1);
  const Loaded loaded = load_text(std::string(kBase) + R"(
headers = { Authorization = "Bearer ${env:TRUED_CONFIG_TEST}", Accept = "application/json" }
deduplicates = true
remembers = "24h"
allow_private = ["10.1.0.0/16"]
allow_redirects = "effects"
proxy = "http://proxy:3128"
no_proxy = "localhost,.internal"
ca_file = "/etc/psp.pem"
timeouts = { connect = "1s", send = "2s", first_byte = "3s", total = "4s" }
response_bytes_max = 1000
fresh_connections = false
)");
  ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
  const HttpSpec& spec = loaded.config.targets.at(0).http;
  EXPECT_EQ(spec.base_url, "https://api.psp.example");
  ASSERT_EQ(spec.headers.size(), 2U);
  for (const HttpHeader& header : spec.headers) {
    EXPECT_EQ(header.secret, header.name == "Authorization") << header.name;
    if (header.secret) {
      EXPECT_EQ(header.value, "Bearer tok-123456");
    }
  }
  EXPECT_TRUE(spec.deduplicates);
  EXPECT_EQ(spec.remembers, Duration{24 * 3'600'000});
  EXPECT_FALSE(spec.allow_private);
  EXPECT_EQ(spec.allowed_networks, std::vector<std::string>{"10.1.0.0/16"});
  EXPECT_EQ(spec.redirects, HttpRedirects::effects);
  EXPECT_EQ(spec.proxy, "http://proxy:3128");
  EXPECT_EQ(spec.no_proxy, "localhost,.internal");
  EXPECT_EQ(spec.ca_file, "/etc/psp.pem");
  EXPECT_EQ(spec.connect_timeout, Duration{1'000});
  EXPECT_EQ(spec.send_timeout, Duration{2'000});
  EXPECT_EQ(spec.first_byte_timeout, Duration{3'000});
  EXPECT_EQ(spec.total_timeout, Duration{4'000});
  EXPECT_EQ(spec.response_bytes_max, 1'000U);
  EXPECT_EQ(spec.fresh_connections, false);
}

TEST(ConfigHttp, a_shorter_whole_shortens_its_parts) {
  const Loaded loaded = load_text(std::string(kBase) + "timeouts = { total = \"2s\" }\n");
  ASSERT_TRUE(loaded.faults.empty());
  const HttpSpec& spec = loaded.config.targets.at(0).http;
  EXPECT_EQ(spec.first_byte_timeout, Duration{2'000});
  EXPECT_EQ(spec.connect_timeout, Duration{2'000});
}

TEST(ConfigHttp, V10_faults_have_their_place_and_say_what_is_meant) {
  const std::pair<std::string, std::string> wrong[] = {
      {"", "t.toml:1:1: target.psp.base_url: is missing"},
      {std::string(kBase) + "bas_url = \"x\"\n",
       "t.toml:4:1: unknown key 'target.psp.bas_url'; did you mean 'base_url'?"},
      {std::string(kBase) + "allow_private = \"yes\"\n",
       "t.toml:4:17: target.psp.allow_private: expected true, false or a list of texts"},
      {std::string(kBase) + "allow_redirects = \"always\"\n",
       "target.psp.allow_redirects: expected"},
      {std::string(kBase) + "timeouts = { conect = \"1s\" }\n", "did you mean 'connect'?"},
      {std::string(kBase) + "headers = { Host = \"x\" }\n",
       "t.toml:4:20: target.psp.headers.Host: is not yours"},
      {std::string(kBase) + "headers = { A = \"${env:TRUED_NO_SUCH}\" }\n",
       "the environment has no TRUED_NO_SUCH"},
      {std::string(kBase) + "directory = \"/x\"\n", "unknown key 'target.psp.directory'"},
      {std::string(kBase) + "[target.psp.serving]\nurl = \"https://x\"\n",
       "unknown key 'target.psp.serving'"},
      {std::string(kBase) + "timeouts = { total = \"2m\" }\n",
       "target.psp.timeouts.total: 2m is longer than effect_timeout, 30s"},
  };
  for (const auto& [lines, message] : wrong) {
    const std::string faults = faults_of(lines);
    EXPECT_NE(faults.find(message), std::string::npos) << lines << "\n-> " << faults;
  }
  EXPECT_NE(faults_of("kind2 = 1\n").find("known"), std::string::npos);
}

}  // namespace
}  // namespace trued::config
