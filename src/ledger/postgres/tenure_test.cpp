#include "ledger/postgres/postgres_test_support.h"
#include "pg/proxy_test.h"

namespace trued::test {
namespace {

const TenureOptions kQuick{.node = "quick", .lease = Duration{600}, .margin = Duration{100}};

std::chrono::nanoseconds now() { return SystemClock().monotonic(); }

// Tries as a candidate does; how long it took.
Duration take(PostgresTenure& tenure) {
  const auto begin = now();
  for (int tries = 0; tries < 1'000; ++tries) {
    const auto taken = tenure.try_take();
    if (taken.has_value() && *taken) break;
    pg::pause(static_cast<int>(tenure.pause().count()));
  }
  EXPECT_TRUE(tenure.holds());
  return std::chrono::duration_cast<Duration>(now() - begin);
}

bool comes_to_pass(const std::function<bool()>& condition) {
  for (int tries = 0; tries < 2'000; ++tries) {
    if (condition()) return true;
    pg::pause(5);
  }
  return false;
}

TEST(PostgresTenure, T1_a_fresh_ledger_is_taken_at_once_and_a_held_one_after_its_lease) {
  const Area area;
  auto first = area.tenure(kQuick);
  EXPECT_FALSE(first->holds());
  ASSERT_TRUE(first->try_take().value());
  const auto second = area.tenure({.node = "second", .lease = Duration{600}});
  EXPECT_FALSE(second->try_take().value());
  EXPECT_EQ(second->who().node, "quick");
  // Silent from here on, as if it had been killed.
  first.reset();
  EXPECT_GE(take(*second), Duration{600});
  EXPECT_EQ(second->claim().epoch, 2U);
}

TEST(PostgresTenure, T1_a_holder_that_lives_is_never_overtaken) {
  const Area area;
  const TenureOptions steady{.node = "steady", .lease = Duration{2'000}, .margin = Duration{100}};
  const auto first = area.tenure(steady);
  ASSERT_TRUE(first->try_take().value());
  const auto second = area.tenure(steady);
  const auto until = now() + std::chrono::milliseconds(4'500);
  while (now() < until) {
    EXPECT_FALSE(second->try_take().value());
    EXPECT_TRUE(first->holds());
    pg::pause(20);
  }
  EXPECT_EQ(area.sql("SELECT epoch FROM @head"), "1");
}

TEST(PostgresTenure, T1_what_is_given_back_is_free_at_once) {
  const Area area;
  const auto first = area.tenure({.lease = Duration{60'000}});
  ASSERT_TRUE(first->try_take().value());
  first->release();
  EXPECT_FALSE(first->holds());
  const auto second = area.tenure(kQuick);
  EXPECT_TRUE(second->try_take().value());
}

TEST(PostgresTenure, T1_overtaken_it_never_holds_again) {
  const Area area;
  const auto first = area.tenure(kQuick);
  ASSERT_TRUE(first->try_take().value());
  (void)area.seize();
  EXPECT_TRUE(comes_to_pass([&] { return first->lost(); }));
  EXPECT_FALSE(first->holds());
  first->release();
  EXPECT_EQ(area.sql("SELECT released FROM @holder"), "f") << "another's is not given back";
}

TEST(PostgresTenure, T1_nobody_holds_while_the_server_is_out_of_reach_and_the_same_one_may_again) {
  const Area area;
  pg::Proxy proxy(server().port());
  (void)area.tenure();
  const auto holder = std::move(PostgresTenure::open(area.place(proxy.port()), kQuick)).value();
  ASSERT_TRUE(holder->try_take().value());
  EXPECT_TRUE(comes_to_pass([&] { return area.sql("SELECT beat > 1 FROM @holder") == "t"; }));
  proxy.cut(pg::Cut::refuse);
  EXPECT_TRUE(comes_to_pass([&] { return !holder->holds(); }));
  EXPECT_FALSE(holder->lost());
  proxy.cut(pg::Cut::none);
  EXPECT_TRUE(comes_to_pass([&] { return holder->holds(); }));
}

TEST(PostgresTenure, T1_a_renewal_that_reached_no_standby_does_not_count) {
  pg::PostgresServer alone;
  const Area area(alone);
  const auto holder = area.tenure(kQuick);
  ASSERT_TRUE(holder->try_take().value());
  alone.sql("ALTER SYSTEM SET synchronous_standby_names = 'away'");
  alone.sql("SELECT pg_reload_conf()");
  EXPECT_TRUE(comes_to_pass([&] { return !holder->holds(); }));
  for (int i = 0; i < 3; ++i) {
    alone.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    EXPECT_FALSE(holder->holds());
    pg::pause(50);
  }
  alone.sql("ALTER SYSTEM RESET synchronous_standby_names");
  alone.sql("SELECT pg_reload_conf()");
  EXPECT_TRUE(comes_to_pass([&] { return holder->holds(); }));
}

TEST(PostgresTenure, T1_a_take_over_waits_for_a_commit_under_way) {
  const Area area;
  auto first = area.tenure(kQuick);
  ASSERT_TRUE(first->try_take().value());
  first.reset();
  pg::Session committing = server().session();
  pg::PostgresServer::value(committing,
                            "BEGIN; UPDATE " + area.name() + ".head SET settled = settled");
  const auto second = area.tenure(kQuick);
  bool refused = false;
  EXPECT_TRUE(comes_to_pass([&] {
    const auto taken = second->try_take();
    refused = !taken.has_value();
    EXPECT_FALSE(taken.has_value() && *taken);
    return refused;
  }));
  pg::PostgresServer::value(committing, "COMMIT");
  (void)take(*second);
}

}  // namespace
}  // namespace trued::test
