#include "config/config.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "config/rules.h"

namespace trued::config {
namespace {

Rules any_serving() {
  return {.serving = [](const ServingSpec& spec) {
    return spec.url.starts_with("http") ? std::string() : "'" + spec.url + "' is no URL";
  }};
}

// Every fault of the text, one a line.
std::string faults_of(const std::string& text) {
  std::string out;
  for (const Fault& fault : parse(text, "t.toml", any_serving()).faults) {
    out += to_string(fault) + "\n";
  }
  return out;
}

std::string git_with(const std::string& lines) {
  return "[target.docs]\nkind = \"git\"\nrepository = \"/srv/content.git\"\n" + lines;
}

TEST(Config, a_sound_file_has_no_fault) {
  EXPECT_EQ(faults_of(git_with("branch = \"release/1.2\"\n"
                               "[target.docs.serving]\nurl = \"https://d/${artifact.path}\"\n")),
            "");
}

TEST(Config, T8_who_looks_after_a_target_is_read) {
  const Loaded loaded =
      parse(git_with("owner = \"content team\"\ndecide_within = \"4h\"\npoison_after = 5\n"),
            "t.toml", any_serving());
  ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
  const Care& care = care_of(loaded.config.cares, "docs");
  EXPECT_EQ(care.owner, "content team");
  EXPECT_EQ(care.decide_within, Duration{4 * 3'600'000});
  EXPECT_EQ(care.poison_after, 5U);
  const Care& other = care_of(loaded.config.cares, "not there");
  EXPECT_EQ(other.owner, "operators");
  EXPECT_EQ(other.decide_within, Duration{24 * 3'600'000});
  EXPECT_EQ(other.poison_after, 3U);
  EXPECT_EQ(faults_of(git_with("owner = \"\"\n")),
            "t.toml:4:9: target.docs.owner: expected who decides here, in 1 to 200 bytes of one "
            "line\n");
  EXPECT_EQ(faults_of(git_with("decide_within = \"0s\"\n")),
            "t.toml:4:17: target.docs.decide_within: expected more than nothing, such as \"4h\"\n");
  EXPECT_NE(faults_of(git_with("poison_after = 1\n")), "");
  EXPECT_NE(faults_of(git_with("owner = 5\n")), "");
}

TEST(Config, T5_the_gates_of_a_target_are_read) {
  const Loaded loaded = parse(
      git_with("budget = { ratio = 0.25, floor_per_second = 3 }\n"
               "breaker = { consecutive = 7, rate = 0.4, minimum = 12, window = \"20s\", open = "
               "\"2s\", open_max = \"1m\" }\n"
               "limits = { concurrency = 4, per_second = 50, burst = 100 }\n"),
      "t.toml", any_serving());
  ASSERT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
  const GatePolicy& gates = loaded.config.targets.at(0).policy.gates;
  EXPECT_EQ(gates.budget.ratio_permille, 250U);
  EXPECT_EQ(gates.budget.floor_per_second, 3U);
  EXPECT_EQ(gates.breaker.consecutive, 7U);
  EXPECT_EQ(gates.breaker.rate_permille, 400U);
  EXPECT_EQ(gates.breaker.minimum, 12U);
  EXPECT_EQ(gates.breaker.window, Duration{20'000});
  EXPECT_EQ(gates.breaker.open, Duration{2'000});
  EXPECT_EQ(gates.breaker.open_max, Duration{60'000});
  EXPECT_EQ(gates.concurrency, 4U);
  EXPECT_EQ(gates.rate.per_second, 50U);
  EXPECT_EQ(gates.rate.burst, 100U);
}

TEST(Config, T5_gates_can_be_left_out_and_switched_off) {
  const Loaded plain = parse(git_with(""), "t.toml", any_serving());
  EXPECT_TRUE(plain.config.targets.at(0).policy.gates.breaker.enabled);
  EXPECT_TRUE(plain.config.targets.at(0).policy.gates.budget.enabled);
  EXPECT_EQ(plain.config.targets.at(0).policy.gates.rate.per_second, 0U);
  const Loaded off = parse(git_with("breaker = false\nbudget = false\n"), "t.toml", any_serving());
  ASSERT_TRUE(off.faults.empty());
  EXPECT_FALSE(off.config.targets.at(0).policy.gates.breaker.enabled);
  EXPECT_FALSE(off.config.targets.at(0).policy.gates.budget.enabled);
}

TEST(Config, T5_gates_that_cannot_work_are_faults_with_their_place) {
  const std::pair<const char*, const char*> kFaults[] = {
      {"breaker = true", "t.toml:4:11: target.docs.breaker: expected a table, or false for none"},
      {"breaker = { rate = 1.5 }", "target.docs.breaker.rate: expected a number from 0 to 1"},
      {"breaker = { rate = nan }", "target.docs.breaker.rate: expected a number from 0 to 1"},
      {"breaker = { rate = \"half\" }", "target.docs.breaker.rate: expected a number from 0 to 1"},
      {"breaker = { rate = 0 }", "target.docs.breaker.rate: 0 would open the breaker"},
      {"breaker = { consecutive = 0 }", "expected a whole number from 1 to 1000"},
      {"breaker = { consecutiv = 2 }", "did you mean 'consecutive'?"},
      {"breaker = { open = \"10m\" }", "target.docs.breaker.open: 10m is longer than open_max, 5m"},
      {"breaker = { open = \"0s\" }", "target.docs.breaker.open: is no time"},
      {"breaker = { window = \"5ms\" }", "target.docs.breaker.window: 5ms is too short"},
      {"budget = { ratio = -0.1 }", "target.docs.budget.ratio: expected a number from 0 to 1"},
      {"limits = { concurrency = 0 }", "target.docs.limits.concurrency: expected a whole number"},
      {"limits = { burst = 5 }", "target.docs.limits.burst: means nothing without per_second"},
      {"limits = false", "target.docs.limits: expected a table"},
  };
  for (const auto& [line, fault] : kFaults) {
    const std::string text = faults_of(git_with(std::string(line) + "\n"));
    EXPECT_NE(text.find(fault), text.npos) << line << "\n" << text;
  }
}

TEST(Config, listening_elsewhere_without_a_token_is_a_fault_of_the_file) {
  const std::string text = faults_of("listen = \"0.0.0.0:7117\"\n");
  EXPECT_NE(text.find("t.toml:1:10: listen: refusing to listen at 0.0.0.0"), text.npos) << text;
  ::setenv("TRUED_CONFIG_TEST", "sixteen-bytes-or-more", 1);
  EXPECT_EQ(faults_of("listen = \"0.0.0.0:7117\"\n[token.ci]\n"
                      "secret = \"${env:TRUED_CONFIG_TEST}\"\n"),
            "");
}

TEST(Config, an_empty_secret_lets_nobody_in) {
  ::setenv("TRUED_CONFIG_TEST", "", 1);
  EXPECT_NE(faults_of("[token.ci]\nsecret = \"${env:TRUED_CONFIG_TEST}\"\n"), "");
  EXPECT_NE(faults_of("[token.ci]\nsecret = \"\"\n"), "");
}

TEST(Config, branches_follow_the_rules_of_git) {
  for (const char* name : {"main", "feature/x-1", "v1.2", "a@b", "-"}) {
    EXPECT_EQ(wrong_with_branch(name).empty(), name[0] != '-') << name;
  }
  for (const char* name :
       {"",  "a..b", "a b", "/a", "a/",  "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.",
        "@", "a@{b", "a~1", "a^", "a:b", "a?",   "a*", "a[",   "a\\b",   "a\x01",    "-a"}) {
    EXPECT_NE(wrong_with_branch(name), "") << name;
  }
  const std::string text = faults_of(git_with("branch = \"a..b\"\n"));
  EXPECT_NE(text.find("t.toml:4:10: target.docs.branch: 'a..b' is no name"), text.npos) << text;
}

TEST(Config, repositories_of_other_schemes_are_refused) {
  for (const char* scheme : {"ssh://h/x", "git://h/x", "ftp://h/x", "https://", "http://u:p@h/x"}) {
    const std::string text =
        faults_of("[target.d]\nkind = \"git\"\nrepository = \"" + std::string(scheme) + "\"\n");
    EXPECT_NE(text.find("target.d.repository: "), text.npos) << scheme << text;
  }
}

TEST(Config, credentials_come_whole_and_only_for_urls) {
  EXPECT_NE(faults_of(git_with("username = \"u\"\n")).find("credentials are for"),
            std::string::npos);
  EXPECT_NE(faults_of("[target.d]\nkind = \"git\"\nrepository = \"https://h/r\"\n"
                      "username = \"u\"\n")
                .find("add password"),
            std::string::npos);
  ::setenv("TRUED_CONFIG_TEST", "secret", 1);
  EXPECT_NE(faults_of(git_with("bearer_token = \"${env:TRUED_CONFIG_TEST}\"\n"))
                .find("target.docs.bearer_token: credentials are for"),
            std::string::npos);
}

TEST(Config, pauses_do_not_begin_beyond_their_cap) {
  for (const char* table : {"retry", "settle", "unreadable"}) {
    const std::string text =
        faults_of(git_with(std::string(table) + " = { first = \"2m\", cap = \"1s\" }\n"));
    EXPECT_NE(text.find("first: 2m is longer than cap, 1s"), text.npos) << text;
  }
}

TEST(Config, the_serving_level_is_held_to_the_rule_of_its_reader) {
  const std::string text = faults_of(git_with("[target.docs.serving]\nurl = \"ftp://d/\"\n"));
  EXPECT_NE(text.find("t.toml:5:7: target.docs.serving.url: 'ftp://d/' is no URL"), text.npos)
      << text;
}

TEST(Config, two_targets_of_one_place_are_refused) {
  const std::string text = faults_of(
      "[target.a]\nkind = \"file\"\ndirectory = \"/srv/www\"\n"
      "[target.b]\nkind = \"file\"\ndirectory = \"/srv/x/../www/\"\n");
  EXPECT_NE(text.find("target.b.directory: is the same place as that of target 'a'"), text.npos)
      << text;
  const std::string urls = faults_of(
      "[target.a]\nkind = \"git\"\nrepository = \"https://Host/r.git\"\n"
      "[target.b]\nkind = \"git\"\nrepository = \"https://host/r/\"\n");
  EXPECT_NE(urls.find("same place"), urls.npos) << urls;
  EXPECT_EQ(faults_of("[target.a]\nkind = \"git\"\nrepository = \"/r.git\"\n"
                      "branch = \"a\"\n"
                      "[target.b]\nkind = \"git\"\nrepository = \"/r.git\"\nbranch = \"b\"\n"),
            "");
}

TEST(Config, a_branch_that_is_not_named_may_be_any) {
  Config config;
  for (const char* name : {"a", "b"}) {
    TargetSpec spec;
    spec.name = name;
    spec.kind = "git";
    spec.location = "/r.git";
    spec.branch = *name == 'a' ? "" : "b";
    config.targets.push_back(spec);
  }
  const auto wrong = wrong_with(config, any_serving());
  ASSERT_EQ(wrong.size(), 1U);
  EXPECT_NE(to_string(wrong.front()).find("unless both name their branch"), std::string::npos);
}

TEST(Config, S2_a_token_may_be_for_some_tenants_and_some_actions) {
  ::setenv("TRUED_CONFIG_TEST", "sixteen-bytes-or-more", 1);
  const std::string head = "[token.ci]\nsecret = \"${env:TRUED_CONFIG_TEST}\"\n";
  const auto rights_of = [&](const std::string& more) {
    const Loaded loaded = parse(head + more, "t.toml", any_serving());
    EXPECT_TRUE(loaded.faults.empty()) << to_string(loaded.faults.front());
    return loaded.config.tokens.at(0).rights;
  };
  EXPECT_TRUE(rights_of("").everywhere());
  EXPECT_TRUE(rights_of("").may(Action::resolve));
  const Rights some = rights_of("scopes = [\"b\", \"a\", \"b\"]\nactions = [\"read\"]\n");
  EXPECT_EQ(some.scopes, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(some.may(Action::read));
  EXPECT_FALSE(some.may(Action::submit));
  EXPECT_FALSE(some.may(Action::resolve));
  EXPECT_FALSE(some.covers("default"));
  EXPECT_NE(faults_of(head + "scopes = []\n").find("names no scope"), std::string::npos);
  EXPECT_NE(faults_of(head + "scopes = [\"a b\"]\n").find("'a b' is no scope"), std::string::npos);
  EXPECT_NE(faults_of(head + "actions = []\n").find("names no action"), std::string::npos);
  EXPECT_NE(faults_of(head + "actions = [\"write\"]\n").find("no action 'write'"),
            std::string::npos);
}

TEST(Config, S2_two_tokens_with_one_secret_are_refused) {
  ::setenv("TRUED_CONFIG_TEST", "sixteen-bytes-or-more", 1);
  const std::string secret = "secret = \"${env:TRUED_CONFIG_TEST}\"\n";
  EXPECT_NE(faults_of("[token.a]\n" + secret + "[token.b]\n" + secret)
                .find("token.b.secret: is that of token 'a'"),
            std::string::npos);
}

TEST(Config, a_directory_is_no_configuration_and_said_to_be_one) {
  const Loaded loaded = load(std::filesystem::temp_directory_path().string(), any_serving());
  ASSERT_EQ(loaded.faults.size(), 1U);
  EXPECT_NE(to_string(loaded.faults.front()).find("is a directory"), std::string::npos);
}

TEST(Config, an_endpoint_says_what_is_wrong_with_it) {
  EXPECT_EQ(parse_endpoint("[::1]:80")->address, "::1");
  const auto wrong = [](const char* text) { return parse_endpoint(text).error().message; };
  EXPECT_NE(wrong("127.0.0.1:99999").find("port 99999 is out of range"), std::string::npos);
  EXPECT_NE(wrong("127.0.0.1").find("no port"), std::string::npos);
  EXPECT_NE(wrong("h:http").find("'http' is no port"), std::string::npos);
}

}  // namespace
}  // namespace trued::config
