// The protocol of the marker: once, and a `no` that stays one. Against a real server.
#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "pg/proxy_test.h"
#include "target/postgres/world_test.h"

namespace trued {
namespace {

class PostgresProtocol : public testing::Test {
 protected:
  static void SetUpTestSuite() { world_ = std::make_unique<PostgresWorld>(); }
  static void TearDownTestSuite() { world_.reset(); }

  static PostgresWorld& world() { return *world_; }
  static std::string marker(const std::string& identity, const std::string& column) {
    return world().server().sql("SELECT " + column + "::text FROM trued_marker WHERE identity = '" +
                                identity + "'");
  }
  /// Waits until an attempt of `identity` runs and waits for a lock.
  static bool waits_for_a_lock(const std::string& identity) {
    return world().server().wait_for(
        "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND"
        " starts_with(application_name, '" +
        application_prefix(identity) + "'))");
  }

 private:
  static std::unique_ptr<PostgresWorld> world_;
};
std::unique_ptr<PostgresWorld> PostgresProtocol::world_;

TEST_F(PostgresProtocol, T2_fifty_attempts_of_one_identity_execute_it_once) {
  const auto target = world().target([](PostgresSpec& spec) { spec.pool_max = 25; });
  constexpr int kAttempts = 50;
  std::atomic<int> changed{0};
  std::atomic<int> acknowledged{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kAttempts; ++i) {
    threads.emplace_back([&, i] {
      const auto ended = target
                             ->perform(call_of("fifty", put("fifty", "x"),
                                               static_cast<std::uint32_t>(i + 1), Duration{60'000}))
                             .ended;
      if (ended.kind == EffectKind::acknowledged) ++acknowledged;
      if (ended.changed) ++changed;
      EXPECT_NE(ended.result.find("\"value\":\"x\""), std::string::npos) << ended.reason;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(acknowledged, kAttempts);
  EXPECT_EQ(changed, 1);
  EXPECT_EQ(world().executions("fifty"), 1);
}

TEST_F(PostgresProtocol, T2_concurrent_serializable_attempts_execute_it_once) {
  const auto target = world().target();
  json::Value request = put("ser", "x");
  request.members().emplace_back("isolation", json::Value("serializable"));
  std::atomic<int> changed{0};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 1; i <= 8; ++i) {
    threads.emplace_back([&, i] {
      const auto ended = target->perform(call_of("ser", json::Value(request.members()), i)).ended;
      EXPECT_TRUE(ended.kind == EffectKind::acknowledged ||
                  ended.kind == EffectKind::rejected_retryable)
          << ended.reason;
      if (ended.changed) ++changed;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(changed, 1);
  EXPECT_EQ(world().executions("ser"), 1);
}

// Attempt 1 hangs before its COMMIT leaves; a probe says no; the COMMIT comes all the same.
TEST_F(PostgresProtocol, T5_a_probe_that_says_no_makes_a_late_commit_fail) {
  pg::Proxy proxy(world().server().port());
  const auto slow = world().target(
      [&](PostgresSpec& spec) { spec.url = world().server().url("app", "", proxy.port()); });
  const auto target = world().target();
  proxy.cut(pg::Cut::hold);
  auto first = std::async(std::launch::async, [&] {
    return slow->perform(call_of("late", put("late", "one"), 1, Duration{30'000})).ended;
  });
  while (proxy.cuts() == 0) pg::pause(5);
  const Probed probed = target->probe(call_of("late", {}, 1).context);
  EXPECT_EQ(probed.happened, Happened::no) << probed.detail;
  proxy.release();
  const EffectEnded ended = first.get();
  // It had sent COMMIT and heard nothing good: it cannot know better itself.
  EXPECT_EQ(ended.kind, EffectKind::unknown) << ended.reason;
  EXPECT_EQ(world().executions("late"), 0);
  EXPECT_EQ(marker("late", "refused"), "1");

  // The same attempt once more, from the beginning: still refused.
  const EffectEnded again = target->perform(call_of("late", put("late", "one"), 1)).ended;
  EXPECT_EQ(again.kind, EffectKind::rejected_retryable) << again.reason;
  EXPECT_NE(again.reason.find("refused"), std::string::npos) << again.reason;
  EXPECT_EQ(world().executions("late"), 0);

  const EffectEnded second = target->perform(call_of("late", put("late", "two"), 2)).ended;
  EXPECT_EQ(second.kind, EffectKind::acknowledged) << second.reason;
  EXPECT_EQ(world().executions("late"), 1);
  EXPECT_EQ(target->probe(call_of("late", {}, 2).context).happened, Happened::yes);
  EXPECT_EQ(target->probe(call_of("late", {}, 1).context).happened, Happened::yes);
}

TEST_F(PostgresProtocol, T5_an_attempt_that_hangs_in_a_statement_is_ended_by_a_probe) {
  const auto target = world().target();
  pg::Session blocker = world().server().session();
  pg::PostgresServer::value(blocker, "BEGIN; LOCK TABLE thing");
  auto first = std::async(std::launch::async, [&] {
    return target->perform(call_of("stuck", put("stuck", "one"), 1, Duration{30'000})).ended;
  });
  ASSERT_TRUE(waits_for_a_lock("stuck"));
  const Probed probed = target->probe(call_of("stuck", {}, 1).context);
  EXPECT_EQ(probed.happened, Happened::no) << probed.detail;
  const EffectEnded ended = first.get();
  EXPECT_EQ(ended.kind, EffectKind::rejected_retryable) << ended.reason;
  pg::PostgresServer::value(blocker, "ROLLBACK");
  EXPECT_EQ(target->perform(call_of("stuck", put("stuck", "two"), 2)).ended.kind,
            EffectKind::acknowledged);
  EXPECT_EQ(world().executions("stuck"), 1);
}

TEST_F(PostgresProtocol, T5_a_probe_of_an_older_attempt_leaves_a_newer_one_alone) {
  const auto target = world().target();
  pg::Session blocker = world().server().session();
  pg::PostgresServer::value(blocker, "BEGIN; LOCK TABLE thing");
  auto second = std::async(std::launch::async, [&] {
    return target->perform(call_of("newer", put("newer", "two"), 2, Duration{30'000})).ended;
  });
  ASSERT_TRUE(waits_for_a_lock("newer"));
  CallContext context = call_of("newer", {}, 1).context;
  context.timeout = Duration{600};
  const Probed probed = target->probe(context);
  EXPECT_EQ(probed.happened, Happened::maybe);
  EXPECT_FALSE(probed.detail.empty());
  pg::PostgresServer::value(blocker, "ROLLBACK");
  EXPECT_EQ(second.get().kind, EffectKind::acknowledged);
  EXPECT_EQ(world().executions("newer"), 1);
}

// An attempt that a probe may not end keeps the answer open: a `no` would be a guess.
TEST_F(PostgresProtocol, T5_what_cannot_be_ended_is_maybe) {
  pg::Session other = world().server().session("postgres");
  pg::PostgresServer::value(other, "BEGIN; INSERT INTO trued_marker (identity) VALUES ('held')");
  const auto target = world().target();
  CallContext context = call_of("held", {}, 1).context;
  context.timeout = Duration{600};
  const Probed probed = target->probe(context);
  EXPECT_EQ(probed.happened, Happened::maybe);
  EXPECT_FALSE(probed.detail.empty());
}

TEST_F(PostgresProtocol, T5_probes_and_attempts_that_race_agree) {
  const auto target = world().target([](PostgresSpec& spec) { spec.pool_max = 8; });
  constexpr int kRounds = 40;
  int yes = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "race" + std::to_string(round);
    auto attempt = std::async(std::launch::async,
                              [&] { return target->perform(call_of(name, put(name, "x"))).ended; });
    if (round % 4 != 0) pg::pause(round % 8);
    const Probed probed = target->probe(call_of(name, {}).context);
    const EffectEnded ended = attempt.get();
    const int executed = world().executions(name);
    ASSERT_NE(probed.happened, Happened::maybe) << probed.detail;
    EXPECT_EQ(executed, probed.happened == Happened::yes ? 1 : 0);
    if (ended.kind == EffectKind::acknowledged) {
      EXPECT_EQ(executed, 1);
    } else {
      EXPECT_EQ(executed, ended.kind == EffectKind::unknown ? executed : 0) << ended.reason;
    }
    yes += executed;
  }
  RecordProperty("executed", yes);
}

TEST_F(PostgresProtocol, T2_a_repeat_gets_the_stored_result_also_after_the_ledger_was_lost) {
  const auto target = world().target();
  const EffectEnded first = target->perform(call_of("again", put("again", "x"))).ended;
  ASSERT_EQ(first.kind, EffectKind::acknowledged) << first.reason;
  EXPECT_TRUE(first.changed);
  Call repeat = call_of("again", put("again", "x"), 1);
  repeat.context.operation = *parse_operation_id("op_06cwz9s7m8000000000000000c");
  const EffectEnded second = target->perform(repeat).ended;
  EXPECT_EQ(second.kind, EffectKind::acknowledged) << second.reason;
  EXPECT_FALSE(second.changed);
  EXPECT_EQ(second.result, first.result);
  EXPECT_EQ(second.version, first.version);
  const Probed probed = target->probe(repeat.context);
  EXPECT_EQ(probed.happened, Happened::yes);
  EXPECT_EQ(probed.result, first.result);

  // Another effect under the identity is nobody's repeat.
  repeat.request = put("again", "y");
  const EffectEnded other = target->perform(repeat).ended;
  EXPECT_EQ(other.kind, EffectKind::rejected_final) << other.reason;
  EXPECT_NE(other.reason.find("op_"), std::string::npos) << other.reason;
  EXPECT_EQ(world().executions("again"), 1);
}

TEST_F(PostgresProtocol, T1_a_marker_that_the_statements_remove_undoes_them) {
  const auto target = world().target();
  ASSERT_EQ(target->perform(call_of("stays", put("stays", "x"))).ended.kind,
            EffectKind::acknowledged);
  const auto ended =
      target->perform(call_of("gone", json_of(R"j({"sql": "DELETE FROM trued_marker"})j"))).ended;
  EXPECT_EQ(ended.kind, EffectKind::rejected_final) << ended.reason;
  EXPECT_NE(world().server().sql("SELECT count(*) FROM trued_marker"), "0");
}

}  // namespace
}  // namespace trued
