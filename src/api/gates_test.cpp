// What stands before a target, as status, metrics and receipts tell of it.
#include <gtest/gtest.h>

#include "api/api_test_support.h"

namespace trued::api {
namespace {

ServerOptions with_a_long_pause() {
  ServerOptions options = quick();
  options.policy.retry.first = options.policy.retry.cap = Duration{600'000};
  options.policy.gates.breaker.consecutive = 3;
  options.policy.gates.breaker.open = options.policy.gates.breaker.open_max = Duration{600'000};
  options.policy.gates.rate = {.per_second = 1'000, .burst = 500};
  return options;
}

Got submit(Server& server, int number) {
  const std::string name = std::to_string(number);
  return server.call("POST", "/v1/operations", Server::submission("f" + name + ".md", "x"),
                     {{"Idempotency-Key", "k" + name}, {"Prefer", "respond-async"}});
}

// Operations that cannot reach their target, until its breaker is open.
void break_target(Server& server) {
  for (int i = 0; i < 3; ++i) {
    server.store->script({.kind = EffectKind::not_sent, .lands = false, .reason = "unreachable"});
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(submit(server, i).status(), 202);
  for (int i = 0; i < 50'000; ++i) {
    if (server.call("GET", "/v1/status").text("targets/0/gate/breaker/state") == "open") return;
  }
  ADD_FAILURE() << "the breaker never opened";
}

TEST(Gates, T5_status_tells_of_a_target_at_rest) {
  Server server(with_a_long_pause());
  const Got got = server.call("GET", "/v1/status");
  EXPECT_EQ(got.text("targets/0/gate/breaker/state"), "closed");
  EXPECT_TRUE(got.at("targets/0/gate/breaker/next_probe").is_null());
  EXPECT_EQ(got.number("targets/0/gate/budget/left"), 100);
  EXPECT_EQ(got.number("targets/0/gate/rate/left"), 500);
  EXPECT_EQ(got.number("targets/0/gate/concurrency"), 6);
}

TEST(Gates, T5_an_open_breaker_shows_in_status_metrics_and_receipts) {
  Server server(with_a_long_pause());
  break_target(server);
  const Got held = submit(server, 9);
  ASSERT_EQ(held.status(), 202) << held.response.body;
  const std::string why = "held: the circuit breaker of 'docs' is open until ";
  EXPECT_TRUE(held.text("reason").starts_with(why)) << held.response.body;
  EXPECT_FALSE(held.text("next/after").empty()) << held.response.body;
  EXPECT_EQ(held.text("state"), "accepted");

  const Got status = server.call("GET", "/v1/status");
  EXPECT_FALSE(status.text("targets/0/gate/breaker/next_probe").empty());
  EXPECT_EQ(status.number("targets/0/gate/breaker/opened_since_start"), 1);
  EXPECT_EQ(status.number("targets/0/gate/held/attempts"), 1);
  EXPECT_EQ(status.number("targets/0/gate/calls_since_start/first"), 3);
  EXPECT_EQ(status.number("targets/0/gate/held_since_start/breaker"), 1);
  EXPECT_EQ(status.text("targets/1/gate/breaker/state"), "closed") << "each target has its own";

  const std::string metrics = server.call("GET", "/metrics").response.body;
  for (const char* line :
       {"trued_target_breaker_state{target=\"docs\",state=\"open\"} 1",
        "trued_target_breaker_state{target=\"docs\",state=\"closed\"} 0",
        "trued_target_breaker_state{target=\"site\",state=\"closed\"} 1",
        "trued_target_breaker_opened_total{target=\"docs\"} 1",
        "trued_target_held{target=\"docs\",what=\"attempts\"} 1",
        "trued_target_held_total{target=\"docs\",reason=\"breaker\"} 1",
        "trued_target_calls_total{target=\"docs\",kind=\"first\"} 3",
        "trued_target_retry_budget_left{target=\"docs\"} 97",
        "trued_target_in_flight{target=\"docs\"} 0", "# TYPE trued_target_held_total counter"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line << "\n" << metrics;
  }
}

}  // namespace
}  // namespace trued::api
