#include "target/postgres/world_test.h"

namespace trued {
namespace {

class PostgresInstall : public testing::Test {
 protected:
  static void SetUpTestSuite() { world_ = std::make_unique<PostgresWorld>(); }
  static void TearDownTestSuite() { world_.reset(); }
  static PostgresWorld& world() { return *world_; }
  static PostgresSpec spec(const std::string& table) {
    PostgresSpec one = world_->spec();
    one.marker_table = table;
    return one;
  }
  static std::size_t steps(const PostgresSpec& one) {
    const auto planned = plan_marker_table(one, Duration{5'000});
    EXPECT_TRUE(planned.has_value()) << planned.error().message;
    return planned.has_value() ? planned->size() : 0;
  }

 private:
  static std::unique_ptr<PostgresWorld> world_;
};
std::unique_ptr<PostgresWorld> PostgresInstall::world_;

TEST_F(PostgresInstall, V10_planning_changes_nothing_and_installing_twice_does_it_once) {
  const PostgresSpec one = spec("ops.markers");
  EXPECT_EQ(steps(one), 4U);
  EXPECT_EQ(steps(one), 4U);
  const auto done = install_marker_table(one, Duration{5'000});
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_EQ(done->size(), 4U);
  EXPECT_EQ(steps(one), 0U);
  const auto again = install_marker_table(one, Duration{5'000});
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->empty());
  const auto target = world().target([](PostgresSpec& s) { s.marker_table = "ops.markers"; });
  EXPECT_EQ(target->perform(call_of("i", put("i", "x"))).ended.kind, EffectKind::acknowledged);
}

TEST_F(PostgresInstall, V10_an_older_table_is_brought_up_to_date) {
  pg::Session app = world().server().session("app");
  pg::PostgresServer::value(app,
                            "CREATE UNLOGGED TABLE older (identity text PRIMARY KEY);"
                            "INSERT INTO older VALUES ('kept')");
  const auto done = install_marker_table(spec("older"), Duration{5'000});
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_EQ(done->size(), 9U);
  EXPECT_EQ(steps(spec("older")), 0U);
  EXPECT_EQ(world().server().sql("SELECT count(*) FROM older"), "1");
}

TEST_F(PostgresInstall, V10_what_is_no_marker_table_is_left_alone) {
  pg::Session app = world().server().session("app");
  pg::PostgresServer::value(app,
                            "CREATE TABLE taken (identity text);"
                            "CREATE VIEW seen AS SELECT 1");
  for (const char* name : {"taken", "seen"}) {
    const auto done = install_marker_table(spec(name), Duration{5'000});
    ASSERT_FALSE(done.has_value()) << name;
    EXPECT_NE(done.error().message.find("marker_table"), std::string::npos) << done.error().message;
  }
}

TEST_F(PostgresInstall, V10_a_table_that_may_not_be_used_is_told_with_the_grant) {
  world().server().sql(
      "CREATE TABLE theirs (identity text PRIMARY KEY, operation text,"
      " attempt bigint, refused bigint, fingerprint text, actor text, xid text,"
      " result text, at timestamptz)");
  const auto planned = plan_marker_table(spec("theirs"), Duration{5'000});
  ASSERT_FALSE(planned.has_value());
  EXPECT_NE(planned.error().message.find("GRANT SELECT"), std::string::npos)
      << planned.error().message;
}

}  // namespace
}  // namespace trued
