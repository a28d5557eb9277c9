// Acknowledged means durable and replicated, whatever a role, a trigger or an effect sets.
#include <future>

#include "target/postgres/world_test.h"

namespace trued {
namespace {

// A server whose synchronous standby is not there: every wait for it is cancelled by an
// administrator, so that nothing that is written here may be acknowledged.
class PostgresDurable : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    world_ =
        std::make_unique<PostgresWorld>(std::vector<std::string>{"fsync=off", "max_wal_senders=4"});
    server().sql(
        "CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " FOR i IN 1 .. 150 LOOP RAISE WARNING 'so it goes'; END LOOP; RETURN NULL; END $$;"
        "CREATE FUNCTION hush() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM set_config('client_min_messages', 'error', true),"
        " set_config('synchronous_commit', 'local', true); RETURN NULL; END $$;"
        "CREATE TABLE loud (name text); CREATE TABLE quiet (name text);"
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON loud DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION talk();"
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON quiet DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION hush();"
        "GRANT ALL ON loud, quiet TO app");
    server().sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server().sql("SELECT pg_reload_conf()");
    ASSERT_TRUE(server().wait_for("current_setting('synchronous_standby_names') = 'nobody'"));
  }
  static void TearDownTestSuite() { world_.reset(); }
  static pg::PostgresServer& server() { return world_->server(); }

  /// What becomes of an effect that does `sql` too, and that it stands on this server alone.
  static void expect_unknown(PostgresTarget& target, const std::string& name,
                             const std::string& sql) {
    const std::string text = R"j({"statements": [
        {"sql": "INSERT INTO execution (name) VALUES ('@N')"}, {"sql": "@S"}]})j";
    const json::Value request = json_of(pg::replaced(pg::replaced(text, "@N", name), "@S", sql));
    auto outcome = std::async(std::launch::async, [&] {
      return target.perform(call_of(name, json::Value(request.members()), 1, Duration{20'000}))
          .ended;
    });
    while (outcome.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
      server().sql(
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    }
    const EffectEnded ended = outcome.get();
    EXPECT_EQ(ended.kind, EffectKind::unknown) << sql << ": " << ended.reason;
    EXPECT_NE(ended.reason.find("replication"), std::string::npos) << ended.reason;
    EXPECT_EQ(world_->executions(name), 1) << sql;
  }
  static std::unique_ptr<PostgresTarget> target(const std::string& options = "") {
    return world_->target([&](PostgresSpec& spec) { spec.url = server().url("app", options); });
  }

 private:
  static std::unique_ptr<PostgresWorld> world_;
};
std::unique_ptr<PostgresWorld> PostgresDurable::world_;

TEST_F(PostgresDurable, T1_a_server_told_to_keep_its_warnings_says_what_was_not_replicated) {
  expect_unknown(*target("&options=-c%20client_min_messages%3Derror"), "url", "SELECT 1");
  server().sql("SET synchronous_commit = local; ALTER ROLE app SET client_min_messages = error");
  expect_unknown(*target(), "role", "SELECT 1");
  server().sql("SET synchronous_commit = local; ALTER ROLE app RESET client_min_messages");
  expect_unknown(*target(), "local", "SET LOCAL client_min_messages = error");
}

TEST_F(PostgresDurable, T1_a_warning_among_many_is_heard) {
  expect_unknown(*target(), "loud", "INSERT INTO loud VALUES ('x')");
}

TEST_F(PostgresDurable, T1_no_effect_chooses_to_be_less_durable) {
  const auto one = target();
  expect_unknown(*one, "quoted", R"(SET LOCAL \"synchronous_commit\" = off)");
  expect_unknown(*one, "config", "SELECT set_config('synchronous_commit', 'off', true)");
  expect_unknown(*one, "here", "SELECT set_config('synchronous_commit', 'local', true)");
  expect_unknown(*one, "session", "SELECT set_config('synchronous_commit', 'off', false)");
  expect_unknown(*one, "deferred", "INSERT INTO quiet VALUES ('x')");
}

}  // namespace
}  // namespace trued
