// The fault matrix against a real server: what the target says, and what is true.
#include <future>
#include <thread>

#include "pg/proxy_test.h"
#include "target/postgres/world_test.h"

namespace trued {
namespace {

class PostgresFaults : public testing::Test {
 protected:
  static void SetUpTestSuite() { world_ = std::make_unique<PostgresWorld>(); }
  static void TearDownTestSuite() { world_.reset(); }
  static PostgresWorld& world() { return *world_; }

  /// What becomes of `request`, and that it did not happen.
  static EffectEnded refused(PostgresTarget& target, const std::string& name, json::Value request) {
    const EffectEnded ended =
        target.perform(call_of(name, std::move(request), 1, Duration{5'000})).ended;
    EXPECT_EQ(world().executions(name), 0) << ended.reason;
    EXPECT_EQ(target.probe(call_of(name, {}).context).happened, Happened::no);
    return ended;
  }
  static json::Value effect(const std::string& second, const std::string& name,
                            const std::string& more = "") {
    const std::string text = R"j({"statements": [
        {"sql": "INSERT INTO execution (name) VALUES ($1)", "params": ["@N"]},
        {"sql": "@S"@M}]})j";
    return json_of(
        pg::replaced(pg::replaced(pg::replaced(text, "@N", name), "@S", second), "@M", more));
  }

 private:
  static std::unique_ptr<PostgresWorld> world_;
};
std::unique_ptr<PostgresWorld> PostgresFaults::world_;

TEST_F(PostgresFaults, T1_ok_then_rollback_is_a_rejection) {
  const auto target = world().target();
  const EffectEnded ended =
      refused(*target, "rb", effect("SELECT 1/$1::int", "rb", R"(, "params": [0])"));
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("22012"), std::string::npos) << ended.reason;
  EXPECT_NE(ended.reason.find("statement 2 of 2"), std::string::npos) << ended.reason;
}

TEST_F(PostgresFaults, T1_a_constraint_that_fails_at_commit_is_a_rejection) {
  world().server().sql(
      "CREATE TABLE deferred (a int, CONSTRAINT only_one UNIQUE (a) DEFERRABLE INITIALLY DEFERRED);"
      "GRANT ALL ON deferred TO app");
  const auto target = world().target();
  const EffectEnded ended =
      refused(*target, "def", effect("INSERT INTO deferred VALUES (1), (1)", "def"));
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("COMMIT"), std::string::npos) << ended.reason;
  EXPECT_NE(ended.reason.find("only_one"), std::string::npos) << ended.reason;
}

TEST_F(PostgresFaults, T1_what_a_rejection_says_holds_no_parameter) {
  const auto target = world().target();
  const char* secret = R"(, "params": ["4111-1111-1111-1111"])";
  const EffectEnded number = refused(*target, "p1", effect("SELECT $1::int", "p1", secret));
  EXPECT_EQ(number.kind, EffectKind::rejected_final);
  EXPECT_EQ(number.reason.find("4111"), std::string::npos) << number.reason;
  EXPECT_NE(number.reason.find("$1"), std::string::npos) << number.reason;
  world().server().sql(
      "CREATE TABLE card (number text PRIMARY KEY); GRANT ALL ON card TO app;"
      "INSERT INTO card VALUES ('4111-1111-1111-1111')");
  const EffectEnded twice =
      refused(*target, "p2", effect("INSERT INTO card VALUES ($1)", "p2", secret));
  EXPECT_EQ(twice.kind, EffectKind::rejected_final);
  EXPECT_EQ(twice.reason.find("4111"), std::string::npos) << twice.reason;
  EXPECT_NE(twice.reason.find("card_pkey"), std::string::npos) << twice.reason;
  EXPECT_NE(twice.reason.find("23505"), std::string::npos) << twice.reason;
}

TEST_F(PostgresFaults, T1_rows_that_were_expected_and_not_touched_undo_it) {
  const auto target = world().target();
  const EffectEnded ended = refused(*target, "rows",
                                    effect("UPDATE thing SET value = 'x' WHERE name = 'nobody'",
                                           "rows", R"(, "expect_rows": 1)"));
  EXPECT_EQ(ended.kind, EffectKind::rejected_final);
  EXPECT_NE(ended.reason.find("expected 1 row(s), seen 0"), std::string::npos) << ended.reason;
  const auto done = target->perform(call_of(
      "rows2", effect("INSERT INTO thing VALUES ('r2', '')", "rows2", R"(, "expect_rows": 1)")));
  EXPECT_EQ(done.ended.kind, EffectKind::acknowledged) << done.ended.reason;
}

TEST_F(PostgresFaults, T1_a_statement_that_takes_too_long_is_undone_and_may_be_repeated) {
  const auto target =
      world().target([](PostgresSpec& spec) { spec.statement_timeout = Duration{200}; });
  const EffectEnded ended = refused(*target, "slow", effect("SELECT pg_sleep(20)", "slow"));
  EXPECT_EQ(ended.kind, EffectKind::rejected_retryable);
  EXPECT_NE(ended.reason.find("57014"), std::string::npos) << ended.reason;
}

TEST_F(PostgresFaults, T1_a_deadlock_is_undone_and_may_be_repeated) {
  world().server().sql("INSERT INTO thing VALUES ('d1', ''), ('d2', '')");
  const auto target = world().target();
  pg::Session other = world().server().session();
  pg::PostgresServer::value(other,
                            "BEGIN; SET LOCAL deadlock_timeout = '60s';"
                            "UPDATE thing SET value = 'o' WHERE name = 'd2'");
  auto attempt = std::async(std::launch::async, [&] {
    return target
        ->perform(call_of("dead", json_of(R"j({"statements": [
            {"sql": "INSERT INTO execution (name) VALUES ('dead')"},
            {"sql": "UPDATE thing SET value = 'a' WHERE name = 'd1'"},
            {"sql": "UPDATE thing SET value = 'a' WHERE name = 'd2'"}]})j")))
        .ended;
  });
  ASSERT_TRUE(world().server().wait_for(
      "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"));
  pg::PostgresServer::value(other, "UPDATE thing SET value = 'o' WHERE name = 'd1'");
  const EffectEnded ended = attempt.get();
  EXPECT_EQ(ended.kind, EffectKind::rejected_retryable) << ended.reason;
  EXPECT_NE(ended.reason.find("40P01"), std::string::npos) << ended.reason;
  pg::PostgresServer::value(other, "ROLLBACK");
  EXPECT_EQ(world().executions("dead"), 0);
}

TEST_F(PostgresFaults, T1_a_serialization_failure_is_undone_and_may_be_repeated) {
  world().server().sql("INSERT INTO thing VALUES ('s1', '')");
  const auto target = world().target();
  pg::Session other = world().server().session();
  pg::PostgresServer::value(other, "BEGIN; UPDATE thing SET value = 'o' WHERE name = 's1'");
  auto attempt = std::async(std::launch::async, [&] {
    return target
        ->perform(call_of("serial", json_of(R"j({"isolation": "serializable", "statements": [
            {"sql": "INSERT INTO execution (name) VALUES ('serial')"},
            {"sql": "UPDATE thing SET value = 'a' WHERE name = 's1'"}]})j")))
        .ended;
  });
  ASSERT_TRUE(world().server().wait_for(
      "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"));
  pg::PostgresServer::value(other, "COMMIT");
  const EffectEnded ended = attempt.get();
  EXPECT_EQ(ended.kind, EffectKind::rejected_retryable) << ended.reason;
  EXPECT_NE(ended.reason.find("40001"), std::string::npos) << ended.reason;
  EXPECT_EQ(world().executions("serial"), 0);
}

TEST_F(PostgresFaults, T1_a_backend_killed_before_commit_is_a_rejection) {
  const auto target = world().target();
  const EffectEnded ended =
      refused(*target, "kill1", effect("SELECT pg_terminate_backend(pg_backend_pid())", "kill1"));
  EXPECT_EQ(ended.kind, EffectKind::rejected_retryable) << ended.reason;
  EXPECT_NE(ended.reason.find("COMMIT was not sent"), std::string::npos) << ended.reason;
  // A pooled connection that died in the meantime is no reason to fail.
  world().server().sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
  EXPECT_EQ(target->perform(call_of("kill2", put("kill2", "x"))).ended.kind,
            EffectKind::acknowledged);
}

TEST_F(PostgresFaults, T1_a_backend_killed_as_commit_begins_is_unknown_until_probed) {
  pg::Proxy proxy(world().server().port());
  const auto cut = world().target(
      [&](PostgresSpec& spec) { spec.url = world().server().url("app", "", proxy.port()); });
  const auto target = world().target();
  for (const bool after : {false, true}) {
    const std::string name = after ? "killa" : "killb";
    proxy.cut(after ? pg::Cut::hang_after : pg::Cut::hold);
    const int before = proxy.cuts();
    auto attempt = std::async(std::launch::async, [&] {
      return cut->perform(call_of(name, put(name, "x"), 1, Duration{5'000})).ended;
    });
    while (proxy.cuts() == before) pg::pause(5);
    if (after) {
      EXPECT_TRUE(
          world().server().wait_for("EXISTS (SELECT FROM execution WHERE name = '" + name + "')"));
    }
    world().server().sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
    if (!after) proxy.release();
    EXPECT_EQ(attempt.get().kind, EffectKind::unknown);
    EXPECT_EQ(world().executions(name), after ? 1 : 0);
    EXPECT_EQ(target->probe(call_of(name, {}).context).happened,
              after ? Happened::yes : Happened::no);
  }
}

TEST_F(PostgresFaults, T1_a_server_that_refuses_was_sent_nothing) {
  const auto target = world().target([](PostgresSpec& spec) {
    spec.url = "postgresql://app:s3cr3t-word@127.0.0.1:" +
               std::to_string(pg::PostgresServer::free_port()) + "/app";
  });
  const EffectEnded ended = target->perform(call_of("ref", put("ref", "x"))).ended;
  EXPECT_EQ(ended.kind, EffectKind::not_sent) << ended.reason;
  EXPECT_EQ(ended.reason.find("s3cr3t"), std::string::npos) << ended.reason;

  world().server().sql("ALTER ROLE app CONNECTION LIMIT 0");
  const auto full = world().target()->perform(call_of("full", put("full", "x"))).ended;
  world().server().sql("ALTER ROLE app CONNECTION LIMIT -1");
  EXPECT_EQ(full.kind, EffectKind::not_sent) << full.reason;
  EXPECT_NE(full.reason.find("too many connections"), std::string::npos) << full.reason;
}

TEST_F(PostgresFaults, T1_connections_that_are_all_taken_mean_that_nothing_was_sent) {
  const auto target = world().target([](PostgresSpec& spec) { spec.pool_max = 1; });
  auto long_one = std::async(std::launch::async, [&] {
    return target->perform(call_of("long", effect("SELECT pg_sleep(1)", "long"))).ended.kind;
  });
  ASSERT_TRUE(world().server().wait_for(
      "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"));
  const EffectEnded ended =
      target->perform(call_of("short", put("short", "x"), 1, Duration{200})).ended;
  EXPECT_EQ(ended.kind, EffectKind::not_sent);
  EXPECT_NE(ended.reason.find("pool_max"), std::string::npos) << ended.reason;
  EXPECT_EQ(long_one.get(), EffectKind::acknowledged);
}

TEST_F(PostgresFaults, T1_a_missing_marker_table_is_told_with_what_to_do) {
  const auto target = world().target([](PostgresSpec& spec) { spec.marker_table = "elsewhere"; });
  const EffectEnded ended = target->perform(call_of("miss", put("miss", "x"))).ended;
  EXPECT_EQ(ended.kind, EffectKind::rejected_retryable);
  EXPECT_NE(ended.reason.find("trued target install"), std::string::npos) << ended.reason;
  EXPECT_EQ(target->probe(call_of("miss", {}).context).happened, Happened::maybe);
}

TEST_F(PostgresFaults, V3_reads_are_bounded_read_only_and_deterministic) {
  const auto target = world().target();
  const auto read = [&](const std::string& sql, const std::string& more = "") {
    return target->read(call_of("r", json_of("{\"sql\": \"" + sql + "\"" + more + "}")));
  };
  world().server().sql(
      "ALTER ROLE app SET timezone = 'Asia/Tokyo'; ALTER ROLE app SET datestyle ="
      " 'German'; ALTER ROLE app SET extra_float_digits = -3");
  const RawRead typed = read(
      "SELECT 1 AS i, 9007199254740993 AS big, 19.90 AS money, 0.1::float8 + 0.2 AS f, true AS b,"
      " NULL AS n, '{\\\"b\\\":1, \\\"a\\\":[2]}'::jsonb AS j, 'NaN'::float8 AS nan,"
      " timestamptz '2026-11-21 12:00:00.5+01' AS t, 'x' AS s, 12345678901234567890.5 AS exact");
  EXPECT_EQ(typed.content,
            R"j([{"b":true,"big":"9007199254740993","exact":"12345678901234567890.5",)j"
            R"j("f":0.30000000000000004,"i":1,"j":{"a":[2],"b":1},"money":19.9,"n":null,)j"
            R"j("nan":"NaN","s":"x","t":"2026-11-21T11:00:00.5+00:00"}])j")
      << typed.detail;
  EXPECT_EQ(read("SELECT 1 AS a WHERE false").content, "[]");
  EXPECT_EQ(read("SELECT 1 AS a WHERE false", ", \"single\": true").seen, Seen::absent);
  EXPECT_EQ(read("VALUES (1), (2)", ", \"single\": true").seen, Seen::unreadable);
  EXPECT_EQ(read("SELECT 1 AS a, 2 AS a").seen, Seen::unreadable);
  EXPECT_EQ(read("SELECT generate_series(1, 20000)").seen, Seen::unreadable);
  EXPECT_EQ(read("SELECT repeat('x', 2000000)").seen, Seen::unreadable);
  EXPECT_EQ(read("SELECT nextval('execution_id_seq')").seen, Seen::unreadable);
  EXPECT_EQ(read("WITH x AS (DELETE FROM execution RETURNING 1) TABLE x").seen, Seen::unreadable);
  EXPECT_EQ(read("SELECT 1").seen, Seen::found);
}

TEST_F(PostgresFaults, T1_a_crash_of_the_server_during_commit_loses_and_repeats_nothing) {
  PostgresWorld fragile({"wal_level=replica"});  // with fsync, so that a commit survives
  pg::Proxy proxy(fragile.server().port());
  const auto cut = fragile.target(
      [&](PostgresSpec& spec) { spec.url = fragile.server().url("app", "", proxy.port()); });
  for (const pg::Cut how : {pg::Cut::hold, pg::Cut::hang_after}) {
    const bool after = how == pg::Cut::hang_after;
    const std::string name = after ? "crasha" : "crashb";
    proxy.cut(how);
    const int before = proxy.cuts();
    auto attempt = std::async(std::launch::async, [&] {
      return cut->perform(call_of(name, put(name, "x"), 1, Duration{10'000})).ended;
    });
    while (proxy.cuts() == before) pg::pause(5);
    if (after) {
      EXPECT_TRUE(
          fragile.server().wait_for("EXISTS (SELECT FROM execution WHERE name = '" + name + "')"));
    }
    fragile.server().crash();
    if (!after) proxy.release();
    EXPECT_EQ(attempt.get().kind, EffectKind::unknown);
    fragile.server().start();
    proxy.cut(pg::Cut::none);
    const auto target = fragile.target();
    EXPECT_EQ(fragile.executions(name), after ? 1 : 0);
    const EffectEnded again = target->perform(call_of(name, put(name, "x"), 2)).ended;
    EXPECT_EQ(again.kind, EffectKind::acknowledged) << again.reason;
    EXPECT_EQ(again.changed, !after);
    EXPECT_EQ(fragile.executions(name), 1);
  }
}

// synchronous_standby_names names a standby that is not there; an administrator cancels the wait.
TEST_F(PostgresFaults, T1_a_commit_whose_replication_was_cancelled_is_no_success) {
  PostgresWorld alone({"fsync=off", "max_wal_senders=4"});
  const auto target = alone.target();
  ASSERT_EQ(target->perform(call_of("sync0", put("sync0", "x"))).ended.kind,
            EffectKind::acknowledged);
  alone.server().sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  alone.server().sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(alone.server().wait_for("current_setting('synchronous_standby_names') = 'nobody'"));
  // Every wait for the standby, until the one that is meant is over.
  const auto while_cancelling = [&](auto work) {
    auto outcome = std::async(std::launch::async, work);
    while (outcome.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
      alone.server().sql(
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
          " WHERE wait_event = 'SyncRep'");
    }
    return outcome.get();
  };
  const EffectEnded ended = while_cancelling([&] {
    return target->perform(call_of("sync", put("sync", "x"), 1, Duration{20'000})).ended;
  });
  EXPECT_EQ(ended.kind, EffectKind::unknown) << ended.reason;
  EXPECT_NE(ended.reason.find("replication"), std::string::npos) << ended.reason;
  EXPECT_EQ(alone.executions("sync"), 1) << "it stands there, on this server alone";

  // Seen here, and nowhere confirmed: no read, probe or repeat takes it for done.
  const json::Value look = json_of(R"j({"sql": "SELECT value FROM thing WHERE name = 'sync'"})j");
  const RawRead back = target->read(call_of("sync", look, 1, Duration{700}));
  EXPECT_EQ(back.seen, Seen::unreadable) << back.content;
  EXPECT_NE(back.detail.find("replication"), std::string::npos) << back.detail;
  EXPECT_EQ(target->probe(call_of("sync", {}, 1, Duration{700}).context).happened, Happened::maybe);
  EXPECT_EQ(while_cancelling([&] { return target->probe(call_of("sync", {}).context).happened; }),
            Happened::maybe);
  const auto repeat = target->perform(call_of("sync", put("sync", "x"), 2, Duration{700})).ended;
  EXPECT_EQ(repeat.kind, EffectKind::unknown) << repeat.reason;

  // The standby is back, or was given up by whoever may: then it is so.
  alone.server().sql("ALTER SYSTEM RESET synchronous_standby_names");
  alone.server().sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(alone.server().wait_for("current_setting('synchronous_standby_names') = ''"));
  EXPECT_EQ(target->probe(call_of("sync", {}).context).happened, Happened::yes);
  EXPECT_EQ(target->read(call_of("sync", look)).seen, Seen::found);
  EXPECT_EQ(alone.executions("sync"), 1);
}

}  // namespace
}  // namespace trued
