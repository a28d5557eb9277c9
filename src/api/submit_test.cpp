// Submitting: decisions, answers, and everything that is refused.
#include <algorithm>
#include <atomic>
#include <iterator>
#include <set>
#include <string_view>
#include <thread>

#include "api/api_test_support.h"
#include "base/clock.h"

namespace trued::api {
namespace {

using std::string_view_literals::operator""sv;

TEST(Submit, T10_new_and_settled_within_the_wait_is_201_with_the_whole_receipt) {
  Server server;
  const Got got = server.write("k1", "a.md", "hello");
  ASSERT_EQ(got.status(), 201) << got.response.body;
  EXPECT_EQ(got.header("Content-Type"), "application/json");
  EXPECT_EQ(got.header("Idempotent-Replayed"), "false");
  EXPECT_EQ(got.header("Preference-Applied"), "wait=10");
  const std::string id = got.text("id");
  EXPECT_EQ(got.header("Location"), "/v1/operations/" + id);
  EXPECT_EQ(got.text("type"), "write");
  EXPECT_EQ(got.text("scope"), "default");
  EXPECT_EQ(got.text("key"), "k1");
  EXPECT_EQ(got.text("decision"), "new");
  EXPECT_EQ(got.text("status"), "confirmed");
  EXPECT_EQ(got.text("state"), "confirmed");
  EXPECT_TRUE(got.at("changed").as_bool());
  EXPECT_TRUE(got.at("verified").as_bool());
  EXPECT_EQ(got.number("attempts"), 1);
  EXPECT_TRUE(got.text("fingerprint").starts_with("sha256:"));
  EXPECT_EQ(got.text("definition"), "write@1");
  EXPECT_EQ(got.text("artifacts/0/name"), "a.md");
  EXPECT_EQ(got.text("artifacts/0/level"), "store");
  EXPECT_EQ(got.text("artifacts/0/verdict"), "match");
  EXPECT_EQ(got.number("artifacts/0/reads"), 1);
  EXPECT_EQ(got.text("artifacts/0/intended/sha256"), sha256("hello").hex());
  EXPECT_EQ(got.number("artifacts/0/intended/bytes"), 5);
  EXPECT_EQ(got.text("artifacts/0/observed/sha256"), sha256("hello").hex());
  EXPECT_FALSE(got.text("artifacts/0/read_at").empty());
  EXPECT_TRUE(got.at("tell").is_null());
  EXPECT_TRUE(got.at("reason").is_null());
  EXPECT_EQ(got.text("next/action"), "none");
  EXPECT_EQ(got.text("durability"), "memory");
  EXPECT_FALSE(got.text("created_at").empty());
  EXPECT_EQ(got.text("links/self"), "/v1/operations/" + id);
  EXPECT_EQ(got.text("links/events"), "/v1/operations/" + id + "/events");
  EXPECT_EQ(server.store->content("a.md"), "hello");
}

TEST(Submit, T10_new_and_not_settled_is_202_pending_with_what_to_do_next) {
  Server server;
  server.gate->shut();
  const Got got = server.submit("k1", "a.md", "hello");
  ASSERT_EQ(got.status(), 202) << got.response.body;
  EXPECT_EQ(got.header("Idempotent-Replayed"), "false");
  EXPECT_EQ(got.header("Location"), "/v1/operations/" + got.text("id"));
  EXPECT_EQ(got.header("Preference-Applied"), "");
  EXPECT_EQ(got.text("decision"), "new");
  EXPECT_EQ(got.text("status"), "pending");
  EXPECT_EQ(got.text("state"), "attempting");
  EXPECT_EQ(got.text("next/action"), "wait");
  EXPECT_TRUE(got.at("artifacts/0/verdict").is_null());
  EXPECT_TRUE(got.at("artifacts/0/observed").is_null());
}

TEST(Submit, T3_T4_a_repeat_gets_the_stored_receipt_and_executes_nothing) {
  Server server;
  const Got first = server.write("k1", "a.md", "hello");
  const std::uint64_t performed = server.store->performed();
  const Got again = server.write("k1", "a.md", "hello");
  EXPECT_EQ(again.status(), 200);
  EXPECT_EQ(again.header("Idempotent-Replayed"), "true");
  EXPECT_EQ(again.header("Location"), "");
  EXPECT_EQ(again.text("decision"), "duplicate");
  EXPECT_EQ(again.text("id"), first.text("id"));
  EXPECT_EQ(again.text("updated_at"), first.text("updated_at"));
  EXPECT_EQ(server.store->performed(), performed);
}

TEST(Submit, T3_a_declined_operation_is_replayed_too) {
  Server server;
  server.store->script({.kind = EffectKind::rejected_final, .lands = false, .reason = "read only"});
  const Got first = server.write("k1", "a.md", "hello");
  EXPECT_EQ(first.status(), 201);
  EXPECT_EQ(first.text("status"), "failed");
  EXPECT_NE(first.text("reason").find("read only"), std::string::npos);
  EXPECT_EQ(first.text("next/action"), "retry");
  const Got again = server.write("k1", "a.md", "hello");
  EXPECT_EQ(again.status(), 200);
  EXPECT_EQ(again.text("decision"), "duplicate");
  EXPECT_EQ(again.text("status"), "failed");
}

TEST(Submit, T4_in_flight_is_202_with_the_same_operation) {
  Server server;
  server.gate->shut();
  const Got first = server.submit("k1", "a.md", "hello");
  const Got again = server.submit("k1", "a.md", "hello");
  EXPECT_EQ(again.status(), 202);
  EXPECT_EQ(again.text("decision"), "in_flight");
  EXPECT_EQ(again.header("Idempotent-Replayed"), "true");
  EXPECT_EQ(again.text("id"), first.text("id"));
  server.gate->open();
  const Got settled = server.write("k1", "a.md", "hello");
  EXPECT_EQ(settled.status(), 200);
  EXPECT_EQ(settled.text("status"), "confirmed");
}

TEST(Submit, T2_fifty_at_once_with_one_key_are_one_operation) {
  Server server;
  constexpr int kCallers = 50;
  std::atomic<int> fresh = 0;
  std::atomic<int> odd = 0;
  std::mutex mutex;
  std::set<std::string> ids;
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      const bool waits = i % 2 == 0;
      const Got got =
          waits ? server.write("k1", "a.md", "hello") : server.submit("k1", "a.md", "hello");
      const bool is_new = got.header("Idempotent-Replayed") == "false";
      if (is_new) ++fresh;
      const bool fits = is_new ? got.status() == 201 || got.status() == 202
                               : got.status() == 200 || got.status() == 202;
      if (!fits || is_new != (got.text("decision") == "new")) ++odd;
      const std::scoped_lock lock(mutex);
      ids.insert(got.text("id"));
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(fresh, 1);
  EXPECT_EQ(odd, 0);
  EXPECT_EQ(ids.size(), 1U);
  EXPECT_EQ(server.store->performed(), 1U);
}

TEST(Submit, T2_same_key_with_another_input_is_409_and_names_the_fields) {
  Server server;
  const Got first =
      server.post("/v1/operations",
                  R"({"type":"write","key":"k1","input":{"target":"docs","message":"one",
          "artifacts":[{"path":"a.md","content":"1"},{"path":"b.md","content":"2"}]}})",
                  {{"Prefer", "wait=10"}});
  ASSERT_EQ(first.status(), 201) << first.response.body;
  const Got got =
      server.post("/v1/operations",
                  R"({"type":"write","key":"k1","input":{"target":"docs","message":"two",
          "artifacts":[{"path":"a.md","content":"1"},{"path":"b.md","content":"3"}]}})");
  ASSERT_EQ(got.status(), 409) << got.response.body;
  EXPECT_EQ(got.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(got.problem(), "idempotency-conflict");
  EXPECT_EQ(got.text("instance"), "/v1/operations");
  ASSERT_EQ(got.at("differing").items().size(), 2U) << got.response.body;
  EXPECT_EQ(got.text("differing/0"), "/input/artifacts/1/content");
  EXPECT_EQ(got.text("differing/1"), "/input/message");
  EXPECT_NE(got.text("detail").find("/input/message"), std::string::npos);
  EXPECT_EQ(got.text("receipt/id"), first.text("id"));
  EXPECT_EQ(got.text("receipt/decision"), "conflict");
  EXPECT_EQ(server.store->content("b.md"), "2");
}

TEST(Submit, T2_scopes_keep_equal_keys_apart) {
  Server server;
  const auto in_scope = [&](const char* scope) {
    return server.post("/v1/operations",
                       std::string(R"({"type":"write","key":"k1","scope":")") + scope +
                           R"(","input":{"target":"docs","artifacts":[{"path":")" + scope +
                           R"(","content":"x"}]}})",
                       {{"Prefer", "wait=10"}});
  };
  const Got one = in_scope("one");
  const Got two = in_scope("two");
  EXPECT_EQ(one.status(), 201);
  EXPECT_EQ(two.status(), 201);
  EXPECT_NE(one.text("id"), two.text("id"));
  EXPECT_EQ(two.text("scope"), "two");
}

TEST(Submit, T3_a_repeat_past_retention_is_late_and_says_how_it_ended) {
  ServerOptions options = quick();
  options.policy.retention = Duration{1};
  options.engine.retire_every = Duration{1};
  Server server(options);
  const Got first = server.write("k1", "a.md", "hello");
  ASSERT_EQ(first.status(), 201);
  Got got;
  for (int i = 0; i < 1'000 && got.problem() != "late-duplicate"; ++i) {
    got = server.submit("k1", "a.md", "hello");
  }
  ASSERT_EQ(got.problem(), "late-duplicate") << got.response.body;
  EXPECT_EQ(got.status(), 409);
  EXPECT_EQ(got.text("operation/id"), first.text("id"));
  EXPECT_EQ(got.text("operation/state"), "confirmed");
  EXPECT_FALSE(got.text("operation/settled_at").empty());
  EXPECT_NE(got.text("detail").find("confirmed"), std::string::npos);
  EXPECT_EQ(server.store->performed(), 1U);
}

TEST(Submit, T2_keys_come_bare_quoted_or_in_the_body) {
  Server server;
  const std::string body = Server::submission("a.md", "hello");
  const auto keyed = [&](const std::string& key) {
    return server.post("/v1/operations", body, {{"Idempotency-Key", key}, {"Prefer", "wait=10"}});
  };
  const Got bare = keyed("k-1");
  EXPECT_EQ(bare.status(), 201);
  EXPECT_EQ(keyed("\"k-1\"").text("id"), bare.text("id"));
  EXPECT_EQ(keyed(R"("a\"b\\c")").text("key"), R"(a"b\c)");
  const std::string in_body = R"({"key":"k-1",)" + body.substr(1);
  EXPECT_EQ(server.post("/v1/operations", in_body).text("id"), bare.text("id"));
  const Got both = server.post("/v1/operations", in_body, {{"Idempotency-Key", "k-1"}});
  EXPECT_EQ(both.text("id"), bare.text("id"));
  const Got differ = server.post("/v1/operations", in_body, {{"Idempotency-Key", "k-2"}});
  EXPECT_EQ(differ.status(), 400);
  EXPECT_EQ(differ.problem(), "malformed");
  EXPECT_EQ(differ.text("pointer"), "/key");
  EXPECT_EQ(keyed("\"open").problem(), "malformed");
  EXPECT_EQ(keyed("two words").problem(), "malformed");
  EXPECT_EQ(keyed(std::string(255, 'k')).status(), 201);
  EXPECT_EQ(keyed(std::string(256, 'k')).problem(), "malformed");
}

TEST(Submit, T2_two_different_key_headers_are_refused) {
  Server server;
  const std::string body = Server::submission("a.md", "hello");
  const std::string answer = raw_exchange(
      server.port(),
      "POST /v1/operations HTTP/1.1\r\nHost: localhost:" + std::to_string(server.port()) +
          "\r\nIdempotency-Key: one\r\nIdempotency-Key: two\r\n"
          "Content-Type: application/json\r\nConnection: close\r\n"
          "Content-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << answer;
}

struct Bad {
  std::string body;
  int status;
  std::string problem;
  std::string pointer;
};

std::string with(const std::string& members) {
  return R"({"type":"write","input":{},)" + members + "}";
}
std::string input(const std::string& text) { return R"({"type":"write","input":)" + text + "}"; }
std::string docs(const std::string& members) {
  return input(R"({"target":"docs",)" + members + "}");
}
std::string artifacts(const std::string& list) { return docs(R"("artifacts":[)" + list + "]"); }

std::string with_input(const std::string& members) {
  return R"({"type":"write","input":{"target":"docs","artifacts":[{"path":"a","content":"x"}]},)" +
         members + "}";
}

std::vector<Bad> malformed_submissions() {
  constexpr const char* kDeadline =
      R"("not_before":"2030-01-02T00:00:00Z","deadline":"2030-01-01T00:00:00Z")";
  return {
      {"{", 400, "malformed", ""},
      {"[]", 400, "malformed", ""},
      {"\"text\"", 400, "malformed", ""},
      {R"({"type":"write","type":"write"})", 400, "malformed", "/type"},
      {R"({"type":1,"input":{}})", 400, "malformed", "/type"},
      {R"({"input":{}})", 400, "malformed", "/type"},
      {with(R"("status":"confirmed")"), 400, "malformed", "/status"},
      {with(R"("state":"confirmed")"), 400, "malformed", "/state"},
      {with(R"("attempts":3)"), 400, "malformed", "/attempts"},
      {with(R"("id":"op_1")"), 400, "malformed", "/id"},
      {with(R"("created_at":"2026-01-01T00:00:00Z")"), 400, "malformed", "/created_at"},
      {with(R"("requires":[])"), 400, "malformed", "/requires"},
      {with(R"("a/b~c":1)"), 400, "malformed", "/a~1b~0c"},
      {with(R"("scope":"a b")"), 400, "malformed", "/scope"},
      {with(R"("scope":"")"), 400, "malformed", "/scope"},
      {with(R"("priority":"urgent")"), 400, "malformed", "/priority"},
      {with(R"("not_before":"tomorrow")"), 400, "malformed", "/not_before"},
      {with(R"("deadline":17)"), 400, "malformed", "/deadline"},
      {with(kDeadline), 400, "malformed", "/deadline"},
      {with(R"("actor":")" + std::string(256, 'a') + R"(")"), 400, "malformed", "/actor"},
  };
}

std::vector<Bad> unfit_inputs() {
  const std::string at = "/input/artifacts/";
  return {
      {R"({"type":"publish","input":{}})", 404, "no-such-type", "/type"},
      {input(R"({"target":"nowhere","artifacts":[]})"), 404, "no-such-target", "/input/target"},
      {R"({"type":"write"})", 422, "input-invalid", "/input"},
      {input("7"), 422, "input-invalid", "/input"},
      {input(R"({"artifacts":[]})"), 422, "input-invalid", "/input/target"},
      {input(R"({"target":"docs"})"), 422, "input-invalid", "/input/artifacts"},
      {artifacts(""), 422, "input-invalid", "/input/artifacts"},
      {artifacts("{}"), 422, "input-invalid", at + "0/path"},
      {artifacts(R"({"path":"../x","content":""})"), 422, "input-invalid", at + "0/path"},
      {artifacts(R"({"path":"a"})"), 422, "input-invalid", at + "0/content"},
      {artifacts(R"({"path":"a","content":"%","encoding":"base64"})"), 422, "input-invalid",
       at + "0/content"},
      {artifacts(R"({"path":"a","content":"x","encoding":"latin1"})"), 422, "input-invalid",
       at + "0/encoding"},
      {artifacts(R"({"path":"a","content":"x","absent":true})"), 422, "input-invalid",
       at + "0/absent"},
      {artifacts(R"({"path":"a","content":"x"},{"path":"a","content":"y"})"), 422, "input-invalid",
       at + "1/path"},
      {R"({"type":"write","actor":"eve\u001b[2J","input":{}})", 422, "input-invalid", "/actor"},
      {R"({"type":"write","actor":"a\nb","input":{}})", 422, "input-invalid", "/actor"},
      {R"({"type":"write","actor":"a\u0085b","input":{}})", 422, "input-invalid", "/actor"},
      {docs(R"("message":"a\u0007","artifacts":[{"path":"a","content":"x"}])"), 422,
       "input-invalid", "/input/message"},
      {docs(R"("message":"a\rb","artifacts":[{"path":"a","content":"x"}])"), 422, "input-invalid",
       "/input/message"},
      {artifacts(R"({"path":"a","content":"x"},{"path":"b\u007f","content":"x"})"), 422,
       "input-invalid", at + "1/path"},
      {docs(R"("base":"1\u0000","artifacts":[{"path":"a","content":"x"}])"), 422, "input-invalid",
       "/input/base"},
      {input(R"({"target":"still","base":"1","artifacts":[{"path":"a","content":"x"}]})"), 422,
       "input-invalid", "/input/base"},
      {with_input(R"("deadline":"2020-01-01T00:00:00Z")"), 422, "input-invalid", "/deadline"},
      {docs(R"("color":"red","artifacts":[{"path":"a","content":"x"}])"), 422, "input-invalid",
       "/input/color"},
  };
}

TEST(Submit, T1_bad_input_gets_its_problem_and_leaves_the_ledger_as_it_was) {
  Server server;
  std::vector<Bad> all = malformed_submissions();
  std::ranges::move(unfit_inputs(), std::back_inserter(all));
  for (const Bad& bad : all) {
    const Got got =
        server.post("/v1/operations", bad.body, {{"Idempotency-Key", "k"}, {"Prefer", "wait=1"}});
    EXPECT_EQ(got.status(), bad.status) << bad.body << "\n" << got.response.body;
    EXPECT_EQ(got.problem(), bad.problem) << bad.body;
    EXPECT_EQ(got.text("pointer"), bad.pointer) << bad.body;
    EXPECT_EQ(got.number("status"), bad.status);
    EXPECT_FALSE(got.text("title").empty());
    EXPECT_FALSE(got.text("detail").empty());
  }
  const Got status = server.get("/v1/status");
  EXPECT_EQ(status.number("ledger/operations"), 0);
  EXPECT_EQ(status.number("ledger/events"), 0);
  EXPECT_EQ(server.store->performed(), 0U);
}

TEST(Submit, T5_a_deadline_that_has_passed_is_refused_and_leaves_the_key_free) {
  Server server;
  const std::string body = Server::submission("a.md", "x").substr(1);
  const auto until = [&](const std::string& deadline) {
    return server.post("/v1/operations", R"({"deadline":")" + deadline + "\"," + body,
                       {{"Idempotency-Key", "k1"}, {"Prefer", "wait=10"}});
  };
  const Got refused = until("2020-01-01T00:00:00Z");
  EXPECT_EQ(refused.status(), 422);
  EXPECT_EQ(refused.text("pointer"), "/deadline");
  EXPECT_NE(refused.text("detail").find("2020-01-01"), std::string::npos);
  EXPECT_EQ(server.get("/v1/status").number("ledger/operations"), 0);
  const Got made = until("2099-01-01T00:00:00Z");
  EXPECT_EQ(made.status(), 201);
  EXPECT_EQ(made.text("status"), "confirmed");
  // Times are no part of the request's fingerprint: its repeat is answered also when it comes late.
  const Got again = until("2020-01-01T00:00:00Z");
  EXPECT_EQ(again.status(), 200);
  EXPECT_EQ(again.text("id"), made.text("id"));
  EXPECT_EQ(server.store->performed(), 1U);
}

TEST(Submit, V6_a_stale_base_is_412_for_who_waits_and_advises_a_new_key) {
  Server server;
  ASSERT_EQ(server.write("k1", "a.md", "one").status(), 201);
  server.store->put_outside("a.md", "theirs");
  const std::string body = R"({"type":"write","input":{"target":"docs","base":"1",)"
                           R"("artifacts":[{"path":"a.md","content":"two"}]}})";
  const auto post = [&] {
    return server.post("/v1/operations", body, {{"Idempotency-Key", "k2"}, {"Prefer", "wait=10"}});
  };
  const Got got = post();
  ASSERT_EQ(got.status(), 412) << got.response.body;
  EXPECT_EQ(got.problem(), "stale-state");
  EXPECT_EQ(got.text("expected"), "1");
  EXPECT_EQ(got.text("seen"), "2");
  EXPECT_EQ(got.text("pointer"), "/input/base");
  EXPECT_TRUE(got.text("detail").starts_with("'a.md': expected ")) << got.text("detail");
  EXPECT_NE(got.text("detail").find("new key"), std::string::npos);
  EXPECT_EQ(got.text("receipt/status"), "failed");
  EXPECT_EQ(got.text("receipt/decision"), "new");
  EXPECT_EQ(got.text("receipt/next/action"), "none");
  EXPECT_EQ(server.store->content("a.md"), "theirs");
  const Got again = post();
  EXPECT_EQ(again.status(), 200);
  EXPECT_EQ(again.text("decision"), "duplicate");
  EXPECT_EQ(again.text("status"), "failed");
  const Got batch = server.post("/v1/operations/batch", R"({"key":"k3",)" + body.substr(1),
                                {{"Content-Type", "application/x-ndjson"}, {"Prefer", "wait=10"}});
  EXPECT_EQ(batch.number("status"), 412) << batch.response.body;
  EXPECT_EQ(batch.text("problem/expected"), "1");
}

TEST(Submit, T1_a_message_may_have_lines) {
  Server server;
  const Got got =
      server.post("/v1/operations", with_input(R"("key":"k1")")
                                        .insert(R"({"type":"write","input":{)"sv.size(),
                                                R"("message":"one\n\n\ttwo\r\nthree",)"));
  EXPECT_EQ(got.status(), 202) << got.response.body;
}

TEST(Submit, T1_what_is_no_json_says_where_and_why) {
  Server server;
  const auto detail = [&](const std::string& body) {
    const Got got = server.post("/v1/operations", body, {{"Idempotency-Key", "k"}});
    EXPECT_EQ(got.problem(), "malformed") << body.substr(0, 100);
    return got.text("detail");
  };
  EXPECT_NE(detail(std::string(100'000, '[')).find("nested deeper than 64"), std::string::npos);
  EXPECT_NE(detail("{\n\"type\" 1}").find("line 2, column 8: expected ':'"), std::string::npos);
  EXPECT_NE(detail(R"({"type":NaN})").find("NaN"), std::string::npos);
}

TEST(Submit, T1_a_coded_body_is_415_and_says_what_is_taken) {
  Server server;
  const auto post = [&](const char* coding) {
    return server.post("/v1/operations", Server::submission("a.md", "x"),
                       {{"Idempotency-Key", "k"}, {"Content-Encoding", coding}});
  };
  const Got got = post("gzip");
  EXPECT_EQ(got.status(), 415);
  EXPECT_EQ(got.problem(), "unsupported-media-type");
  EXPECT_NE(got.text("detail").find("identity"), std::string::npos);
  EXPECT_EQ(got.header("Accept-Encoding"), "identity");
  EXPECT_EQ(post("Identity").status(), 202);
}

TEST(Submit, T1_hostile_bodies_are_refused) {
  Server server;
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_EQ(server.post("/v1/operations", deep, {{"Idempotency-Key", "k"}}).problem(), "malformed");
  const Got large = server.post("/v1/operations", std::string(2U << 20, 'x'));
  EXPECT_EQ(large.status(), 413);
  EXPECT_EQ(large.problem(), "too-large");
  const std::string name(500'000, 'n');
  const Got quoted =
      server.post("/v1/operations", R"({")" + name + R"(":1})", {{"Idempotency-Key", "k"}});
  EXPECT_EQ(quoted.problem(), "malformed");
  EXPECT_LT(quoted.response.body.size(), 4'000U);
  EXPECT_EQ(
      server.post("/v1/operations", "{\"type\":\"\xff\"}", {{"Idempotency-Key", "k"}}).problem(),
      "malformed");
  EXPECT_EQ(server.get("/v1/status").number("ledger/operations"), 0);
}

TEST(Submit, T2_no_key_is_refused_and_the_answer_says_how_to_give_one) {
  Server server;
  const Got got = server.post("/v1/operations", Server::submission("a.md", "x"));
  EXPECT_EQ(got.status(), 400);
  EXPECT_EQ(got.problem(), "idempotency-key-required");
  EXPECT_NE(got.text("detail").find("Idempotency-Key"), std::string::npos);
  EXPECT_NE(got.text("detail").find("\"key\""), std::string::npos);
}

TEST(Submit, T1_only_json_is_taken) {
  Server server;
  for (const char* type :
       {"text/plain", "application/jsonx", "application/x-www-form-urlencoded"}) {
    const Got got = server.post("/v1/operations", Server::submission("a.md", "x"),
                                {{"Content-Type", type}, {"Idempotency-Key", "k"}});
    EXPECT_EQ(got.status(), 415) << type;
    EXPECT_EQ(got.problem(), "unsupported-media-type");
  }
  const Got fine =
      server.post("/v1/operations", Server::submission("a.md", "x"),
                  {{"Content-Type", "Application/JSON; charset=utf-8"}, {"Idempotency-Key", "k"}});
  EXPECT_EQ(fine.status(), 202);
}

TEST(Submit, V8_unchanged_is_confirmed_without_work) {
  Server server;
  ASSERT_EQ(server.write("k1", "a.md", "hello").status(), 201);
  const Got got = server.write("k2", "a.md", "hello");
  EXPECT_EQ(got.text("status"), "confirmed");
  EXPECT_EQ(got.text("state"), "unchanged");
  EXPECT_FALSE(got.at("changed").as_bool());
  EXPECT_EQ(got.text("artifacts/0/verdict"), "match");
}

TEST(Submit, V10_leaving_verification_out_is_shown_and_never_confirmed) {
  Server server;
  const Got got = server.post("/v1/operations",
                              R"({"type":"write","key":"k1","input":{"target":"docs","verify":false,
          "artifacts":[{"path":"a.md","content":"x"}]}})",
                              {{"Prefer", "wait=10"}});
  EXPECT_EQ(got.status(), 201);
  EXPECT_EQ(got.text("status"), "unverified");
  EXPECT_EQ(got.text("state"), "acknowledged");
  EXPECT_FALSE(got.at("verified").as_bool());
}

TEST(Submit, V7_every_level_is_in_the_receipt) {
  Server server;
  const Got got = server.write("k1", "a.md", "hello", "site");
  ASSERT_EQ(got.status(), 201);
  ASSERT_EQ(got.at("artifacts").items().size(), 2U);
  EXPECT_EQ(got.text("artifacts/0/level"), "store");
  EXPECT_EQ(got.text("artifacts/1/level"), "serving");
  EXPECT_EQ(got.text("artifacts/1/verdict"), "match");
}

TEST(Submit, T10_a_lie_ends_in_needs_action_with_its_tell_and_the_choices) {
  Server server;
  server.store->script({.kind = EffectKind::acknowledged, .lands = false, .reason = ""});
  const Got got = server.write("k1", "a.md", "hello");
  ASSERT_EQ(got.status(), 201);
  EXPECT_EQ(got.text("status"), "needs_action");
  EXPECT_FALSE(got.text("tell").empty());
  EXPECT_EQ(got.text("tells/0/tell"), got.text("tell"));
  EXPECT_EQ(got.number("tells/0/attempt"), 1);
  EXPECT_FALSE(got.text("reason").empty());
  EXPECT_EQ(got.text("next/action"), "decide");
  EXPECT_EQ(got.text("artifacts/0/verdict"), "mismatch");
}

TEST(Submit, T10_too_many_open_operations_are_429_with_retry_after) {
  ServerOptions options = quick();
  options.engine.open_max = 1;
  Server server(options);
  server.gate->shut();
  ASSERT_EQ(server.submit("k1", "a.md", "x").status(), 202);
  const Got got = server.submit("k2", "b.md", "x");
  EXPECT_EQ(got.status(), 429);
  EXPECT_EQ(got.problem(), "overloaded");
  EXPECT_FALSE(got.header("Retry-After").empty());
  EXPECT_EQ(std::to_string(got.number("retry_after")), got.header("Retry-After"));
}

TEST(Submit, T1_a_ledger_that_cannot_be_written_is_503_and_nothing_was_accepted) {
  ServerOptions options = quick();
  options.commit_faults = {CommitFault::rolled_back};
  Server server(options);
  const Got got = server.submit("k1", "a.md", "x");
  EXPECT_EQ(got.status(), 503);
  EXPECT_EQ(got.problem(), "ledger-unavailable");
  EXPECT_FALSE(got.header("Retry-After").empty());
  const Got ready = server.get("/readyz");
  EXPECT_EQ(ready.status(), 503);
  EXPECT_FALSE(ready.at("reasons").items().empty());
  Got later;
  // The engine pauses for half a second after a failed write; how many refusals fit is not ours.
  SystemClock clock;
  const auto give_up = clock.monotonic() + std::chrono::seconds(30);
  while (later.status() != 201 && clock.monotonic() < give_up) {
    later = server.write("k1", "a.md", "x");
  }
  EXPECT_EQ(later.status(), 201);
  EXPECT_EQ(later.text("decision"), "new");
  EXPECT_EQ(server.get("/readyz").status(), 200);
}

TEST(Submit, T1_a_commit_of_unknown_outcome_is_settled_before_the_answer) {
  ServerOptions options = quick();
  options.commit_faults = {CommitFault::unknown_applied};
  Server server(options);
  const Got got = server.write("k1", "a.md", "x");
  EXPECT_EQ(got.status(), 201) << got.response.body;
  EXPECT_EQ(got.text("status"), "confirmed");
}

TEST(Submit, T10_a_server_that_drains_is_503) {
  Server server;
  server.engine->begin_drain();
  const Got got = server.submit("k1", "a.md", "x");
  EXPECT_EQ(got.status(), 503);
  EXPECT_EQ(got.problem(), "draining");
  EXPECT_FALSE(got.header("Retry-After").empty());
  EXPECT_EQ(server.get("/readyz").status(), 503);
}

TEST(Submit, T10_a_wait_is_at_most_a_minute_and_says_what_was_applied) {
  Server server;
  const auto applied = [&](const std::string& prefer) {
    static int key = 0;
    return server
        .post("/v1/operations", Server::submission("a.md", "x"),
              {{"Idempotency-Key", "k" + std::to_string(++key)}, {"Prefer", prefer}})
        .header("Preference-Applied");
  };
  EXPECT_EQ(applied("wait=3600"), "wait=60");
  EXPECT_EQ(applied("respond-async, WAIT=\"5\"; x=1"), "wait=5");
  EXPECT_EQ(applied("wait=99999999999999999999999"), "wait=60");
  EXPECT_EQ(applied("wait=0"), "wait=0");
  EXPECT_EQ(applied("wait=soon"), "");
  EXPECT_EQ(applied("await=5"), "");
}

}  // namespace
}  // namespace trued::api
