// Who goes first where a target cannot take all at once.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace trued {
namespace {

OperationId submit(World& world, const std::string& key, Priority priority) {
  Submission submission = world.prepared(key, key + ".md", key);
  submission.priority = priority;
  (void)world.submit_prepared(std::move(submission), Duration{0});
  world.step();
  return world.id_of(key);
}

// The keys in the order in which their effects came to the store.
std::vector<std::string> in_order_of_arrival(World& world, const std::vector<std::string>& keys) {
  std::vector<std::pair<std::uint64_t, std::string>> ended;
  for (const std::string& key : keys) {
    for (const EventRecord& record : world.events(world.id_of(key))) {
      if (std::holds_alternative<EffectEnded>(record.event))
        ended.emplace_back(record.sequence, key);
    }
  }
  std::ranges::sort(ended);
  std::vector<std::string> order;
  for (const auto& [sequence, key] : ended) order.push_back(key);
  return order;
}

const std::vector<std::string> kKeys{"first", "low", "normal", "critical", "later"};

TEST(Priority, T10_decides_who_goes_next_where_jobs_wait) {
  World world(quick_policy(), {.jobs_per_target_max = 1});
  submit(world, "first", Priority::low);
  submit(world, "low", Priority::low);
  submit(world, "normal", Priority::normal);
  submit(world, "critical", Priority::critical);
  submit(world, "later", Priority::critical);
  world.settle();
  EXPECT_EQ(in_order_of_arrival(world, kKeys),
            (std::vector<std::string>{"first", "critical", "later", "normal", "low"}));
}

TEST(Priority, T10_decides_who_goes_next_where_the_rate_holds_back) {
  Policy policy = quick_policy();
  policy.gates.rate = {.per_second = 1, .burst = 1};
  World world(policy);
  submit(world, "first", Priority::low);
  submit(world, "low", Priority::low);
  submit(world, "normal", Priority::normal);
  submit(world, "critical", Priority::critical);
  submit(world, "later", Priority::critical);
  world.settle();
  EXPECT_EQ(in_order_of_arrival(world, kKeys),
            (std::vector<std::string>{"first", "critical", "later", "normal", "low"}));
}

}  // namespace
}  // namespace trued
