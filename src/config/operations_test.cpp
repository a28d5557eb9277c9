#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "config/config.h"

namespace trued::config {
namespace {

constexpr const char* kCharge = R"(
[operation.charge]
description = "Take money, once"
identity = ["user", "cart"]
scope = "${input.tenant}"
effect = { target = "psp", method = "POST", path = "/v1", json = { amount = "${input.amount}" } }
retry = { attempts_max = 5, first = "1s", factor = 2, cap = "8s" }
deadline = "15m"
retention = "24h"
on_failure = "replay"
priority = "critical"
on_unknown = ["read_back", "probe", "repeat", "person"]
requires = [{ read = { path = "/users/${input.user}" }, expect = { json = { active = true } } }]

[operation.charge.input]
type = "object"
required = ["tenant", "user", "cart", "amount"]
additionalProperties = false
[operation.charge.input.properties]
tenant = { type = "string" }
user = { type = "string" }
cart = { type = "string" }
amount = { type = "integer", minimum = 1 }

[operation.charge.probe]
read = { path = "/v1/charges?key=${operation.identity}" }
happened = { json = { status = "succeeded" } }
did_not = { absent = true }

[[operation.charge.artifact]]
name = "charge"
read = { path = "/v1/charges?key=${operation.identity}" }
expect = { json = { amount = "${input.amount}", status = "succeeded" } }

[operation.charge.compensate]
operation = "refund"
input = { charge = "${result.id}" }
)";

// Every fault of the text, one a line.
std::string faults_of(const std::string& text, const Rules& rules = {}) {
  std::string out;
  for (const Fault& fault : parse(text, "t.toml", rules).faults) out += to_string(fault) + "\n";
  return out;
}

// kCharge with its first `from` as `to`.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = kCharge;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return faults_of(text.replace(at, from.size(), to));
}

TEST(Operations, T11_a_sound_definition_is_read_as_a_whole) {
  const Loaded loaded = parse(kCharge, "t.toml", {});
  ASSERT_EQ(faults_of(kCharge), "");
  const auto& charge = *loaded.config.operations.at("charge");
  EXPECT_EQ(charge.priority, Priority::critical);
  EXPECT_EQ(charge.bounds.attempts_max, 5U);
  EXPECT_EQ(charge.bounds.retry_cap, Duration{8'000});
  EXPECT_EQ(charge.identity.size(), 2U);
  EXPECT_EQ(charge.artifacts.size(), 1U);
  EXPECT_TRUE(charge.probe && charge.probe->did_not && charge.compensate);
}

TEST(Operations, T11_every_fault_has_its_place) {
  EXPECT_EQ(changed("amount = \"${input.amount}\" } }", "amount = \"${input.amuont}\" } }"),
            "t.toml:6:77: operation.charge.effect.json.amount: '${input.amuont}' cannot exist: the "
            "schema of the input declares no 'amuont'; did you mean 'amount'?\n");
  EXPECT_EQ(changed("deadline =", "dealine ="),
            "t.toml:8:11: operation.charge.dealine: unknown key 'dealine'; did you mean "
            "'deadline'?\n");
  EXPECT_EQ(changed("\"8s\"", "8"),
            "t.toml:7:61: operation.charge.retry.cap: expected a duration such as \"250ms\" or "
            "\"24h\", seen 8\n");
  EXPECT_EQ(changed("\"replay\"", "\"reply\""),
            "t.toml:10:14: operation.charge.on_failure: expected one of \"replay\", \"reexecute\", "
            "\"poison\", seen \"reply\"\n");
  EXPECT_EQ(changed("minimum = 1", "minumum = 1").substr(0, 91),
            "t.toml:23:40: operation.charge.input.properties.amount.minumum: 'minumum' is no "
            "keyword tha");
  EXPECT_EQ(changed("did_not = { absent = true }", "did_not = { absent = 1 }"),
            "t.toml:28:22: operation.charge.probe.did_not.absent: expected true\n");
}

TEST(Operations, T11_what_is_missing_is_missing_from_what_is_around_it) {
  EXPECT_EQ(changed("name = \"charge\"", "nmae = \"charge\""),
            "t.toml:30:1: operation.charge.artifact.0.name: is missing: what people call it\n"
            "t.toml:31:8: operation.charge.artifact.0.nmae: unknown key 'nmae'; did you mean "
            "'name'?\n");
  EXPECT_EQ(faults_of("[operation.x]\n"),
            "t.toml:1:1: operation.x.effect: is missing: { target = \"NAME\", … }, what the "
            "operation does\n");
}

TEST(Operations, T11_values_that_json_has_not_are_refused) {
  const std::string base = "[operation.x]\neffect = { target = \"t\", method = \"P\", v = ";
  EXPECT_EQ(faults_of(base + "9007199254740993 }\n"),
            "t.toml:2:44: operation.x.effect.v: is beyond 2^53, which JSON cannot carry exactly; "
            "use a text\n");
  EXPECT_NE(faults_of(base + "1e17 }\n"), "");
  EXPECT_NE(faults_of(base + "inf }\n"), "");
  EXPECT_NE(faults_of(base + "2026-01-01 }\n").find("put it into quotes"), std::string::npos);
  EXPECT_EQ(faults_of(base + "[1, 1.5, true, \"\", 1e21] }\n"), "");
  EXPECT_NE(faults_of("operation.x = 1\n"), "");
  EXPECT_NE(faults_of("[operation.write]\neffect = { target = \"t\", method = \"P\" }\n"), "");
}

TEST(Operations, T11_what_only_the_surroundings_show_has_its_place_too) {
  const Rules rules{.operations = [](const Config& config) {
    EXPECT_EQ(config.operations.size(), 1U);
    return std::map<std::string, define::Faults>{
        {"charge", {{"/probe/read/target", "there is no target 'psp'"}, {"/nowhere", "x"}}}};
  }};
  EXPECT_EQ(faults_of(kCharge, rules),
            "t.toml:26:8: operation.charge.probe.read.target: there is no target 'psp'\n"
            "t.toml:2:1: operation.charge.nowhere: x\n");
}

TEST(Operations, T11_one_unsound_definition_hides_nothing_of_the_others) {
  const Rules rules{.operations = [](const Config& config) {
    EXPECT_EQ(config.operations.size(), 1U);
    return std::map<std::string, define::Faults>{
        {"charge", {{"/probe/read/target", "there is no target 'psp'"}, {"/compensate", "x"}}}};
  }};
  const std::string unsound = "[operation.other]\neffect = 1\n";
  const std::string with_other = faults_of(kCharge + unsound, rules);
  EXPECT_NE(with_other.find("operation.other.effect: "), std::string::npos) << with_other;
  EXPECT_NE(with_other.find("there is no target 'psp'"), std::string::npos) << with_other;
  EXPECT_NE(with_other.find("operation.charge.compensate: x"), std::string::npos) << with_other;
  // What names the unsound one cannot be judged yet.
  const std::string with_refund =
      faults_of(std::string(kCharge) + "[operation.refund]\neffect = 1\n", rules);
  EXPECT_EQ(with_refund.find("operation.charge.compensate"), std::string::npos) << with_refund;
}

// The examples of the reference are what they say they are.
TEST(Operations, T11_the_examples_of_the_reference_are_sound) {
  std::ifstream file(TRUED_SOURCE_DIR "/docs/definitions.md");
  std::stringstream content;
  content << file.rdbuf();
  const std::string page = content.str();
  constexpr std::string_view kFence = "```toml\n";
  std::size_t found = 0;
  for (std::size_t at = page.find(kFence); at != std::string::npos; at = page.find(kFence, at)) {
    at += kFence.size();
    const std::size_t end = page.find("```", at);
    const std::string example = page.substr(at, end - at);
    at = end + 3;
    if (!example.starts_with("[operation.")) continue;
    EXPECT_EQ(faults_of(example), "") << example;
    ++found;
  }
  EXPECT_EQ(found, 2U);
}

}  // namespace
}  // namespace trued::config
