// What the ledger says of a commit, and who may be told what before and after it.
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/engine_test_support.h"

namespace trued {
namespace {

TEST(Commit, T6_two_durable_rounds_carry_a_whole_operation) {
  World world;
  world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(world.engine->stats().commits, 2U);
}

TEST(Commit, V8_whoever_was_answered_finds_it_in_the_figures) {
  World world;
  const auto settled = [&] { return world.engine->stats().settled; };
  std::uint64_t confirmed = 0;
  std::uint64_t refused = 0;
  world.engine->submit(world.prepared("k", "a.md", "hello"), Duration{60'000}, [&](const auto&) {
    confirmed = settled().at(std::to_underlying(State::confirmed));
  });
  world.settle();
  EXPECT_EQ(confirmed, 1U);
  world.ledger.inject({CommitFault::rolled_back});
  world.engine->submit(world.prepared("other", "b.md", "hello"), Duration{60'000},
                       [&](const auto&) { refused = world.engine->stats().refused; });
  world.settle();
  EXPECT_EQ(refused, 1U);
}

TEST(Commit, T6_nothing_is_sent_before_the_attempt_is_durable) {
  World world;
  world.ledger.inject({CommitFault::rolled_back});
  auto asked = world.submit("k", "a.md", "hello");
  world.step();
  EXPECT_TRUE(world.runner.queue.empty());
  ASSERT_TRUE(asked->answered());
  ASSERT_NE(asked->problem(), nullptr);
  EXPECT_EQ(asked->problem()->code, ProblemCode::ledger_unavailable);
  world.clock.now += Duration{2'000};
  auto again = world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(again->decision(), SubmitDecision::fresh);
  EXPECT_EQ(again->operation().state, State::confirmed);
}

TEST(Commit, T6_a_commit_of_unknown_outcome_is_read_before_anybody_is_answered) {
  for (const CommitFault fault : {CommitFault::unknown_applied, CommitFault::unknown_not_applied}) {
    World world;
    world.ledger.inject({fault});
    auto asked = world.submit("k", "a.md", "hello");
    world.settle();
    ASSERT_TRUE(asked->answered());
    if (fault == CommitFault::unknown_applied) {
      EXPECT_EQ(asked->operation().state, State::confirmed);
    } else {
      ASSERT_NE(asked->problem(), nullptr);
      EXPECT_FALSE(world.store->content("a.md").has_value());
    }
    EXPECT_EQ(asked->replies, 1U);
  }
}

TEST(Commit, T1_nobody_waits_for_an_unknown_commit_beyond_their_time) {
  World world;
  world.ledger.inject({CommitFault::unknown_applied}, 30);
  const auto soon = world.submit("k1", "a.md", "one", Duration{0});
  const auto patient = world.submit("k2", "b.md", "two", Duration{9'000});
  world.live(200, [&] { return soon->answered(); });
  ASSERT_TRUE(soon->answered());
  EXPECT_EQ(soon->problem()->code, ProblemCode::outcome_unknown);
  EXPECT_FALSE(patient->answered());
  world.live(200, [&] { return patient->answered(); });
  EXPECT_EQ(patient->problem()->code, ProblemCode::outcome_unknown);
  std::string why;
  world.live(500, [&] { return world.engine->ready(why) && world.engine->stats().open == 0; });
  const auto again = world.submit("k1", "a.md", "one");
  world.settle();
  EXPECT_EQ(again->decision(), SubmitDecision::duplicate) << "it was in, and went on";
  EXPECT_EQ(again->operation().state, State::confirmed);
}

TEST(Commit, T1_everybody_is_answered_in_time_while_the_ledger_is_down) {
  World world;
  const auto asked = world.submit("k", "a.md", "one", Duration{5'000});
  world.step();
  ASSERT_TRUE(world.runner.run_one());
  world.ledger.inject({CommitFault::unknown_applied}, 60);
  const WallTime begun = world.clock.now;
  world.live(200, [&] { return asked->answered(); });
  ASSERT_TRUE(asked->answered());
  EXPECT_LT(world.clock.now - begun, Duration{10'000});
  ASSERT_EQ(asked->problem(), nullptr) << "it was accepted, and that is durable";
  EXPECT_EQ(asked->operation().state, State::attempting);
  world.clock.now += Duration{2'000};  // the next step asks the ledger first
  const auto other = world.submit("other", "b.md", "two");
  world.step();
  ASSERT_TRUE(other->answered()) << "it waits in the inbox";
  EXPECT_EQ(other->problem()->code, ProblemCode::ledger_unavailable);
  world.live(500, [&] { return world.engine->stats().open == 0; });
  const auto again = world.submit("k", "a.md", "one");
  world.settle();
  EXPECT_EQ(again->operation().state, State::confirmed);
}

TEST(Commit, T6_a_report_whose_commit_was_rolled_back_is_not_lost) {
  World world;
  auto asked = world.submit("k", "a.md", "hello");
  world.step();
  ASSERT_TRUE(world.runner.run_one());
  world.ledger.inject({CommitFault::rolled_back});
  world.settle();
  EXPECT_EQ(asked->operation().state, State::confirmed);
  EXPECT_EQ(world.store->performed(), 1U);
}
TEST(Commit, T1_readiness_comes_back_without_a_write_that_nobody_would_send) {
  World world;
  world.ledger.inject({CommitFault::rolled_back});
  const auto asked = world.submit("k", "a.md", "hello", Duration{0});
  world.step();
  ASSERT_TRUE(asked->answered());
  EXPECT_EQ(asked->problem()->code, ProblemCode::ledger_unavailable);
  std::string why;
  EXPECT_FALSE(world.engine->ready(why));
  EXPECT_EQ(why, "the ledger cannot be written");
  // Whoever sends nothing to what is not ready leaves it alone from now on.
  for (int i = 0; i < 100 && !world.engine->ready(why); ++i) {
    world.clock.now += Duration{1'000};
    world.step();
  }
  EXPECT_TRUE(world.engine->ready(why));

  world.ledger.inject({CommitFault::unknown_applied}, 200);
  (void)world.submit("k2", "b.md", "hello", Duration{0});
  for (int i = 0; i < 100; ++i) {
    world.clock.now += Duration{1'000};
    world.step();
    EXPECT_FALSE(world.engine->ready(why)) << "nobody knows what the ledger holds";
  }
}

/// Whether this node may act, as the test says.
class ScriptedTenure final : public Tenure {
 public:
  bool holds() const override { return ours; }
  bool ours = true;
};

TEST(Commit, T1_once_fenced_nothing_is_decided_and_nobody_waits) {
  World world;
  const auto before = world.submit("k1", "a.md", "one", Duration{60'000});
  world.step();
  world.ledger.inject({CommitFault::fenced});
  const auto asked = world.submit("k2", "b.md", "two", Duration{60'000});
  world.step();
  ASSERT_TRUE(asked->answered());
  EXPECT_EQ(asked->problem()->code, ProblemCode::ledger_unavailable);
  EXPECT_NE(asked->problem()->detail.find("another node"), std::string::npos);
  EXPECT_TRUE(world.engine->fenced());
  std::string why;
  EXPECT_FALSE(world.engine->ready(why));
  world.step();
  ASSERT_TRUE(before->answered()) << "as it was when this node last knew";
  EXPECT_EQ(before->operation().state, State::attempting);
  // Its attempt was called back before it began; what comes now is refused.
  while (world.runner.run_one()) world.step();
  EXPECT_EQ(world.store->performed(), 0U);
  const auto late = world.submit("k3", "c.md", "three");
  world.step();
  ASSERT_TRUE(late->answered());
  EXPECT_EQ(late->problem()->code, ProblemCode::ledger_unavailable);
  world.engine->begin_drain();
  EXPECT_TRUE(world.engine->drained());
}

TEST(Commit, T1_an_open_operation_of_which_it_knows_nothing_shows_it_another_node) {
  World world;
  const ScriptedTenure tenure;
  const EnginePorts ports{world.ledger, world.targets, world.runner, world.clock,
                          world.random, nullptr,       &tenure};
  world.engine = std::make_unique<Engine>(ports, EngineOptions{});
  Engine stale(ports, EngineOptions{});
  ASSERT_TRUE(stale.recover().has_value());
  world.submit("k", "a.md", "hello");
  world.step();
  std::optional<std::variant<Answer, EngineProblem>> said;
  stale.submit(world.prepared("k", "a.md", "hello"), Duration{0},
               [&](std::variant<Answer, EngineProblem> reply) { said = std::move(reply); });
  (void)stale.step();
  ASSERT_TRUE(said && std::holds_alternative<EngineProblem>(*said));
  EXPECT_TRUE(stale.fenced());
}

TEST(Commit, T1_no_effect_begins_when_another_node_may_act) {
  World world;
  ScriptedTenure tenure;
  world.engine = std::make_unique<Engine>(EnginePorts{world.ledger, world.targets, world.runner,
                                                      world.clock, world.random, nullptr, &tenure},
                                          EngineOptions{});
  const auto asked = world.submit("k", "a.md", "hello");
  world.step();
  tenure.ours = false;  // the process slept between the commit and the effect
  ASSERT_TRUE(world.runner.run_one());
  EXPECT_EQ(world.store->performed(), 0U);
  tenure.ours = true;
  world.settle();
  EXPECT_EQ(asked->operation().state, State::confirmed);
  EXPECT_EQ(world.store->performed(), 1U);
}

}  // namespace
}  // namespace trued
