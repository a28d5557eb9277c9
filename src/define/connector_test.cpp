#include "define/connector.h"

#include <string>

#include <gtest/gtest.h>

#include "define/call_fake_test.h"
#include "target/compare.h"

namespace trued::define {
namespace {

class Connectors : public testing::Test {
 protected:
  Connectors() {
    targets.emplace("psp", make_call_target("psp", "http", calls, Policy{}));
    auto owned = std::make_unique<FakeStore>();
    store = owned.get();
    targets.emplace("docs", make_target("docs", "file", std::move(owned), nullptr, "", Policy{}));
  }

  void use(std::string_view text, const std::string& name = "charge") {
    definition = defined(name, text);
    EXPECT_EQ(lines_of(check_definition(*definition, {.targets = targets, .definitions = {}})), "");
    auto made = make_defined_target(definition, targets, status_of);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    target = std::move(*made);
  }

  void submit(std::string_view input) {
    auto intended = definition->intend(json_of(input), {.scope = "", .key = {}});
    ASSERT_TRUE(intended.has_value()) << lines_of(intended.error());
    who = intended->identity;
    intent = intended->intent;
  }

  EffectResult perform(AttemptNo attempt = AttemptNo(1)) {
    return target.store->perform({.operation = id,
                                  .attempt = attempt,
                                  .identity = effect_identity(who),
                                  .key = who.key,
                                  .scope = who.scope,
                                  .actor = "ci",
                                  .intent = intent,
                                  .since = "",
                                  .reported = ""});
  }

  RawRead read(const std::string& result, Reader* from = nullptr) {
    auto reads = (from == nullptr ? target.store.get() : from)
                     ->read({.intent = intent,
                             .artifacts = {0},
                             .operation = id,
                             .identity = effect_identity(who),
                             .result = result,
                             .key = who.key,
                             .scope = who.scope});
    EXPECT_EQ(reads.size(), 1U);
    return reads.at(0);
  }

  History history(const std::string& result = "") {
    return target.store->history({.operation = id,
                                  .intent = intent,
                                  .since = "",
                                  .reported = "",
                                  .identity = effect_identity(who),
                                  .result = result,
                                  .key = who.key,
                                  .scope = who.scope});
  }

  std::shared_ptr<FakeCalls> calls = std::make_shared<FakeCalls>();
  FakeStore* store = nullptr;
  Targets targets;
  StatusOf status_of;
  std::shared_ptr<const Definition> definition;
  Target target;
  Identity who;
  std::shared_ptr<const Intent> intent;
  OperationId id;
};

constexpr const char* kInput = R"({"user":"u1","cart":"c 7","amount":1200})";

TEST_F(Connectors, T3_an_effect_is_sent_filled_in_and_under_its_identity) {
  use(kCharge);
  submit(kInput);
  calls->answers["/users/u1"] = read_found(R"({"active":true,"name":"x"})", "");
  const EffectResult result = perform(AttemptNo(2));
  EXPECT_EQ(result.ended.kind, EffectKind::acknowledged) << result.ended.reason;
  ASSERT_EQ(calls->performed.size(), 1U);
  EXPECT_EQ(calls->performed[0], R"({"json":{"amount":1200,"note":"cart c 7","try":2},)"
                                 R"("method":"POST","path":"/v1/charges"})");
  EXPECT_EQ(calls->contexts[0].identity, effect_identity(who));
  EXPECT_EQ(calls->contexts[0].actor, "ci");
  EXPECT_EQ(calls->contexts[0].attempt, AttemptNo(2));
  EXPECT_TRUE(calls->contexts[0].traceparent.starts_with("00-" + effect_identity(who) + "-"));
  EXPECT_GT(calls->contexts[0].timeout.count(), 0);
  EXPECT_EQ(target.name, "psp");
  EXPECT_EQ(target.kind, "http");
}

TEST_F(Connectors, T5_what_is_read_at_another_target_is_marked_as_such) {
  const std::string text = R"({"input":{"type":"object","properties":{"n":{"type":"string"}},
      "required":["n"]},"identity":["n"],
      "effect":{"target":"psp","method":"POST","path":"/v1/mails"},
      "artifact":[{"name":"mail","read":{"target":"AT","path":"/mails/${input.n}"},
                    "expect":{"json":{"n":"${input.n}"}}}]})";
  targets.emplace("db", make_call_target("db", "http", calls, Policy{}));
  for (const bool elsewhere : {false, true}) {
    std::string here = text;
    here.replace(here.find("AT"), 2, elsewhere ? "db" : "psp");
    use(here, "mail");
    EXPECT_EQ(target.policy.reads_elsewhere, elsewhere);
    submit(R"({"n":"7"})");
    calls->answers["/mails/7"] = read_found(R"({"n":"7"})", "");
    EXPECT_EQ(read("").elsewhere, elsewhere);
  }
}

TEST_F(Connectors, G1_a_stale_precondition_is_final_and_nothing_is_sent) {
  use(kCharge);
  submit(kInput);
  calls->answers["/users/u1"] = read_found(R"({"active":false})", "");
  EffectResult result = perform();
  EXPECT_EQ(result.ended.kind, EffectKind::rejected_final);
  EXPECT_EQ(result.ended.reason,
            "stale-state: requires/0: expected {\"active\":true}, seen /active: meant true, found "
            "false");
  calls->answers.clear();
  result = perform();
  EXPECT_EQ(result.ended.kind, EffectKind::rejected_final);
  EXPECT_EQ(result.ended.reason,
            "stale-state: requires/0: expected {\"active\":true}, seen nothing there");
  EXPECT_TRUE(calls->performed.empty());
}

TEST_F(Connectors, G1_a_precondition_that_cannot_be_read_sends_nothing) {
  use(kCharge);
  submit(kInput);
  calls->answers["/users/u1"] = read_unreadable("connection refused");
  const EffectResult result = perform();
  EXPECT_EQ(result.ended.kind, EffectKind::not_sent);
  EXPECT_EQ(result.ended.reason,
            "the precondition requires/0 cannot be checked: connection refused");
  EXPECT_TRUE(calls->performed.empty());
}

TEST_F(Connectors, G1_preconditions_are_looked_at_again_on_each_attempt) {
  use(kCharge);
  submit(kInput);
  calls->answers["/users/u1"] = read_found(R"({"active":true})", "");
  EXPECT_EQ(perform().ended.kind, EffectKind::acknowledged);
  calls->answers["/users/u1"] = read_found(R"({"active":false})", "");
  EXPECT_EQ(perform(AttemptNo(2)).ended.kind, EffectKind::rejected_final);
  EXPECT_EQ(calls->performed.size(), 1U);
}

TEST_F(Connectors, G1_the_state_of_another_operation_is_a_precondition) {
  Result<std::optional<Status>> status = std::optional<Status>();
  OperationRef asked;
  status_of = [&](const OperationRef& ref) {
    asked = ref;
    return status;
  };
  use(R"({"identity":["r"],"effect":{"target":"psp","method":"POST"},
    "requires":[{"operation":"write","key":"res-${input.r}","status":"confirmed"}]})");
  submit(R"({"r":7})");
  EXPECT_EQ(perform().ended.reason,
            "stale-state: requires/0: expected confirmed, seen no such operation");
  EXPECT_EQ(asked.identity, (Identity{.scope = "default", .type = "write", .key = "res-7"}));
  status = std::optional(Status::failed);
  EXPECT_EQ(perform().ended.kind, EffectKind::rejected_final);
  status = std::optional(Status::pending);
  EXPECT_EQ(perform().ended.kind, EffectKind::not_sent) << "it may yet be confirmed";
  status = Error{.message = "the ledger is busy"};
  EXPECT_EQ(perform().ended.kind, EffectKind::not_sent);
  EXPECT_TRUE(calls->performed.empty());
  status = std::optional(Status::confirmed);
  EXPECT_EQ(perform().ended.kind, EffectKind::acknowledged);
}

TEST_F(Connectors, T6_what_a_precondition_ends_says_nothing_of_the_target) {
  Result<std::optional<Status>> status = std::optional<Status>();
  status_of = [&](const OperationRef&) { return status; };
  use(R"({"identity":["r"],"effect":{"target":"psp","method":"POST"},
    "requires":[{"operation":"write","key":"res-${input.r}","status":"confirmed"}]})");
  submit(R"({"r":7})");
  EXPECT_FALSE(perform().asked) << "no such operation";
  status = std::optional(Status::pending);
  EXPECT_FALSE(perform().asked) << "it waits";
  status = Error{.message = "the ledger is busy"};
  EXPECT_FALSE(perform().asked);
  status = std::optional(Status::confirmed);
  EXPECT_TRUE(perform().asked);
}

TEST_F(Connectors, V3_a_read_that_needs_the_result_is_unreadable_without_it) {
  use(kCharge);
  submit(kInput);
  RawRead seen = read("");
  EXPECT_EQ(seen.seen, Seen::unreadable);
  EXPECT_EQ(seen.detail,
            "artifact/0/read: 'result.id' is not known: there is no result of the effect (yet)");
  EXPECT_EQ(read(R"({"other":1})").detail, "artifact/0/read: there is no 'result.id'");
  EXPECT_TRUE(calls->reads.empty()) << "nothing was asked of it";
  calls->answers["/v1/charges/ch%2F1"] = read_found(R"({"amount":1200,"status":"succeeded"})", "9");
  seen = read(R"({"id":"ch/1"})");
  EXPECT_EQ(seen.seen, Seen::found);
  const Observation observed = observe(intent->artifacts[0], 0, Level::store, seen, {});
  EXPECT_EQ(judge(intent->artifacts[0], observed), Verdict::match);
  EXPECT_EQ(read(R"({"id":"other"})").seen, Seen::absent);
}

TEST_F(Connectors, T4_history_is_known_only_if_the_probe_says_yes_or_no) {
  use(kCharge);
  submit(kInput);
  EXPECT_TRUE(target.policy.capabilities.probes);
  EXPECT_TRUE(target.policy.capabilities.history);
  const std::string path = "/find?key=" + effect_identity(who);
  History found = history();
  EXPECT_TRUE(found.known) << "absence is what did_not names";
  EXPECT_FALSE(found.ours_present);
  ASSERT_EQ(found.artifacts.size(), 1U);
  EXPECT_FALSE(found.artifacts[0].landed);
  calls->answers[path] = read_found(R"({"status":"succeeded"})", "7");
  found = history();
  EXPECT_TRUE(found.known && found.ours_present && found.artifacts[0].landed);
  EXPECT_EQ(found.our_version, "7");
  calls->answers[path] = read_found(R"({"status":"processing"})", "7");
  EXPECT_FALSE(history().known) << "neither";
  calls->answers[path] = read_unreadable("503");
  EXPECT_FALSE(history().known);
}

TEST_F(Connectors, T4_a_probe_that_says_both_says_nothing) {
  use(R"({"identity":["a"],"effect":{"target":"psp","method":"POST"},
    "probe":{"read":{"path":"/p"},"happened":{"json":{"a":1}},"did_not":{"json":{"b":1}}}})");
  submit(R"({"a":1})");
  calls->answers["/p"] = read_found(R"({"a":1,"b":1})", "");
  EXPECT_FALSE(history().known);
}

TEST_F(Connectors, T4_what_the_target_records_itself_is_asked_too) {
  calls->can.probes = true;
  use(R"({"identity":["a"],"effect":{"target":"psp","method":"POST"}})");
  submit(R"({"a":1})");
  EXPECT_TRUE(target.policy.capabilities.probes);
  EXPECT_FALSE(history().known);
  calls->probed = {
      .happened = Happened::yes, .version = "x", .result = R"({"id":1})", .detail = ""};
  EXPECT_TRUE(history().ours_present);
  EXPECT_EQ(history().result, R"({"id":1})");
  calls->probed.happened = Happened::no;
  EXPECT_TRUE(history().known);
  EXPECT_FALSE(history().ours_present);
}

// A refusal that a probe leaves behind covers the attempts up to the number that it was asked with.
TEST_F(Connectors, T5_a_probe_is_asked_for_the_newest_attempt) {
  calls->can.probes = true;
  calls->probed.happened = Happened::no;
  use(R"({"identity":["a"],"effect":{"target":"psp","method":"POST"}})");
  submit(R"({"a":1})");
  const History found = target.store->history({.operation = id,
                                               .intent = intent,
                                               .since = "",
                                               .reported = "",
                                               .identity = effect_identity(who),
                                               .attempt = AttemptNo(3)});
  EXPECT_TRUE(found.known);
  EXPECT_EQ(found.result, "") << "what did not happen was not answered";
  ASSERT_EQ(calls->contexts.size(), 1U);
  EXPECT_EQ(calls->contexts.front().attempt, AttemptNo(3));
  EXPECT_EQ(calls->contexts.front().identity, effect_identity(who));
}

TEST_F(Connectors, T4_capabilities_are_those_of_target_and_definition) {
  const auto can = [&](const std::string& members) {
    use(R"({"identity":["a"],"effect":{"target":"psp",)" + members + "}");
    return target.policy.capabilities;
  };
  EXPECT_FALSE(can(R"("method":"POST"})").idempotent);
  EXPECT_TRUE(can(R"("method":"PUT"})").idempotent);
  EXPECT_TRUE(can(R"("method":"POST"},"idempotent":true)").idempotent);
  EXPECT_FALSE(can(R"("method":"PUT"},"idempotent":false)").idempotent);
  EXPECT_TRUE(can(R"("method":"POST"})").deduplicates);
  EXPECT_FALSE(can(R"("method":"PUT"},"on_unknown":["person"])").deduplicates);
  EXPECT_FALSE(can(R"("method":"PUT"},"on_unknown":["person"])").idempotent);
  const std::string probe =
      R"("method":"POST"},"probe":{"read":{"path":"/p"},"happened":{"json":{}}})";
  EXPECT_TRUE(can(probe).history);
  EXPECT_FALSE(can(probe).probes) << "it can only say yes";
}

TEST_F(Connectors, T10_an_effect_on_a_store_is_the_stores_own_write) {
  use(R"({"identity":["slug"],"effect":{"target":"docs","message":"m"},
    "artifact":[{"path":"${input.slug}.md","content":"hi"}]})",
      "publish");
  submit(R"({"slug":"a"})");
  EXPECT_TRUE(target.store->is_inline());
  EXPECT_EQ(read("").seen, Seen::absent);
  EXPECT_EQ(perform().ended.kind, EffectKind::acknowledged);
  EXPECT_EQ(store->files.at("a.md"), "hi");
  EXPECT_EQ(read("").content, "hi");
  EXPECT_EQ(target.store->version().value(), "c0");
  EXPECT_TRUE(history().known);
  EXPECT_NE(target.store->check_name("../x"), "");
}

TEST_F(Connectors, V2_what_is_read_may_be_at_another_target) {
  use(R"({"identity":["slug"],"effect":{"target":"psp","method":"POST"},
    "artifact":[{"name":"page","read":{"target":"docs","path":"p/${input.slug}.md"},
      "serving":{"path":"/${artifact.name}"},"expect":{"text":"hi"}}]})");
  submit(R"({"slug":"a"})");
  store->files["p/a.md"] = "hi";
  EXPECT_EQ(read("").content, "hi");
  EXPECT_TRUE(target.policy.has_serving);
  calls->answers["/page"] = read_found("served", "");
  EXPECT_EQ(read(R"({"x":1})", target.serving.get()).content, "served");
}

TEST_F(Connectors, a_target_that_is_gone_is_said_so) {
  use(kCharge);
  Targets none;
  const auto made = make_defined_target(definition, none, {});
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().message.find("no target 'psp' any more"), std::string::npos);
}

}  // namespace
}  // namespace trued::define
