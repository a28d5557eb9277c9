// What one operation leaves in its connection, and what the next one on it finds: nothing.
#include "target/postgres/world_test.h"

namespace trued {
namespace {

class PostgresSessionState : public testing::Test {
 protected:
  static void SetUpTestSuite() { world_ = std::make_unique<PostgresWorld>(); }
  static void TearDownTestSuite() { world_.reset(); }

  EffectKind perform(const std::string& name, const std::string& sql) {
    return target_->perform(call_of(name, json_of("{\"sql\": \"" + sql + "\"}"))).ended.kind;
  }
  /// As the next operation sees it.
  std::string seen(const std::string& expression) {
    const json::Value request =
        json_of("{\"sql\": \"SELECT " + expression + " AS v\", \"single\": true}");
    const RawRead read = target_->read(call_of("r", json::Value(request.members())));
    return read.seen == Seen::found ? read.content : read.detail;
  }
  /// As somebody else sees it.
  static std::string elsewhere(const std::string& expression) {
    return world_->server().sql("SELECT " + expression);
  }

  std::unique_ptr<PostgresTarget> target_ =
      world_->target([](PostgresSpec& spec) { spec.pool_max = 1; });

 private:
  static std::unique_ptr<PostgresWorld> world_;
};
std::unique_ptr<PostgresWorld> PostgresSessionState::world_;

TEST_F(PostgresSessionState, T6_a_setting_is_not_left_to_the_next_operation) {
  const std::string connection = seen("pg_backend_pid()");
  ASSERT_EQ(perform("set", "SELECT set_config('shop.tenant', 'acme', false)"),
            EffectKind::acknowledged);
  EXPECT_EQ(seen("coalesce(current_setting('shop.tenant', true), '')"), R"({"v":""})");
  EXPECT_EQ(seen("pg_backend_pid()"), connection) << "it is still of use";
  EXPECT_EQ(seen("current_setting('client_encoding')"), R"({"v":"UTF8"})");
}

TEST_F(PostgresSessionState, T6_an_advisory_lock_ends_with_its_operation) {
  constexpr const char* kFree = "pg_try_advisory_xact_lock(42)";
  ASSERT_EQ(perform("lock", "SELECT pg_advisory_lock(42)"), EffectKind::acknowledged);
  EXPECT_EQ(elsewhere(kFree), "t");
  EXPECT_EQ(perform("undone", "SELECT pg_advisory_lock(42), 1 / 0"), EffectKind::rejected_final);
  EXPECT_EQ(elsewhere(kFree), "t") << "no rollback releases one";
  EXPECT_EQ(seen("pg_advisory_lock(42)::text"), R"({"v":""})");
  EXPECT_EQ(elsewhere(kFree), "t") << "a read may take one too";
}

TEST_F(PostgresSessionState, T6_a_temporary_table_does_not_stand_before_the_real_one) {
  ASSERT_EQ(perform("temp", "CREATE TEMP TABLE thing (name text, value text)"),
            EffectKind::acknowledged);
  ASSERT_EQ(perform("after", "INSERT INTO thing VALUES ('after', 'x')"), EffectKind::acknowledged);
  EXPECT_EQ(elsewhere("count(*) FROM thing WHERE name = 'after'"), "1");
}

}  // namespace
}  // namespace trued
