// Dead letters: listed, redriven in order and under their identity, left where that is not safe.
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

/// A store without a history, where repeating is not known to be harmless.
class Once final : public Connector {
 public:
  Capabilities capabilities() const override { return {.idempotent = false}; }
  EffectResult perform(const EffectRequest& request) override {
    ++performed;
    if (before) before(inner);
    return inner.perform(request);
  }
  std::vector<RawRead> read(const ReadRequest& request) override { return inner.read(request); }
  History history(const HistoryRequest& request) override { return inner.history(request); }
  Result<std::string> version() override { return inner.version(); }
  std::string check_name(const std::string& name) const override { return inner.check_name(name); }

  MemoryConnector inner{MemoryOptions{.history = false}};
  std::function<void(MemoryConnector&)> before;  ///< called before each effect
  std::atomic<int> performed = 0;
};

ServerOptions without_gates() {
  ServerOptions options = quick();
  options.policy.gates.breaker.enabled = false;
  options.policy.gates.budget.enabled = false;
  return options;
}

class DeadLetters : public ::testing::Test {
 protected:
  static ServerOptions options(Once*& once) {
    ServerOptions all = without_gates();
    all.cares["docs"] = {.owner = "ada", .decide_within = Duration{3'600'000}, .poison_after = 2};
    all.more_targets = [&once](Targets& targets, const Policy& policy) {
      auto made = std::make_unique<Once>();
      once = made.get();
      targets.emplace("zz", make_target("zz", "memory", std::move(made), nullptr, "", policy));
    };
    return all;
  }

  // Submits an operation whose one attempt ends like that.
  Got ends(const std::string& key, EffectKind kind, const std::string& reason = "out of order") {
    server.store->script({.kind = kind, .lands = false, .reason = reason});
    return server.write(key, key + ".md", key);
  }
  Got redrive(const std::string& body) { return server.post("/v1/dead-letters/redrive", body); }
  static std::vector<std::string> keys(const Got& got, const std::string& list) {
    std::vector<std::string> found;
    if (!got.at(list).is_array()) return {"no " + list + ": " + got.response.body};
    for (const json::Value& each : got.at(list).items()) {
      const json::Value* operation = each.find("operation");
      const json::Value* key = (operation == nullptr ? each : *operation).find("key");
      found.push_back(key == nullptr ? "?" : key->as_string());
    }
    return found;
  }
  std::string settled(const std::string& id) {
    return server.get("/v1/operations/" + id + "?wait=10").text("status");
  }

  using Keys = std::vector<std::string>;
  Once* once = nullptr;
  Server server{options(once)};
};

TEST_F(DeadLetters, T8_are_listed_oldest_first_with_their_cause) {
  ends("b", EffectKind::rejected_retryable);
  ends("refused", EffectKind::rejected_final, "403");
  ends("a", EffectKind::rejected_retryable);
  server.write("good", "good.md", "x");
  const Got got = server.get("/v1/dead-letters");
  ASSERT_EQ(got.status(), 200) << got.response.body;
  EXPECT_EQ(keys(got, "dead_letters"), (Keys{"b", "a"}));
  EXPECT_TRUE(got.at("cursor").is_null());
  EXPECT_EQ(got.text("dead_letters/0/cause"), "attempts_exhausted");
  EXPECT_EQ(got.text("dead_letters/0/operation/cause"), "attempts_exhausted");
  EXPECT_EQ(got.text("dead_letters/0/owner"), "ada");
  EXPECT_FALSE(got.text("dead_letters/0/ended_at").empty());
  EXPECT_FALSE(got.text("dead_letters/0/expires_at").empty());
  EXPECT_TRUE(got.at("dead_letters/0/left").is_null());
  EXPECT_EQ(server.get("/v1/operations?key=refused").text("operations/0/cause"), "rejected");
}

TEST_F(DeadLetters, T8_are_found_by_type_target_cause_and_age_and_paged) {
  for (const char* key : {"a", "b", "c"}) ends(key, EffectKind::rejected_retryable);
  EXPECT_EQ(keys(server.get("/v1/dead-letters?target=site"), "dead_letters"), Keys{});
  EXPECT_EQ(keys(server.get("/v1/dead-letters?type=charge"), "dead_letters"), Keys{});
  EXPECT_EQ(keys(server.get("/v1/dead-letters?older_than=1h"), "dead_letters"), Keys{});
  EXPECT_EQ(keys(server.get("/v1/dead-letters?older_than=0ms&target=docs&type=write"
                            "&cause=attempts_exhausted"),
                 "dead_letters"),
            (Keys{"a", "b", "c"}));
  const Got first = server.get("/v1/dead-letters?limit=2");
  EXPECT_EQ(keys(first, "dead_letters"), (Keys{"a", "b"}));
  const Got rest = server.get("/v1/dead-letters?limit=2&cursor=" + first.text("cursor"));
  EXPECT_EQ(keys(rest, "dead_letters"), Keys{"c"});
  EXPECT_TRUE(rest.at("cursor").is_null());
  for (const char* wrong : {"cause=rejected", "cause=bad", "older_than=soon", "poison=perhaps",
                            "cursor=x", "limit=0", "colour=red"}) {
    EXPECT_EQ(server.get(std::string("/v1/dead-letters?") + wrong).problem(), "malformed") << wrong;
  }
}

TEST_F(DeadLetters, T8_a_dry_run_says_what_a_redrive_does_and_does_nothing) {
  const std::string id = ends("a", EffectKind::rejected_retryable).text("id");
  const std::uint64_t performed = server.store->performed();
  const Got rehearsed = redrive(R"({"filter":{},"dry_run":true})");
  ASSERT_EQ(rehearsed.status(), 200) << rehearsed.response.body;
  EXPECT_TRUE(rehearsed.at("dry_run").as_bool());
  EXPECT_EQ(keys(rehearsed, "redriven"), Keys{"a"});
  EXPECT_EQ(rehearsed.text("redriven/0/state"), "failed") << "it is as it was";
  EXPECT_EQ(server.get("/v1/operations/" + id).text("status"), "failed");
  EXPECT_EQ(server.store->performed(), performed);
}

TEST_F(DeadLetters, T8_a_redrive_keeps_order_and_identity_and_executes_once) {
  std::vector<std::string> ids;
  for (const char* key : {"c", "a", "b"}) {
    ids.push_back(ends(key, EffectKind::rejected_retryable).text("id"));
  }
  const std::uint64_t performed = server.store->performed();
  const Got got = redrive(R"({"filter":{"target":"docs"},"who":"ada","why":"mended"})");
  ASSERT_EQ(got.status(), 200) << got.response.body;
  EXPECT_EQ(keys(got, "redriven"), (Keys{"c", "a", "b"}));
  EXPECT_EQ(keys(got, "left"), Keys{});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(got.text("redriven/" + std::to_string(i) + "/id"), ids.at(i));
    EXPECT_EQ(settled(ids.at(i)), "confirmed");
  }
  EXPECT_EQ(server.store->performed(), performed + 3);
  const std::string log = server.get("/v1/operations/" + ids.at(0) + "/events").response.body;
  EXPECT_NE(log.find(R"("who":"ada")"), std::string::npos) << log;
  EXPECT_NE(log.find(R"("why":"mended")"), std::string::npos) << log;
  EXPECT_EQ(keys(redrive(R"({"filter":{}})"), "redriven"), Keys{}) << "none is left";
}

TEST_F(DeadLetters, T8_of_several_that_write_one_artifact_the_newest_is_redriven) {
  std::vector<std::string> ids;
  for (const char* key : {"one", "two", "three"}) {
    server.store->script(
        {.kind = EffectKind::rejected_retryable, .lands = false, .reason = "down"});
    ids.push_back(server.write(key, "page.md", key).text("id"));
  }
  // Page by page as well: the newest is on another one.
  const Got first = redrive(R"({"filter":{},"limit":1})");
  EXPECT_EQ(first.text("left/0/code"), "outdone") << first.response.body;
  EXPECT_EQ(server.get("/v1/dead-letters?limit=1").text("cursor"), first.text("cursor"));
  const Got got = redrive(R"({"filter":{}})");
  EXPECT_EQ(keys(got, "redriven"), Keys{"three"}) << got.response.body;
  EXPECT_EQ(keys(got, "left"), (Keys{"one", "two"}));
  EXPECT_EQ(settled(ids.at(2)), "confirmed");
  EXPECT_EQ(server.store->content("page.md"), "three");
  // What is older does not come to stand over it, however it is asked for.
  EXPECT_EQ(keys(redrive(R"({"ids":[")" + ids.at(0) + R"("]})"), "redriven"), Keys{"one"});
  EXPECT_EQ(settled(ids.at(0)), "failed");
  EXPECT_EQ(server.get("/v1/operations/" + ids.at(0)).text("cause"), "stale");
  EXPECT_EQ(server.store->content("page.md"), "three");
}

TEST_F(DeadLetters, T8_what_may_have_happened_is_left_unless_a_person_says_otherwise) {
  once->before = [](MemoryConnector& store) {
    store.script({.kind = EffectKind::unknown, .lands = false, .reason = "no answer"});
  };
  const Got unknown = server.write("pay", "pay.md", "10", "zz");
  ASSERT_EQ(unknown.text("status"), "needs_action") << unknown.response.body;
  const std::string id = unknown.text("id");
  once->before = {};
  const int performed = once->performed;
  for (const std::string& which : {std::string(R"("filter":{})"), R"("ids":[")" + id + R"("])"}) {
    const Got left = redrive("{" + which + "}");
    EXPECT_EQ(keys(left, "redriven"), Keys{}) << left.response.body;
    EXPECT_EQ(left.text("left/0/code"), "may-have-happened");
  }
  EXPECT_EQ(server.get("/v1/dead-letters").text("dead_letters/0/left/code"), "may-have-happened");
  EXPECT_EQ(once->performed, performed) << "nothing was executed";
  const Got gone = redrive(R"({"filter":{},"may_repeat":true})");
  EXPECT_EQ(keys(gone, "redriven"), Keys{"pay"}) << gone.response.body;
  EXPECT_EQ(settled(id), "confirmed");
  EXPECT_EQ(once->performed, performed + 1);
}

TEST_F(DeadLetters, T8_nothing_of_others_is_written_over_unseen) {
  MemoryConnector* still = nullptr;
  ServerOptions options = without_gates();
  options.more_targets = [&still](Targets& targets, const Policy& policy) {
    auto made = std::make_unique<MemoryConnector>(MemoryOptions{.history = false});
    still = made.get();
    targets.emplace("plain", make_target("plain", "memory", std::move(made), nullptr, "", policy));
  };
  Server other(options);
  still->put_outside("a.md", "before");
  still->script({.kind = EffectKind::unknown, .lands = false, .reason = "no answer"});
  const Got swallowed = other.write("a", "a.md", "A", "plain");
  ASSERT_EQ(swallowed.text("cause"), "mismatch") << swallowed.response.body;
  EXPECT_TRUE(other.get("/v1/dead-letters").at("dead_letters/0/left").is_null())
      << "what stood there before still does";
  still->put_outside("a.md", "theirs");
  const Got gone = other.post("/v1/dead-letters/redrive", R"({"filter":{}})");
  ASSERT_EQ(keys(gone, "redriven"), Keys{"a"}) << gone.response.body;
  const Got asked = other.get("/v1/operations/" + swallowed.text("id") + "?wait=10");
  EXPECT_EQ(asked.text("status"), "needs_action") << asked.response.body;
  EXPECT_EQ(still->content("a.md"), "theirs");
  EXPECT_EQ(other.get("/v1/dead-letters").text("dead_letters/0/left/code"), "would-overwrite");
}

TEST_F(DeadLetters, T8_poison_is_set_apart_and_left_by_queries) {
  const std::string id = ends("a", EffectKind::rejected_retryable, "cannot digest it").text("id");
  ends("b", EffectKind::rejected_retryable, "busy");
  server.store->script(
      {.kind = EffectKind::rejected_retryable, .lands = false, .reason = "cannot digest it"});
  EXPECT_EQ(keys(redrive(R"({"ids":[")" + id + R"("]})"), "redriven"), Keys{"a"});
  EXPECT_EQ(settled(id), "failed");
  const Got got = server.get("/v1/dead-letters");
  EXPECT_EQ(keys(got, "poison"), Keys{"a"}) << "twice the same, as 'docs' has it";
  EXPECT_EQ(keys(got, "dead_letters"), Keys{"b"});
  EXPECT_EQ(got.number("poison/0/endings"), 2);
  EXPECT_EQ(keys(server.get("/v1/dead-letters?poison=true"), "poison"), Keys{"a"});
  EXPECT_EQ(keys(server.get("/v1/dead-letters?poison=false"), "poison"), Keys{});
  const Got left = redrive(R"({"filter":{}})");
  EXPECT_EQ(keys(left, "redriven"), Keys{"b"});
  EXPECT_EQ(left.text("left/0/code"), "poison");
  EXPECT_EQ(keys(redrive(R"({"filter":{},"poison":true})"), "redriven"), Keys{"a"});
  EXPECT_EQ(settled(id), "confirmed");
}

TEST_F(DeadLetters, T8_a_redrive_goes_on_where_its_limit_ended_it) {
  for (const char* key : {"a", "b", "c"}) ends(key, EffectKind::rejected_retryable);
  const Got first = redrive(R"({"filter":{},"limit":2,"rate":1000})");
  EXPECT_EQ(keys(first, "redriven"), (Keys{"a", "b"}));
  const Got rest = redrive(R"({"filter":{},"limit":2,"cursor":")" + first.text("cursor") + R"("})");
  EXPECT_EQ(keys(rest, "redriven"), Keys{"c"});
  EXPECT_TRUE(rest.at("cursor").is_null());
}

TEST_F(DeadLetters, T8_named_ones_are_told_apart) {
  const std::string dead = ends("dead", EffectKind::rejected_retryable).text("id");
  const std::string fine = server.write("fine", "fine.md", "x").text("id");
  const std::string none = "op_00000000000000000000000000";
  const Got got = redrive(R"({"ids":["nobody",")" + none + R"(",")" + fine + R"(",")" + dead +
                          R"(",")" + dead + R"("]})");
  EXPECT_EQ(keys(got, "redriven"), Keys{"dead"}) << got.response.body;
  ASSERT_EQ(got.at("left").items().size(), 3U);
  EXPECT_EQ(got.text("left/0/code"), "no-such-operation");
  EXPECT_EQ(got.text("left/1/code"), "no-such-operation");
  EXPECT_EQ(got.text("left/2/code"), "not-a-dead-letter");
}

TEST_F(DeadLetters, T8_a_redrive_that_cannot_be_read_is_refused) {
  for (const char* body : {"{}", "[]", R"({"ids":[],"who":"x"})", R"({"ids":["a"],"filter":{}})",
                           R"({"filter":{"colour":"red"}})", R"({"filter":{"cause":"rejected"}})",
                           R"({"filter":{"older_than":5}})", R"({"filter":{},"limit":0})",
                           R"({"filter":{},"rate":1.5})", R"({"filter":{},"dry_run":"yes"})",
                           R"({"filter":{},"cursor":"x"})", R"({"ids":["a"],"cursor":"5"})",
                           R"({"filter":{},"all":true})"}) {
    EXPECT_EQ(redrive(body).problem(), "malformed") << body;
  }
  EXPECT_EQ(redrive(R"({"filter":{"cause":"rejected"}})").text("pointer"), "/filter/cause");
  EXPECT_EQ(redrive(R"({"filter":{},"who":"eve\u001b"})").problem(), "input-invalid");
}

TEST_F(DeadLetters, T8_the_backlog_is_measured) {
  ends("a", EffectKind::rejected_retryable);
  ends("b", EffectKind::acknowledged);
  const std::string metrics = server.get("/metrics").response.body;
  for (const char* line : {"trued_dead_letters{target=\"docs\",cause=\"attempts_exhausted\"} 1",
                           "trued_dead_letters{target=\"docs\",cause=\"mismatch\"} 1",
                           "trued_dead_letters{target=\"site\",cause=\"deadline\"} 0",
                           "trued_dead_letters_oldest_seconds{target=\"docs\",cause=\"mismatch\"} ",
                           "trued_dead_letters_poison{target=\"docs\"} 0",
                           "trued_worklist{target=\"docs\",owner=\"ada\"} 1",
                           "trued_worklist{target=\"still\",owner=\"operators\"} 0",
                           "trued_worklist_overdue{target=\"docs\",owner=\"ada\"} 0",
                           "trued_operations_of_unknown_outcome 0"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line << "\n" << metrics;
  }
}

TEST_F(DeadLetters, T8_the_worklist_has_evidence_an_owner_a_date_and_the_choices) {
  const Got lied = ends("lie", EffectKind::acknowledged);
  ASSERT_EQ(lied.text("status"), "needs_action");
  ends("dead", EffectKind::rejected_retryable);
  const Got got = server.get("/v1/worklist");
  ASSERT_EQ(got.status(), 200) << got.response.body;
  EXPECT_EQ(keys(got, "worklist"), Keys{"lie"});
  EXPECT_EQ(got.text("worklist/0/cause"), "mismatch");
  EXPECT_EQ(got.text("worklist/0/owner"), "ada");
  EXPECT_FALSE(got.at("worklist/0/overdue").as_bool());
  EXPECT_GT(got.text("worklist/0/decide_by"), got.text("worklist/0/since"));
  EXPECT_EQ(got.text("worklist/0/operation/artifacts/0/verdict"), "mismatch");
  EXPECT_EQ(got.text("worklist/0/attempts/0/outcome"), "acknowledged");
  EXPECT_EQ(got.text("worklist/0/attempts/0/tell"), lied.text("tell"));
  EXPECT_GE(got.number("worklist/0/attempts/0/reads"), 1);
  ASSERT_EQ(got.at("worklist/0/choices").items().size(), 3U);
  EXPECT_EQ(got.text("worklist/0/choices/0/choice"), "it_happened");
  EXPECT_EQ(got.text("worklist/0/choices/0/then"), "unverified");
  EXPECT_EQ(got.text("worklist/0/choices/2/choice"), "retry");
  // Each choice says how it is made, and is accepted as it says.
  const Got made = server.post(got.text("worklist/0/choices/1/request/path"),
                               R"({"verdict":"it_did_not","who":"ada"})");
  EXPECT_EQ(made.text("status"), "failed") << made.response.body;
  EXPECT_EQ(made.text("cause"), "refuted");
  EXPECT_EQ(keys(server.get("/v1/worklist"), "worklist"), Keys{});
}

TEST(Worklist, T8_the_backlog_is_measured_by_who_decides_whatever_the_cause) {
  ServerOptions options = without_gates();
  options.definitions = true;
  options.cares["docs"] = {.owner = "ada", .decide_within = Duration{3'600'000}, .poison_after = 3};
  Server server(options);
  const Got applied = server.post("/v1/definitions", R"({"definitions":{
      "publish":{"identity":["slug"],"effect":{"target":"docs"},"owner":"bob","decide_within":"1ms",
                 "artifact":[{"path":"${input.slug}.md","content":"x"}],
                 "compensate":{"operation":"retract","input":{"slug":"${input.slug}"}}},
      "retract":{"identity":["slug"],"effect":{"target":"docs"},
                 "artifact":[{"path":"${input.slug}.md","absent":true}]}}})");
  ASSERT_EQ(applied.status(), 200) << applied.response.body;
  const Got made = server.post("/v1/operations", R"({"type":"publish","input":{"slug":"a"}})",
                               {{"Prefer", "wait=10"}});
  ASSERT_EQ(made.text("status"), "confirmed") << made.response.body;
  server.store->script({.kind = EffectKind::rejected_final, .lands = false, .reason = "locked"});
  const std::string path = "/v1/operations/" + made.text("id");
  ASSERT_EQ(server.post(path + "/compensate", R"({"who":"ada"})").status(), 200);
  EXPECT_EQ(server.get(path + "?wait=10").text("cause"), "not_undone");
  server.store->script({.kind = EffectKind::acknowledged, .lands = false, .reason = ""});
  ASSERT_EQ(server.write("lie", "lie.md", "x").text("cause"), "mismatch");
  while (server.get("/v1/worklist?overdue=true").at("worklist").items().empty()) {
    // A millisecond passes.
  }
  EXPECT_EQ(server.get("/v1/worklist").at("worklist").items().size(), 2U);
  const std::string metrics = server.get("/metrics").response.body;
  for (const char* line : {"trued_worklist{target=\"docs\",owner=\"ada\"} 1",
                           "trued_worklist{target=\"docs\",owner=\"bob\"} 1",
                           "trued_worklist_overdue{target=\"docs\",owner=\"ada\"} 0",
                           "trued_worklist_overdue{target=\"docs\",owner=\"bob\"} 1"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line << "\n" << metrics;
  }
}

TEST(Worklist, T8_what_nobody_decided_in_time_is_overdue) {
  ServerOptions options = without_gates();
  options.cares["docs"] = {.owner = "ada", .decide_within = Duration{1}, .poison_after = 3};
  Server server(options);
  server.store->script({.kind = EffectKind::acknowledged, .lands = false, .reason = ""});
  const Got lied = server.write("lie", "lie.md", "x");
  ASSERT_EQ(lied.text("status"), "needs_action");
  while (server.get("/v1/worklist?overdue=true").at("worklist").items().empty()) {
    // A millisecond passes.
  }
  EXPECT_TRUE(server.get("/v1/worklist").at("worklist/0/overdue").as_bool());
  EXPECT_TRUE(server.get("/v1/worklist?overdue=false").at("worklist").items().empty());
  EXPECT_EQ(server.get("/v1/worklist?owner=ada").at("worklist").items().size(), 1U);
  EXPECT_TRUE(server.get("/v1/worklist?owner=bob").at("worklist").items().empty());
  EXPECT_EQ(server.get("/v1/worklist?overdue=maybe").problem(), "malformed");
  const std::string metrics = server.get("/metrics").response.body;
  EXPECT_NE(metrics.find("trued_worklist_overdue{target=\"docs\",owner=\"ada\"} 1"),
            std::string::npos);
}

TEST(DeadLettersRights, S2_T8_tokens_see_and_redrive_what_is_of_their_tenants) {
  ServerOptions options = without_gates();
  using config::Rights;
  options.auth.tokens.push_back({"all", sha256("all")});
  options.auth.tokens.push_back(
      {"acme", sha256("acme"), Rights{.actions = {true, true, true}, .scopes = {"acme"}}});
  options.auth.tokens.push_back(
      {"reader", sha256("reader"), Rights{.actions = {false, true, false}, .scopes = {}}});
  Server server(options);
  const auto as = [&](const char* token, const char* method, const std::string& path,
                      const std::string& body = "") {
    return server.call(method, path, body,
                       {{"Authorization", std::string("Bearer ") + token}, {"Prefer", "wait=10"}});
  };
  std::vector<std::string> ids;
  for (const std::string scope : {"acme", "zeta"}) {
    server.store->script(
        {.kind = EffectKind::rejected_retryable, .lands = false, .reason = "down"});
    const std::string rest = Server::submission(scope + ".md", "x");
    ids.push_back(as("all", "POST", "/v1/operations",
                     R"({"key":")" + scope + R"(","scope":")" + scope + R"(",)" + rest.substr(1))
                      .text("id"));
  }
  EXPECT_EQ(as("all", "GET", "/v1/dead-letters").at("dead_letters").items().size(), 2U);
  const Got mine = as("acme", "GET", "/v1/dead-letters");
  ASSERT_EQ(mine.at("dead_letters").items().size(), 1U);
  EXPECT_EQ(mine.text("dead_letters/0/operation/key"), "acme");
  EXPECT_EQ(as("acme", "GET", "/v1/dead-letters?scope=zeta").problem(), "out-of-scope");
  EXPECT_EQ(as("acme", "GET", "/v1/worklist?scope=zeta").problem(), "out-of-scope");
  EXPECT_EQ(as("reader", "POST", "/v1/dead-letters/redrive", R"({"filter":{}})").problem(),
            "out-of-scope");
  EXPECT_EQ(as("acme", "POST", "/v1/dead-letters/redrive", R"({"filter":{"scope":"zeta"}})")
                .text("pointer"),
            "/filter/scope");
  const Got hidden =
      as("acme", "POST", "/v1/dead-letters/redrive", R"({"ids":[")" + ids.at(1) + R"("]})");
  EXPECT_EQ(hidden.text("left/0/code"), "no-such-operation") << hidden.response.body;
  const Got done = as("acme", "POST", "/v1/dead-letters/redrive", R"({"filter":{}})");
  ASSERT_EQ(done.at("redriven").items().size(), 1U) << done.response.body;
  EXPECT_EQ(done.text("redriven/0/id"), ids.at(0));
}

}  // namespace
}  // namespace trued::api
