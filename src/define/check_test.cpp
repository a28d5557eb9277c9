#include "define/check.h"

#include <string>

#include <gtest/gtest.h>

#include "define/call_fake_test.h"
#include "target/spec.h"

namespace trued::define {
namespace {

class Check : public testing::Test {
 protected:
  Check() { targets.emplace("psp", make_call_target("psp", "http", calls, Policy{})); }

  std::string wrong(std::string_view text) {
    return lines_of(
        check_definition(*defined("charge", text),
                         {.targets = targets, .definitions = others, .remembers = remembers}));
  }

  std::shared_ptr<FakeCalls> calls = std::make_shared<FakeCalls>();
  Targets targets;
  Definitions others;
  std::function<std::optional<Duration>(const std::string&)> remembers;
};

TEST_F(Check, T11_a_sound_definition_has_no_fault) { EXPECT_EQ(wrong(kCharge), ""); }

TEST_F(Check, T11_targets_must_be_there) {
  EXPECT_EQ(wrong(R"({"effect":{"target":"pps","method":"POST"},
              "probe":{"read":{"target":"dcos","path":"/"},"happened":{"absent":true}}})"),
            "/effect/target: there is no target 'pps'; did you mean 'psp'?\n"
            "/probe/read/target: there is no target 'dcos'; known here: psp\n");
}

TEST_F(Check, T11_calls_are_checked_by_their_target) {
  EXPECT_EQ(wrong(R"({"effect":{"target":"psp","path":"/"},
              "artifact":[{"name":"a","read":{"method":"GET"},"expect":{"absent":true}}]})"),
            "/effect/method: is missing\n/artifact/0/read/path: is missing\n");
  EXPECT_NE(wrong(R"({"effect":{"target":"psp"},"artifact":[{"path":"a","content":""}]})")
                .find("/effect: the target 'psp' (http) carries calls"),
            std::string::npos);
}

TEST_F(Check, T11_V10_where_a_request_goes_is_not_for_an_input_to_say) {
  const auto call = [&](const std::string& where) {
    return wrong(R"({"effect":{"target":"psp","method":"POST",)" + where + "}}");
  };
  for (const char* where :
       {R"("path":"${input.p}")", R"("url":"${input.p}")", R"("url":"https://${input.host}/a")",
        R"("url":"https://a${input.b}")"}) {
    EXPECT_NE(call(where).find("begins with what an input says"), std::string::npos) << where;
  }
  EXPECT_EQ(call(R"("path":"/a/${input.p}")"), "");
  EXPECT_EQ(call(R"("url":"https://a/${input.p}")"), "");
  EXPECT_NE(wrong(R"({"effect":{"target":"psp","method":"POST"},
    "artifact":[{"name":"a","read":{"path":"${input.p}"},"expect":{"absent":true}}]})")
                .find("/artifact/0/read/path: begins with what an input says"),
            std::string::npos);
  calls->hands_on = true;
  EXPECT_EQ(call(R"("path":"${input.p}")"), "") << "a worker is sent nowhere";
}

TEST_F(Check, T11_compensation_fits_what_it_names) {
  const std::string base = R"({"effect":{"target":"psp","method":"POST"},"compensate":)";
  EXPECT_NE(wrong(base + R"({"operation":"refnd","input":{}}})").find("no operation 'refnd'"),
            std::string::npos);
  others["refund"] = defined("refund", R"({"effect":{"target":"psp","method":"POST"},
    "input":{"properties":{"charge":{},"why":{}},"required":["charge"]}})");
  EXPECT_EQ(wrong(base + R"({"operation":"refund","input":{"charge":"${result.id}"}}})"), "");
  EXPECT_EQ(wrong(base + R"({"operation":"refund","input":{"carge":"${result.id}"}}})"),
            "/compensate/input/carge: 'refund' takes no such input: the schema of the input "
            "declares no 'carge'; did you mean 'charge'?\n"
            "/compensate/input: lacks 'charge', which 'refund' needs\n");
  EXPECT_NE(wrong(base + R"({"operation":"charge","input":{}}})").find("cannot undo itself"),
            std::string::npos);
}

TEST_F(Check, T4_retries_end_before_anybody_forgets_the_key) {
  const std::string base = R"({"effect":{"target":"psp","method":"POST"},"deadline":"2h",)";
  EXPECT_EQ(wrong(base + R"("retention":"24h"})"), "");
  EXPECT_EQ(wrong(base + R"("retention":"1h"})"),
            "/retention: retention 1h is shorter than an operation may take: deadline 2h + twice "
            "effect_timeout 1m + reading back 5s = 7265s; a retry near its end would meet a key "
            "that is forgotten\n");
  remembers = [](const std::string& target) {
    return target == "psp" ? std::optional(Duration{3'600'000}) : std::nullopt;
  };
  EXPECT_EQ(wrong(base + R"("retention":"24h"})"),
            "/deadline: the target remembers a key for 1h, and an attempt may come later: "
            "deadline 2h + timeout 30s + reading back 5s = 7235s (with up to 5 attempts, at most "
            "10s apart); a late one would be carried out a second time\n");
  remembers = [](const std::string&) { return std::optional(Duration{0}); };
  EXPECT_EQ(wrong(base + R"("retention":"24h"})"), "") << "no time at all is not said";
  remembers = [](const std::string&) { return std::optional(Duration{3'600'000}); };
  EXPECT_EQ(wrong(base + R"("retention":"24h","idempotent":true})"), "")
      << "a repeat is harmless whatever it remembers";
  EXPECT_EQ(wrong(R"({"effect":{"target":"psp","method":"POST"},"deadline":"50m"})"), "");
}

TEST_F(Check, T4_a_level_that_nothing_reads_takes_no_time) {
  targets.clear();
  targets.emplace("psp", make_call_target("psp", "http", calls, default_policy("http")));
  const std::string sound = R"("deadline":"2h","retention":"7275s","unreadable":{"within":"2s"}})";
  EXPECT_EQ(wrong(R"({"effect":{"target":"psp","method":"POST"},)" + sound), "");
  const std::string late = wrong(R"({"effect":{"target":"psp","method":"POST"},
    "artifact":[{"name":"a","read":{"path":"/a"},"serving":{"path":"/s"},
      "expect":{"absent":true}}],)" +
                                 sound);
  EXPECT_NE(late.find("reading back 30s"), std::string::npos) << late;
}

TEST_F(Check, T11_what_came_to_be_malformed_is_refused_before_it_is_accepted) {
  const auto refused = [&](const std::shared_ptr<const Definition>& definition,
                           std::string_view input) {
    const auto intended = definition->intend(json_of(input), {.scope = "", .key = "k"});
    EXPECT_TRUE(intended.has_value());
    return lines_of(check_intended(*definition, *intended, targets));
  };
  const auto call =
      defined("pay", R"({"effect":{"target":"psp","method":"${input.m}"},"idempotent":false})");
  EXPECT_EQ(refused(call, R"({"m":"POST"})"), "");
  EXPECT_EQ(refused(call, R"({"m":""})"),
            ": the effect, filled in, is refused: /method: is empty\n");
  const auto header = defined("tell", R"({"effect":{"target":"psp","method":"POST",
    "path":"/a/${input.p}","headers":{"X":"${input.x}"}},"idempotent":false})");
  EXPECT_EQ(refused(header, R"({"p":"a/b","x":"1"})"), "");
  EXPECT_EQ(refused(header, R"({"p":"..","x":"1"})").substr(0, 4), "/p: ");
  EXPECT_EQ(refused(header, R"({"p":"a","x":"1\r\nHost: evil"})"),
            "/x: 'input.x' holds a control character, which cannot stand in a header (used in "
            "effect)\n");
  targets.emplace(
      "docs", make_target("docs", "file", std::make_unique<FakeStore>(), nullptr, "", Policy{}));
  const auto put = defined("put", R"({"effect":{"target":"docs"},"artifact":[
    {"path":"${input.a}","content":"x"},{"path":"${input.b}","content":"y"}]})");
  EXPECT_EQ(refused(put, R"({"a":"x","b":"y"})"), "");
  EXPECT_NE(refused(put, R"({"a":"../x","b":"y"})").find("'../x': the path has a segment '..'"),
            std::string::npos);
  EXPECT_NE(refused(put, R"({"a":"x","b":"x/y"})").find("cannot be a file and hold"),
            std::string::npos);
  targets.clear();
  EXPECT_NE(refused(put, R"({"a":"x","b":"y"})"), "");
}

TEST_F(Check, T4_steps_that_cannot_be_taken_are_refused) {
  const std::string base = R"({"effect":{"target":"psp","method":"POST"},"on_unknown":)";
  EXPECT_NE(wrong(base + R"(["probe","person"]})").find("there is nothing to probe"),
            std::string::npos);
  EXPECT_EQ(wrong(base + R"(["repeat","person"]})"), "");
  calls->can.deduplicates = false;
  EXPECT_NE(wrong(base + R"(["repeat","person"]})").find("never safe here"), std::string::npos);
  EXPECT_EQ(wrong(base + R"(["repeat","person"],"idempotent":true})"), "");
}

TEST_F(Check, T2_a_call_that_sends_no_key_is_deduplicated_by_nobody) {
  const std::string base =
      R"({"effect":{"target":"psp","method":"POST","idempotency_header":null})";
  const auto deduplicates = [&](const std::string& text) {
    return policy_of(*defined("charge", text), targets).capabilities.deduplicates;
  };
  EXPECT_FALSE(deduplicates(base + "}"));
  EXPECT_NE(wrong(base + R"(,"on_unknown":["repeat","person"]})").find("never safe here"),
            std::string::npos);
  EXPECT_EQ(wrong(base + R"(,"on_unknown":["repeat","person"],"idempotent":true})"), "");
  EXPECT_TRUE(deduplicates(
      R"({"effect":{"target":"psp","method":"POST","idempotency_header":"X-Request-Id"}})"));
  calls->hands_on = true;
  EXPECT_TRUE(deduplicates(base + "}")) << "a worker is told the identity whatever the call holds";
}

TEST_F(Check, T11_pauses_do_not_begin_beyond_their_cap) {
  EXPECT_NE(wrong(R"({"effect":{"target":"psp","method":"POST"},
              "retry":{"first":"9s","cap":"1s"}})")
                .find("/retry: first, 9s, is longer than cap, 1s"),
            std::string::npos);
}

}  // namespace
}  // namespace trued::define
