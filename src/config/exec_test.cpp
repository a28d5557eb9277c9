#include "config/exec.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "config/config.h"

namespace trued::config {
namespace {

Rules rules(bool allow_exec) {
  Rules rules;
  rules.serving = [](const ServingSpec&) { return std::string(); };
  rules.exec = [](const ExecSpec& spec) {
    std::vector<SpecFault> faults;
    if (!spec.directory.starts_with('/')) faults.push_back({"directory", "is not absolute"});
    if (!spec.exit.rejected.empty() && spec.exit.rejected.front() == 0) {
      faults.push_back({"exit.rejected", "0 is not no"});
    }
    return faults;
  };
  rules.allow_exec = allow_exec;
  return rules;
}

Loaded load_text(const std::string& lines, bool allow_exec = true, const std::string& top = "") {
  return parse(top + "[target.jobs]\nkind = \"exec\"\n" + lines, "t.toml", rules(allow_exec));
}

std::string faults_of(const std::string& lines, bool allow_exec = true,
                      const std::string& top = "") {
  std::string out;
  for (const Fault& fault : load_text(lines, allow_exec, top).faults)
    out += to_string(fault) + "\n";
  return out;
}

TEST(ConfigExec, V10_every_setting_is_read) {
  ::setenv("TRUED_CONFIG_TEST_EXEC", "tok-1", 1);
  const Loaded loaded = load_text(R"(
commands = ["charge", "/opt/refund"]
path = ["/usr/local/bin", "/usr/bin"]
directory = "/srv/jobs"
env = { LANG = "C.UTF-8", TOKEN = "${env:TRUED_CONFIG_TEST_EXEC}" }
umask = "027"
deduplicates = true
remembers = "24h"
timeout = "20s"
grace = "5s"
output_bytes_max = 4096
exit = { acknowledged = [0, 10], rejected = [2], retryable = [75], unknown = [1] }
)");
  ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
  EXPECT_EQ(loaded.config.targets.at(0).location, "/srv/jobs");
  const ExecSpec& spec = loaded.config.targets.at(0).exec;
  EXPECT_EQ(spec.commands, (std::vector<std::string>{"charge", "/opt/refund"}));
  EXPECT_EQ(spec.path, (std::vector<std::string>{"/usr/local/bin", "/usr/bin"}));
  EXPECT_EQ(spec.directory, "/srv/jobs");
  ASSERT_EQ(spec.environment.size(), 2U);
  for (const ExecVariable& variable : spec.environment) {
    EXPECT_EQ(variable.secret, variable.name == "TOKEN");
    EXPECT_EQ(variable.value, variable.secret ? "tok-1" : "C.UTF-8");
  }
  EXPECT_EQ(spec.umask, "027");
  EXPECT_TRUE(spec.deduplicates);
  EXPECT_EQ(spec.remembers, Duration{24 * 3'600'000});
  EXPECT_EQ(spec.timeout, Duration{20'000});
  EXPECT_EQ(spec.grace, Duration{5'000});
  EXPECT_EQ(spec.output_bytes_max, 4096U);
  EXPECT_EQ(spec.exit.acknowledged, (std::vector<int>{0, 10}));
  EXPECT_EQ(spec.exit.rejected, std::vector<int>{2});
  EXPECT_EQ(spec.exit.retryable, std::vector<int>{75});
  EXPECT_EQ(spec.exit.unknown, std::vector<int>{1});
}

TEST(ConfigExec, V10_commands_are_off_until_they_are_allowed) {
  const std::string off = faults_of("", false);
  EXPECT_NE(off.find("t.toml:2:8: target.jobs.kind: \"exec\" runs commands on this machine, which "
                     "is off; allow_exec = true at the top of the file, or --allow-exec"),
            std::string::npos)
      << off;
  EXPECT_NE(faults_of("", false, "allow_exec = false\n"), "");
  EXPECT_EQ(faults_of("", false, "allow_exec = true\n"), "");
  EXPECT_EQ(faults_of("", true), "");
}

TEST(ConfigExec, V10_faults_have_their_place_and_say_what_is_meant) {
  const std::pair<std::string, std::string> wrong[] = {
      {"directory = \"work\"\n", "t.toml:3:13: target.jobs.directory: is not absolute"},
      {"exit = { rejected = [0] }\n", "t.toml:3:21: target.jobs.exit.rejected: 0 is not no"},
      {"exit = { rejected = [\"2\"] }\n", "expected a list of whole numbers from 0 to 255"},
      {"exit = { refused = [2] }\n", "unknown key 'target.jobs.exit.refused'"},
      {"env = { A = 1 }\n", "expected a text"},
      {"timeout = \"10m\"\n", "10m is longer than effect_timeout, 30s"},
      {"paht = []\n", "did you mean 'path'?"},
      {"[target.jobs.serving]\nurl = \"https://x\"\n", "unknown key 'target.jobs.serving'"},
  };
  for (const auto& [lines, expected] : wrong) {
    EXPECT_NE(faults_of(lines).find(expected), std::string::npos) << lines << faults_of(lines);
  }
}

}  // namespace
}  // namespace trued::config
