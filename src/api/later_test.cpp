// Work at a later time: in order, and dropped at the end.
#include "api/later.h"

#include <future>
#include <mutex>
#include <vector>

#include <gtest/gtest.h>

namespace trued::api {
namespace {

TEST(Later, runs_in_the_order_of_time_whatever_the_order_of_asking) {
  SystemClock clock;
  Later later(clock);
  std::vector<int> order;
  std::promise<void> done;
  const auto now = clock.monotonic();
  const auto in = [&](int ms) { return now + std::chrono::milliseconds(ms); };
  later.at(in(30), [&] {
    order.push_back(3);
    done.set_value();
  });
  later.at(in(20), [&] { order.push_back(2); });
  later.at(in(-5), [&] { order.push_back(1); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(Later, what_waits_at_the_end_is_dropped_and_let_go) {
  SystemClock clock;
  Later later(clock);
  auto held = std::make_shared<int>(0);
  bool ran = false;
  later.at(clock.monotonic() + std::chrono::hours(1), [&ran, held] { ran = true; });
  EXPECT_EQ(held.use_count(), 2);
  later.stop();
  EXPECT_EQ(held.use_count(), 1);
  later.at(clock.monotonic(), [&ran, held] { ran = true; });
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(ran);
}

TEST(Later, work_may_ask_for_more) {
  SystemClock clock;
  Later later(clock);
  std::promise<void> done;
  later.at(clock.monotonic(), [&] { later.at(clock.monotonic(), [&done] { done.set_value(); }); });
  done.get_future().wait();
}

}  // namespace
}  // namespace trued::api
