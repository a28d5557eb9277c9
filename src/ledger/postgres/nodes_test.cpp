#include <atomic>

#include "ledger/postgres/postgres_nodes.h"
#include "ledger/postgres/postgres_test_support.h"

namespace trued::test {
namespace {

std::unique_ptr<PostgresNodes> node(const Area& area, const std::string& name) {
  return std::move(
             PostgresNodes::open(
                 area.place(),
                 {.name = name, .url = "http://" + name, .version = "1", .beat = Duration{100}}))
      .value();
}

std::vector<NodeRow> when(PostgresNodes& nodes,
                          const std::function<bool(const std::vector<NodeRow>&)>& wanted) {
  std::vector<NodeRow> rows;
  for (int tries = 0; tries < 2'000; ++tries) {
    auto listed = nodes.list();
    EXPECT_TRUE(listed.has_value()) << listed.error().message;
    rows = std::move(listed).value();
    if (wanted(rows)) return rows;
    pg::pause(5);
  }
  ADD_FAILURE() << "it did not come to pass";
  return rows;
}

TEST(PostgresNodes, each_says_what_it_is_and_the_others_see_it) {
  const Area area;
  (void)area.tenure();
  const auto a = node(area, "a");
  const auto b = node(area, "b");
  a->begin([] { return NodeState{.role = "acting", .epoch = 7, .detail = R"({"open":3})"}; },
           [] {});
  b->begin([] { return NodeState{.role = "standby"}; }, [] {});
  const auto rows = when(*b, [](const auto& all) { return all.size() == 2; });
  EXPECT_EQ(rows[0].name, "a");
  EXPECT_EQ(rows[0].url, "http://a");
  EXPECT_EQ(rows[0].role, "acting");
  EXPECT_EQ(rows[0].epoch, 7U);
  EXPECT_EQ(rows[0].detail, R"({"open":3})");
  EXPECT_TRUE(rows[0].alive);
  EXPECT_FALSE(rows[0].is_this);
  EXPECT_TRUE(rows[1].is_this);
  EXPECT_NEAR(static_cast<double>((SystemClock().wall() - rows[1].began).count()), 0, 60'000);
}

TEST(PostgresNodes, who_ends_in_order_is_gone_and_who_falls_silent_is_told) {
  const Area area;
  (void)area.tenure();
  const auto a = node(area, "a");
  auto b = node(area, "b");
  a->begin([] { return NodeState{.role = "acting"}; }, [] {});
  b->begin([] { return NodeState{.role = "standby"}; }, [] {});
  (void)when(*a, [](const auto& all) { return all.size() == 2; });
  b.reset();
  EXPECT_EQ(when(*a, [](const auto&) { return true; }).size(), 1U);
  area.sql(
      "INSERT INTO @node(instance, name, url, version, role, epoch, detail, beat) VALUES "
      "('x', 'killed', '', '1', 'standby', 0, '{}', 50)");
  const auto rows = when(*a, [](const auto& all) { return all.size() == 2 && !all.back().alive; });
  EXPECT_EQ(rows.back().name, "killed");
  EXPECT_GT(rows.back().silent, Duration{50});
}

TEST(PostgresNodes, a_node_started_again_replaces_what_it_left_behind) {
  const Area area;
  (void)area.tenure();
  area.sql(
      "INSERT INTO @node(instance, name, url, version, role, epoch, detail, beat, seen) VALUES "
      "('x', 'a', '', '1', 'acting', 1, '{}', 50, clock_timestamp() - interval '1 minute')");
  const auto a = node(area, "a");
  a->begin([] { return NodeState{.role = "standby"}; }, [] {});
  const auto rows = when(*a, [](const auto& all) { return all.size() == 1 && all[0].is_this; });
  EXPECT_EQ(rows[0].role, "standby");
}

TEST(PostgresNodes, T1_whoever_listens_hears_at_once_that_the_ledger_was_given_back) {
  const Area area;
  const auto holder = area.tenure({.lease = Duration{600'000}});
  ASSERT_TRUE(holder->try_take().value());
  std::atomic<int> heard{0};
  const auto b = node(area, "b");
  b->begin([] { return NodeState{.role = "standby"}; }, [&] { ++heard; });
  (void)when(*b, [](const auto& all) { return all.size() == 1; });
  const int before = heard.load();
  holder->release();
  for (int tries = 0; tries < 2'000 && heard.load() == before; ++tries) pg::pause(5);
  EXPECT_GT(heard.load(), before);
  const auto next = area.tenure({.lease = Duration{600'000}});
  EXPECT_TRUE(next->try_take().value());
}

TEST(PostgresNodes, it_goes_on_when_the_server_comes_back) {
  pg::PostgresServer alone;
  const Area area(alone);
  (void)area.tenure();
  const auto a = node(area, "a");
  std::atomic<int> heard{0};
  a->begin([] { return NodeState{.role = "standby"}; }, [&] { ++heard; });
  (void)when(*a, [](const auto& all) { return all.size() == 1; });
  const int before = heard.load();
  alone.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
      "'trued node'");
  for (int tries = 0; tries < 2'000 && heard.load() == before; ++tries) pg::pause(5);
  EXPECT_GT(heard.load(), before) << "it may have missed something meanwhile, so it looks";
}

}  // namespace
}  // namespace trued::test
