// What an engine does while its ledger promises less than it must.
#include <gtest/gtest.h>

#include "engine/leases_test_support.h"
#include "ledger/durability.h"

namespace trued {
namespace {

constexpr const char* kWhy = "the ledger's durability is 'none'";

class HandFloor final : public DurabilityFloor {
 public:
  std::string below() const override { return is_below ? kWhy : ""; }
  void look_again() override { ++looks; }
  bool is_below = false;
  int looks = 0;
};

class FloorWorld : public World {
 public:
  explicit FloorWorld(Policy policy = quick_policy()) : World(policy) { restart(); }
  void restart() {
    engine.reset();
    runner.queue.clear();
    EnginePorts ports{ledger, targets, runner, clock, random};
    ports.floor = &floor;
    engine = std::make_unique<Engine>(ports, options_);
    recovered = engine->recover();
  }
  State state_of(const std::string& key) { return row(key).state; }
  Operation row(const std::string& key) {
    return *ledger.load(std::vector<Identity>{{"default", "write", key}}).value().front().operation;
  }
  bool knows(const std::string& key) {
    const auto known = ledger.load(std::vector<Identity>{{"default", "write", key}}).value();
    return known.front().operation.has_value();
  }
  /// Steps and works for so many milliseconds.
  void pass(int milliseconds) {
    const WallTime until = clock.now + Duration{milliseconds};
    live(100'000, [&] { return clock.now >= until; });
  }
  HandFloor floor;
};

TEST(EngineFloor, T6_a_submission_below_the_floor_is_refused_before_anything_is_committed) {
  FloorWorld world;
  world.floor.is_below = true;
  const auto asked = world.submit("k1", "a.md", "x");
  world.settle(3);
  ASSERT_TRUE(asked->answered());
  ASSERT_NE(asked->problem(), nullptr);
  EXPECT_EQ(asked->problem()->code, ProblemCode::below_floor);
  EXPECT_GT(asked->problem()->retry_after.count(), 0);
  EXPECT_NE(asked->problem()->detail.find(kWhy), std::string::npos);
  EXPECT_FALSE(world.knows("k1"));
  EXPECT_EQ(world.engine->stats().commits, 0U);
  EXPECT_EQ(world.engine->stats().refused, 1U);
  std::string reason;
  EXPECT_FALSE(world.engine->ready(reason));
  EXPECT_EQ(reason, kWhy);
  world.floor.is_below = false;
  const auto again = world.submit("k1", "a.md", "x");
  world.settle();
  EXPECT_EQ(again->operation().state, State::confirmed);
  EXPECT_TRUE(world.engine->ready(reason));
}

TEST(EngineFloor, T6_who_asks_for_what_is_known_is_answered) {
  FloorWorld world;
  world.submit("k1", "a.md", "x");
  world.settle();
  world.floor.is_below = true;
  const auto repeat = world.submit("k1", "a.md", "x");
  const auto conflict = world.submit("k1", "a.md", "y");
  world.settle(3);
  EXPECT_EQ(repeat->decision(), SubmitDecision::duplicate);
  EXPECT_EQ(repeat->operation().state, State::confirmed);
  EXPECT_EQ(conflict->decision(), SubmitDecision::conflict);
}

TEST(EngineFloor, T6_a_persons_choice_waits_for_the_floor) {
  Policy policy = quick_policy();
  policy.retry.attempts_max = 1;
  FloorWorld world(policy);
  world.store->script({.kind = EffectKind::rejected_retryable, .lands = false, .reason = "no"});
  world.submit("k1", "a.md", "x");
  world.settle();
  const OperationId id = world.id_of("k1");
  const State ended = world.state_of("k1");
  world.floor.is_below = true;
  auto chosen = world.person(id, PersonAction::retry);
  world.step();
  ASSERT_NE(chosen->problem(), nullptr);
  EXPECT_EQ(chosen->problem()->code, ProblemCode::below_floor);
  EXPECT_EQ(world.state_of("k1"), ended);
  world.floor.is_below = false;
  chosen = world.person(id, PersonAction::retry);
  world.settle();
  EXPECT_EQ(world.state_of("k1"), State::confirmed);
}

TEST(EngineFloor, T6_what_is_out_is_heard_read_back_and_recorded) {
  FloorWorld world;
  world.during_effect = [&] { world.floor.is_below = true; };
  const auto asked = world.submit("k1", "a.md", "x");
  world.live(1'000, [&] { return asked->answered(); });
  ASSERT_TRUE(asked->answered());
  EXPECT_TRUE(world.floor.is_below);
  EXPECT_EQ(world.state_of("k1"), State::confirmed);
}

TEST(EngineFloor, T6_no_effect_begins_below_the_floor_and_all_do_above_it) {
  FloorWorld world;
  const auto first = world.submit("k1", "a.md", "x");
  const auto second = world.submit("k2", "a.md", "y");  // takes its turn after the first
  world.step();
  ASSERT_EQ(world.state_of("k1"), State::attempting);
  world.floor.is_below = true;
  world.pass(30'000);
  EXPECT_EQ(world.store->performed(), 0U) << "neither the one that was decided, nor the one behind";
  EXPECT_FALSE(first->answered());
  const std::uint64_t commits = world.engine->stats().commits;
  EXPECT_NE(world.row("k1").reason.find(kWhy), std::string::npos) << world.row("k1").reason;
  world.pass(20'000);
  EXPECT_EQ(world.engine->stats().commits, commits) << "to wait costs one record";
  world.floor.is_below = false;
  world.live(10'000, [&] { return first->answered() && second->answered(); });
  EXPECT_EQ(world.state_of("k1"), State::confirmed);
  EXPECT_EQ(world.state_of("k2"), State::confirmed);
  EXPECT_EQ(world.store->performed(), 2U);
}

TEST(EngineFloor, T6_a_retry_waits_for_the_floor_too) {
  FloorWorld world;
  world.store->script({.kind = EffectKind::rejected_retryable, .lands = false, .reason = "no"});
  world.during_effect = [&] { world.floor.is_below = true; };
  const auto asked = world.submit("k1", "a.md", "x");
  world.pass(20'000);
  EXPECT_FALSE(asked->answered());
  EXPECT_EQ(world.row("k1").attempts, 1U);
  world.floor.is_below = false;
  world.live(10'000, [&] { return asked->answered(); });
  EXPECT_EQ(world.state_of("k1"), State::confirmed);
}

TEST(EngineFloor, T6_a_deadline_passes_below_the_floor_as_above_it) {
  Policy policy = quick_policy();
  policy.deadline = Duration{5'000};
  FloorWorld world(policy);
  const auto asked = world.submit("k1", "a.md", "x");
  world.step();
  world.floor.is_below = true;
  world.live(10'000, [&] { return asked->answered(); });
  ASSERT_TRUE(asked->answered());
  EXPECT_EQ(world.state_of("k1"), State::failed);
  EXPECT_EQ(world.store->performed(), 0U);
}

TEST(EngineFloor, T6_a_start_below_the_floor_resolves_by_reading_and_begins_nothing) {
  FloorWorld world;
  world.submit("k1", "a.md", "x");
  world.submit("k2", "b.md", "y");
  world.step();
  // The first one landed, and nobody heard of it.
  ASSERT_TRUE(world.runner.run_one());
  world.floor.is_below = true;
  world.restart();
  world.pass(10'000);
  EXPECT_EQ(world.state_of("k1"), State::confirmed) << world.row("k1").reason;
  EXPECT_NE(world.state_of("k2"), State::confirmed);
  EXPECT_EQ(world.store->performed(), 1U);
  world.floor.is_below = false;
  world.settle();
  EXPECT_EQ(world.state_of("k2"), State::confirmed);
}

TEST(EngineFloor, T6_a_commit_that_was_none_has_the_promise_read_again) {
  FloorWorld world;
  world.ledger.inject({CommitFault::rolled_back});
  world.submit("k1", "a.md", "x");
  world.step();
  EXPECT_EQ(world.floor.looks, 1);
}

class FloorDesk : public Desk {
 public:
  FloorDesk() { restart(); }
  void restart() {
    engine.reset();
    EnginePorts ports{ledger, targets, runner, clock, chance};
    ports.floor = &floor;
    engine = std::make_unique<Engine>(ports, EngineOptions{});
    ASSERT_TRUE(engine->recover().has_value());
  }
  HandFloor floor;
};

TEST(EngineFloor, T6_workers_get_nothing_new_below_the_floor) {
  FloorDesk desk;
  const auto early = desk.ask(Duration{20'000});
  desk.run();
  const OperationId id = desk.submit("a");  // before the one that asked is served
  ASSERT_TRUE(early->leases && early->leases->size() == 1U);
  const OperationId other = desk.submit("b");
  desk.floor.is_below = true;
  const auto late = desk.ask(Duration{20'000});
  desk.run();
  ASSERT_TRUE(late->problem);
  EXPECT_EQ(late->problem->code, ProblemCode::below_floor);
  EXPECT_EQ(desk.now(other).attempts, 0U);
  // What is in its hands is its own until it has said what came of it.
  desk.clock.now += kLease / 2;
  EXPECT_EQ(desk.beat(id, 1)->refused, "");
  desk.execute(early->only());
  const auto said = desk.complete(id, 1, EffectKind::acknowledged);
  ASSERT_TRUE(said->answer) << said->refused;
  EXPECT_TRUE(said->answer->counted);
  EXPECT_EQ(desk.now(id).state, State::confirmed) << "read back as well";
  desk.floor.is_below = false;
  const auto again = desk.ask(Duration{20'000});
  desk.run();
  ASSERT_TRUE(again->leases && again->leases->size() == 1U);
  EXPECT_EQ(again->only().operation->id, other);
}

TEST(EngineFloor, T6_who_waited_for_work_when_the_level_fell_is_handed_none) {
  FloorDesk desk;
  const auto waiting = desk.ask(Duration{20'000});
  desk.run();
  desk.floor.is_below = true;
  desk.pass(Duration{30'000});
  ASSERT_TRUE(waiting->leases);
  EXPECT_TRUE(waiting->leases->empty());
}

}  // namespace
}  // namespace trued
