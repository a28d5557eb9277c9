// Reading operations, and what people decide about them.
#include <thread>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

TEST(Operations, T10_a_receipt_can_be_read_by_id) {
  Server server;
  const Got made = server.write("k1", "a.md", "hello");
  const Got got = server.get("/v1/operations/" + made.text("id"));
  ASSERT_EQ(got.status(), 200);
  EXPECT_EQ(got.text("id"), made.text("id"));
  EXPECT_EQ(got.text("status"), "confirmed");
  EXPECT_TRUE(got.at("decision").is_null());
  const Got head = server.call("HEAD", "/v1/operations/" + made.text("id"));
  EXPECT_EQ(head.status(), 200);
  EXPECT_TRUE(head.response.body.empty());
  EXPECT_EQ(head.header("Content-Type"), "application/json");
}

TEST(Operations, T10_a_long_poll_answers_when_it_has_settled) {
  Server server;
  server.gate->shut();
  const Got made = server.submit("k1", "a.md", "hello");
  const std::string path = "/v1/operations/" + made.text("id");
  EXPECT_EQ(server.get(path + "?wait=0").text("status"), "pending");
  std::thread opener([&] {
    while (server.engine->stats().waiters == 0) std::this_thread::yield();
    server.gate->open();
  });
  const Got got = server.get(path + "?wait=30");
  opener.join();
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.text("status"), "confirmed");
  EXPECT_EQ(server.get(path + "?wait=soon").problem(), "malformed");
  EXPECT_EQ(server.get(path + "?wait=-1").problem(), "malformed");
}

TEST(Operations, T10_unknown_ids_are_404) {
  Server server;
  const std::string unknown = "op_00000000000000000000000000";
  for (const std::string& path : {"/v1/operations/nonsense", "/v1/operations/nonsense/events"}) {
    EXPECT_EQ(server.get(path).problem(), "no-such-operation") << path;
  }
  EXPECT_EQ(server.get("/v1/operations/" + unknown).problem(), "no-such-operation");
  EXPECT_EQ(server.get("/v1/operations/" + unknown + "?wait=1").problem(), "no-such-operation");
  EXPECT_EQ(server.get("/v1/operations/" + unknown + "/events").problem(), "no-such-operation");
  for (const char* verb : {"retry", "cancel"}) {
    const std::string path = "/v1/operations/" + unknown + "/" + verb;
    EXPECT_EQ(server.post(path, "").problem(), "no-such-operation") << path;
  }
  EXPECT_EQ(server.post("/v1/operations/x/retry", "").problem(), "no-such-operation");
  const Got got = server.get("/v1/operations/" + unknown);
  EXPECT_EQ(got.status(), 404);
  EXPECT_EQ(got.text("instance"), "/v1/operations/" + unknown);
}

TEST(Operations, T4_the_history_of_an_operation_can_be_read) {
  Server server;
  const Got made = server.write("k1", "a.md", "hello");
  const Got got = server.get("/v1/operations/" + made.text("id") + "/events");
  ASSERT_EQ(got.status(), 200);
  EXPECT_EQ(got.text("id"), made.text("id"));
  EXPECT_EQ(got.text("events/0/event"), "accepted");
  EXPECT_EQ(got.text("events/0/key"), "k1");
  EXPECT_EQ(got.text("events/0/artifacts/0/name"), "a.md");
  EXPECT_EQ(got.text("events/1/event"), "attempt_started");
  const auto& events = got.at("events").items();
  EXPECT_EQ(events.back().find("event")->as_string(), "settled");
  EXPECT_EQ(events.back().find("state")->as_string(), "confirmed");
}

TEST(Operations, T4_repeats_are_in_the_history) {
  ServerOptions options = quick();
  options.engine.repeats_every = Duration{1};
  Server server(options);
  const Got made = server.write("k1", "a.md", "hello");
  ASSERT_EQ(server.write("k1", "a.md", "hello").text("decision"), "duplicate");
  std::string last;
  for (int i = 0; i < 2'000 && last != "repeated"; ++i) {
    const Got got = server.get("/v1/operations/" + made.text("id") + "/events");
    last = got.at("events").items().back().find("event")->as_string();
  }
  EXPECT_EQ(last, "repeated");
}

TEST(Operations, T10_lists_are_newest_first_in_pages) {
  Server server;
  for (int i = 0; i < 5; ++i) {
    server.write("k" + std::to_string(i), std::to_string(i), "x", i % 2 == 0 ? "docs" : "site");
  }
  const Got first = server.get("/v1/operations?limit=3");
  ASSERT_EQ(first.status(), 200);
  ASSERT_EQ(first.at("operations").items().size(), 3U);
  EXPECT_EQ(first.text("operations/0/key"), "k4");
  ASSERT_FALSE(first.text("cursor").empty());
  const Got second = server.get("/v1/operations?limit=3&cursor=" + first.text("cursor"));
  ASSERT_EQ(second.at("operations").items().size(), 2U);
  EXPECT_EQ(second.text("operations/1/key"), "k0");
  EXPECT_TRUE(second.at("cursor").is_null());
  EXPECT_EQ(server.get("/v1/operations?target=site").at("operations").items().size(), 2U);
  EXPECT_EQ(server.get("/v1/operations?key=k2").text("operations/0/key"), "k2");
  EXPECT_EQ(server.get("/v1/operations?scope=other").at("operations").items().size(), 0U);
  EXPECT_EQ(
      server.get("/v1/operations?status=confirmed&type=write").at("operations").items().size(), 5U);
  EXPECT_EQ(server.get("/v1/operations?state=failed").at("operations").items().size(), 0U);
  EXPECT_EQ(server.get("/v1/operations?since=2020-01-01T00:00:00Z&until=2021-01-01T00:00:00Z")
                .at("operations")
                .items()
                .size(),
            0U);
}

TEST(Operations, T10_parameters_that_make_no_sense_are_400) {
  Server server;
  for (const char* query :
       {"colour=red", "limit=0", "limit=1001", "limit=many", "limit=1&limit=2", "state=done",
        "status=ok", "since=yesterday", "until=1", "cursor=abc", "wait=1", "%zz=1"}) {
    const Got got = server.get(std::string("/v1/operations?") + query);
    EXPECT_EQ(got.status(), 400) << query;
    EXPECT_EQ(got.problem(), "malformed") << query;
  }
  EXPECT_EQ(server.get("/v1/status?verbose").problem(), "malformed");
  EXPECT_EQ(server.get("/healthz?token=secret").problem(), "malformed");
}

TEST(People, T10_a_failed_operation_can_be_tried_again) {
  Server server;
  server.store->script({.kind = EffectKind::rejected_final, .lands = false, .reason = "no"});
  const Got failed = server.write("k1", "a.md", "hello");
  const std::string path = "/v1/operations/" + failed.text("id");
  ASSERT_EQ(failed.text("status"), "failed");
  const Got retried = server.post(path + "/retry", R"({"who":"ada","why":"mended"})");
  EXPECT_EQ(retried.status(), 200) << retried.response.body;
  EXPECT_EQ(server.get(path + "?wait=10").text("status"), "confirmed");
  const Got events = server.get(path + "/events");
  bool seen = false;
  for (const json::Value& event : events.at("events").items()) {
    if (event.find("event")->as_string() != "person_acted") continue;
    seen = true;
    EXPECT_EQ(event.find("action")->as_string(), "retry");
    EXPECT_EQ(event.find("who")->as_string(), "ada");
    EXPECT_EQ(event.find("why")->as_string(), "mended");
  }
  EXPECT_TRUE(seen);
}

TEST(People, T10_what_needs_action_is_resolved_by_a_person) {
  Server server;
  server.store->script({.kind = EffectKind::acknowledged, .lands = false, .reason = ""});
  const Got lied = server.write("k1", "a.md", "hello");
  const std::string path = "/v1/operations/" + lied.text("id");
  ASSERT_EQ(lied.text("status"), "needs_action");
  EXPECT_EQ(server.get("/v1/status").number("ledger/needs_action"), 1);
  const Got vague = server.post(path + "/resolve", R"({"verdict":"fine"})");
  EXPECT_EQ(vague.status(), 422);
  EXPECT_EQ(vague.problem(), "input-invalid");
  EXPECT_EQ(vague.text("pointer"), "/verdict");
  EXPECT_EQ(server.post(path + "/resolve", "{}").problem(), "input-invalid");
  EXPECT_EQ(server.post(path + "/resolve", "").problem(), "unsupported-media-type");
  const Got got = server.post(path + "/resolve", R"({"verdict":"it_did_not"})");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.text("status"), "failed");
  const Got again = server.post(path + "/resolve", R"({"verdict":"it_happened"})");
  EXPECT_EQ(again.status(), 409);
  EXPECT_EQ(again.problem(), "not-resolvable");
}

TEST(People, V10_it_happened_is_unverified_not_confirmed) {
  Server server;
  server.store->script({.kind = EffectKind::acknowledged, .lands = false, .reason = ""});
  const Got lied = server.write("k1", "a.md", "hello");
  const Got got = server.post("/v1/operations/" + lied.text("id") + "/resolve",
                              R"({"verdict":"it_happened","why":"seen in the shop"})");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.text("status"), "unverified");
}

TEST(People, T10_an_operation_is_withdrawn_before_anything_was_sent) {
  Server server;
  const Got made = server.post(
      "/v1/operations",
      R"({"type":"write","key":"k1","not_before":"2099-01-01T00:00:00Z","input":{"target":"docs",
          "artifacts":[{"path":"a.md","content":"x"}]}})");
  ASSERT_EQ(made.status(), 202) << made.response.body;
  EXPECT_EQ(made.text("state"), "accepted");
  const std::string path = "/v1/operations/" + made.text("id");
  const Got got = server.post(path + "/cancel", "");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.text("status"), "canceled");
  const Got again = server.post(path + "/cancel", "");
  EXPECT_EQ(again.status(), 409);
  EXPECT_EQ(again.problem(), "not-cancelable");
  EXPECT_EQ(server.store->performed(), 0U);
}

TEST(People, T10_what_is_confirmed_can_neither_be_withdrawn_nor_tried_again) {
  Server server;
  const Got made = server.write("k1", "a.md", "x");
  const std::string path = "/v1/operations/" + made.text("id");
  EXPECT_EQ(server.post(path + "/cancel", "{}").problem(), "not-cancelable");
  EXPECT_EQ(server.post(path + "/retry", "{}").problem(), "not-retryable");
}

TEST(People, T10_malformed_decisions_are_refused) {
  Server server;
  const Got made = server.write("k1", "a.md", "x");
  const std::string path = "/v1/operations/" + made.text("id") + "/retry";
  EXPECT_EQ(server.post(path, "[]").problem(), "malformed");
  EXPECT_EQ(server.post(path, "{").problem(), "malformed");
  EXPECT_EQ(server.post(path, R"({"state":"confirmed"})").text("pointer"), "/state");
  EXPECT_EQ(server.post(path, R"({"verdict":"it_happened"})").text("pointer"), "/verdict");
  EXPECT_EQ(server.post(path, R"({"who":7})").text("pointer"), "/who");
  EXPECT_EQ(server.post(path, R"({"why":")" + std::string(5'000, 'x') + R"("})").text("pointer"),
            "/why");
  EXPECT_EQ(server.post(path, "{}", {{"Content-Type", "text/plain"}}).problem(),
            "unsupported-media-type");
}

TEST(Operations, T10_a_full_pool_is_429_and_the_metrics_are_still_there) {
  ServerOptions options = quick();
  options.pool_queue_max = 0;
  Server server(options);
  const Got made = server.write("k1", "a.md", "x");
  ASSERT_EQ(made.status(), 201);
  const Got got = server.get("/v1/operations/" + made.text("id"));
  EXPECT_EQ(got.status(), 429);
  EXPECT_EQ(got.problem(), "overloaded");
  EXPECT_EQ(got.header("Retry-After"), "1");
  EXPECT_EQ(server.get("/metrics").status(), 200);
  EXPECT_EQ(server.get("/healthz").status(), 200);
  const Got conflict = server.submit("k1", "a.md", "y");
  EXPECT_EQ(conflict.status(), 429);
  EXPECT_EQ(server.store->content("a.md"), "x");
}

TEST(Submit, T3_a_failed_operation_that_runs_again_is_no_replay) {
  ServerOptions options = quick();
  options.policy.on_failure = OnFailure::reexecute;
  Server server(options);
  const auto decline = [&] {
    server.store->script(
        {.kind = EffectKind::rejected_final, .lands = false, .reason = "read only"});
  };
  decline();
  const Got first = server.write("k1", "a.md", "hello");
  ASSERT_EQ(first.text("status"), "failed");
  decline();
  const Got failed = server.write("k1", "a.md", "hello");
  EXPECT_EQ(failed.status(), 201);
  EXPECT_EQ(failed.text("status"), "failed");
  EXPECT_EQ(failed.header("Idempotent-Replayed"), "false");
  server.gate->shut();
  const Got under_way = server.submit("k1", "a.md", "hello");
  EXPECT_EQ(under_way.status(), 202);
  EXPECT_EQ(under_way.header("Idempotent-Replayed"), "false");
  EXPECT_EQ(under_way.text("decision"), "in_flight");
  EXPECT_EQ(under_way.text("id"), first.text("id"));
  const Got beside = server.submit("k1", "a.md", "hello");
  EXPECT_EQ(beside.status(), 202);
  EXPECT_EQ(beside.header("Idempotent-Replayed"), "true") << "it made nothing run";
  server.gate->open();
  const Got after = server.write("k1", "a.md", "hello");
  EXPECT_EQ(after.status(), 200);
  EXPECT_EQ(after.header("Idempotent-Replayed"), "true");
  EXPECT_EQ(after.text("status"), "confirmed");
}

}  // namespace
}  // namespace trued::api
