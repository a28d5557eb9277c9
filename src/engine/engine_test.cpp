#include "engine/engine.h"

#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace trued {
namespace {

TEST(Engine, V1_V8_a_write_is_confirmed_after_it_was_read_back) {
  World world;
  auto asked = world.submit("k", "a.md", "hello");
  world.settle();
  ASSERT_TRUE(asked->answered());
  EXPECT_EQ(asked->decision(), SubmitDecision::fresh);
  EXPECT_EQ(asked->operation().state, State::confirmed);
  EXPECT_TRUE(asked->operation().changed);
  EXPECT_EQ(world.store->content("a.md"), "hello");
  EXPECT_EQ(asked->operation().artifacts.at(0).store.verdict, Verdict::match);
}

TEST(Engine, V4_what_already_held_is_unchanged_and_did_no_work) {
  World world;
  world.store->put_outside("a.md", "hello");
  auto asked = world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(asked->operation().state, State::unchanged);
  EXPECT_FALSE(asked->operation().changed);
  EXPECT_EQ(world.store->performed(), 0U);
}

TEST(Engine, T2_fifty_submits_of_one_key_are_one_operation) {
  World world;
  std::vector<World::AskedPtr> asked;
  for (int i = 0; i < 50; ++i) asked.push_back(world.submit("k", "a.md", "hello"));
  world.settle();
  int fresh = 0;
  for (const auto& one : asked) {
    ASSERT_TRUE(one->answered());
    EXPECT_EQ(one->replies, 1U);
    fresh += one->decision() == SubmitDecision::fresh ? 1 : 0;
    EXPECT_EQ(one->operation().id, asked.front()->operation().id);
  }
  EXPECT_EQ(fresh, 1);
  EXPECT_EQ(world.store->performed(), 1U);
}

TEST(Engine, T3_a_repeat_after_a_restart_gets_the_stored_answer) {
  World world;
  auto first = world.submit("k", "a.md", "hello");
  world.settle();
  world.restart();
  auto again = world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(again->decision(), SubmitDecision::duplicate);
  EXPECT_EQ(again->operation().id, first->operation().id);
  EXPECT_EQ(again->operation().updated_at, first->operation().updated_at);
  EXPECT_EQ(world.store->performed(), 1U);
}

TEST(Engine, T3_a_repeat_past_retention_is_late_and_executes_nothing) {
  Policy policy = quick_policy();
  policy.retention = Duration{60'000};
  World world(policy);
  world.submit("k", "a.md", "hello");
  world.settle();
  world.clock.now += Duration{120'000};
  world.settle();
  auto late = world.submit("k", "a.md", "hello");
  world.settle();
  ASSERT_TRUE(late->answered());
  EXPECT_EQ(late->decision(), SubmitDecision::late);
  EXPECT_EQ(std::get<Answer>(*late->reply).tombstone->state, State::confirmed);
  EXPECT_EQ(world.store->performed(), 1U);
}

TEST(Engine, T2_another_payload_under_the_key_is_a_conflict) {
  World world;
  auto first = world.submit("k", "a.md", "hello");
  auto other = world.submit("k", "a.md", "HELLO");
  world.settle();
  EXPECT_EQ(other->decision(), SubmitDecision::conflict);
  EXPECT_EQ(first->operation().state, State::confirmed);
  EXPECT_EQ(world.store->content("a.md"), "hello");
}

TEST(Engine, T4_decisions_are_in_the_history_and_the_counters) {
  World world;
  auto first = world.submit("k", "a.md", "hello");
  world.settle();
  world.submit("k", "a.md", "hello");
  world.submit("k", "a.md", "other");
  world.settle();
  world.clock.now += Duration{5'000};
  world.settle();
  const EngineStats stats = world.engine->stats();
  EXPECT_EQ(stats.decisions.at(1), 1U);
  EXPECT_EQ(stats.decisions.at(3), 1U);
  std::vector<std::string> recorded;
  for (const EventRecord& record : world.events(first->operation().id)) {
    if (const auto* repeated = std::get_if<Repeated>(&record.event)) {
      recorded.push_back(repeated->decision);
    }
  }
  EXPECT_EQ(recorded, (std::vector<std::string>{"duplicate", "conflict"}));
}

TEST(Engine, T1_a_crash_between_effect_and_report_is_resolved_by_reading) {
  World world;
  auto asked = world.submit("k", "a.md", "hello");
  world.step();
  ASSERT_TRUE(world.runner.run_one());  // the effect lands; its report is lost with the process
  EXPECT_EQ(world.store->content("a.md"), "hello");
  world.restart();
  auto again = world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(again->operation().state, State::confirmed);
  EXPECT_EQ(world.store->performed(), 1U);
}

TEST(Engine, T1_a_crash_before_the_effect_ends_confirmed_too) {
  World world;
  world.submit("k", "a.md", "hello");
  world.step();
  world.restart();  // the effect was never made
  auto again = world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(again->operation().state, State::confirmed);
  EXPECT_EQ(world.store->content("a.md"), "hello");
}

TEST(Engine, V2_a_swallowed_write_is_caught_named_and_repaired) {
  World world;
  world.store->script({.kind = EffectKind::acknowledged, .lands = false});
  auto asked = world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(asked->operation().state, State::confirmed);
  EXPECT_EQ(asked->operation().attempts, 2U);
  ASSERT_EQ(asked->operation().tells.size(), 1U);
  EXPECT_EQ(world.store->content("a.md"), "hello");
}

TEST(Engine, V7_at_the_bound_a_person_is_asked_with_the_evidence) {
  World world;
  for (int i = 0; i < 10; ++i) {
    world.store->script({.kind = EffectKind::acknowledged, .lands = false});
  }
  auto asked = world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(asked->operation().state, State::needs_action);
  EXPECT_EQ(asked->operation().attempts, 3U);
  EXPECT_TRUE(asked->operation().tell.has_value());
  EXPECT_FALSE(asked->operation().reason.empty());
  EXPECT_EQ(world.store->performed(), 3U);
}

TEST(Engine, V6_an_outside_writer_who_comes_after_is_never_overwritten) {
  World world;
  auto asked = world.submit("k", "a.md", "ours");
  world.step();
  world.store->script_unreadable(0);
  world.store->script({.kind = EffectKind::unknown, .lands = true});
  ASSERT_TRUE(world.runner.run_one());
  world.store->put_outside("a.md", "theirs");
  world.restart();
  auto again = world.submit("k", "a.md", "ours");
  world.settle();
  EXPECT_EQ(again->operation().state, State::superseded);
  EXPECT_EQ(world.store->content("a.md"), "theirs");
}

TEST(Engine, V6_two_operations_on_one_artifact_run_in_the_order_of_acceptance) {
  World world;
  auto first = world.submit("k1", "a.md", "one");
  auto second = world.submit("k2", "a.md", "two");
  auto beside = world.submit("k3", "b.md", "three");
  world.step();
  EXPECT_EQ(world.runner.queue.size(), 2U);
  world.settle();
  EXPECT_EQ(first->operation().state, State::confirmed);
  EXPECT_EQ(second->operation().state, State::confirmed);
  EXPECT_EQ(beside->operation().state, State::confirmed);
  EXPECT_EQ(world.store->content("a.md"), "two");
}

TEST(Engine, V6_an_effect_that_lands_late_cannot_land_on_a_later_writers_work) {
  Policy policy = quick_policy();
  policy.effect_timeout = Duration{1'000};
  policy.deadline = Duration{5'000};
  World world(policy);
  World::AskedPtr second;
  world.during_effect = [&] {  // the first effect hangs inside its target, and is given up
    world.live(2'000, [&] { return world.engine->stats().open == 0; });
    second = world.submit("k2", "a.md", "second");
    world.live(4, [] { return false; });
    EXPECT_FALSE(second->answered()) << "the first effect is still out";
  };
  const auto first = world.submit("k1", "a.md", "first");
  world.settle();
  ASSERT_TRUE(first->answered());
  EXPECT_EQ(first->operation().state, State::needs_action);
  ASSERT_TRUE(second->answered());
  EXPECT_EQ(second->operation().state, State::confirmed);
  EXPECT_EQ(world.store->content("a.md"), "second");
}

TEST(Engine, V7_who_waits_for_its_turn_gives_up_at_its_deadline) {
  Policy policy = quick_policy();
  policy.effect_timeout = Duration{3'600'000};
  World world(policy);
  World::AskedPtr second;
  world.during_effect = [&] {
    second = world.submit("k2", "a.md", "second", Duration{100'000'000});
    world.step();
    const auto reader = world.ledger.open_reader().value();
    EXPECT_FALSE(next_step(**reader->find(world.id_of("k2"))).after);
    world.live(5'000, [&] { return second->answered(); });
    ASSERT_TRUE(second->answered());
    EXPECT_EQ(second->operation().state, State::failed);
    EXPECT_NE(second->operation().reason.find("deadline"), std::string::npos);
  };
  const auto first = world.submit("k1", "a.md", "first", Duration{100'000'000});
  world.settle();
  EXPECT_EQ(first->operation().state, State::confirmed);
}

TEST(Engine, V7_a_deadline_that_has_passed_fails_and_blocks_nobody) {
  World world;
  auto late = world.prepared("k1", "a.md", "late");
  late.deadline = world.clock.now - Duration{1};
  const auto first = world.submit_prepared(std::move(late), Duration{60'000});
  world.settle();
  ASSERT_TRUE(first->answered());
  EXPECT_EQ(first->operation().state, State::failed);
  const auto second = world.submit("k2", "a.md", "good");
  world.settle();
  EXPECT_EQ(second->operation().state, State::confirmed);
}

TEST(Engine, T1_what_never_began_within_its_time_was_never_sent) {
  EngineOptions options;
  options.jobs_per_target_max = 1;
  Policy policy = quick_policy();
  policy.effect_timeout = Duration{1'000};
  World world(policy, options);
  const auto hung = world.submit("k1", "a.md", "one");
  const auto queued = world.submit("k2", "b.md", "two", Duration{600'000});
  world.step();
  ASSERT_EQ(world.runner.queue.size(), 1U) << "one job at the target at a time";
  auto first = std::move(world.runner.queue.front());
  world.runner.queue.clear();
  world.clock.now += Duration{2'001};
  world.step();
  const auto events = world.events(world.id_of("k2"));
  const auto* ended = std::get_if<EffectEnded>(&events.at(2).event);
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->kind, EffectKind::not_sent);
  first();
  world.settle();
  EXPECT_EQ(queued->operation().state, State::confirmed);
  EXPECT_EQ(hung->operation().state, State::confirmed);
}

TEST(Engine, T1_an_effect_whose_time_went_by_in_the_reads_before_it_never_begins) {
  for (const bool timer_first : {false, true}) {
    Policy policy = quick_policy();
    policy.effect_timeout = Duration{1'000};
    World world(policy);
    world.during_read = [&] {
      world.clock.now += Duration{2'001};
      if (timer_first) world.step();
      EXPECT_EQ(world.store->performed(), 0U);
    };
    const auto asked = world.submit("k1", "a.md", "one", Duration{600'000});
    world.settle();
    const auto events = world.events(world.id_of("k1"));
    const auto* ended = std::get_if<EffectEnded>(&events.at(2).event);
    ASSERT_NE(ended, nullptr);
    EXPECT_EQ(ended->kind, EffectKind::not_sent);
    EXPECT_EQ(asked->operation().state, State::confirmed);
    EXPECT_EQ(world.store->performed(), 1U);
  }
}

TEST(Engine, T1_a_target_may_have_its_reads_given_time_of_their_own) {
  Policy policy = quick_policy();
  policy.effect_timeout = Duration{1'000};
  policy.report_slack = Duration{5'000};
  World world(policy);
  world.during_read = [&] {
    world.clock.now += Duration{4'000};
    world.step();
  };
  const auto asked = world.submit("k1", "a.md", "one", Duration{600'000});
  world.settle();
  EXPECT_EQ(asked->operation().state, State::confirmed);
  EXPECT_EQ(asked->operation().attempts, 1U);
}

TEST(Engine, V6_no_attempt_begins_while_an_earlier_one_may_still_land) {
  Policy policy = quick_policy();
  policy.effect_timeout = Duration{1'000};
  World world(policy);
  world.during_effect = [&] {
    world.live(200, [] { return false; });
    EXPECT_EQ(world.store->performed(), 0U);
  };
  const auto asked = world.submit("k1", "a.md", "one", Duration{600'000});
  world.settle();
  EXPECT_EQ(asked->operation().state, State::confirmed);
  EXPECT_EQ(world.store->performed(), 1U);
}

TEST(Engine, T6_a_wall_clock_that_steps_back_stops_nothing) {
  World world;
  world.ledger.inject({CommitFault::rolled_back});
  const auto refused = world.submit("k1", "a.md", "one");
  world.step();
  ASSERT_TRUE(refused->answered());
  world.clock.jump(Duration{-3'600'000});
  world.clock.now += Duration{600};
  const auto good = world.submit("k2", "a.md", "two", Duration{1'000});
  world.step();
  world.clock.jump(Duration{-3'600'000});
  world.step();
  EXPECT_GE(world.engine->stats().oldest_open_ms, 0);
  world.settle();
  ASSERT_TRUE(good->answered());
  EXPECT_EQ(good->problem(), nullptr);
  EXPECT_EQ(good->operation().state, State::confirmed);
  EXPECT_GE(world.engine->stats().settle_seconds.sum, 0);
}

TEST(Engine, T6_a_timer_whose_turn_came_to_nothing_is_not_lost_when_the_clock_is_set_back) {
  World world;
  world.store->script_unreadable(3);
  const auto asked = world.submit("k1", "a.md", "one", Duration{600'000});
  world.step();
  world.runner.run_one();
  world.step();  // it will be read again
  const auto waiting = world.ledger.open_reader().value()->find(world.id_of("k1")).value();
  ASSERT_EQ(waiting->due_for, Due::read);
  world.clock.now = *waiting->due_at;
  world.submit("k2", "b.md", "two");  // so that the turn of the timer has something to write
  world.ledger.inject({CommitFault::unknown_not_applied});
  EXPECT_TRUE(world.engine->step().worked);
  world.clock.jump(Duration{-60'000});
  world.settle();
  ASSERT_TRUE(asked->answered());
  EXPECT_EQ(asked->operation().state, State::confirmed);
}

TEST(Engine, V3_a_target_that_is_not_configured_is_no_evidence) {
  Policy policy = quick_policy();
  policy.unreadable = {
      .within = Duration{600'000}, .reads_max = 50, .first = Duration{5}, .cap = Duration{20}};
  World world(policy);
  world.store->script_unreadable(3);
  world.submit("k1", "a.md", "one");
  world.step();
  world.runner.run_one();
  world.step();
  auto taken = world.targets.extract("docs");  // a slip in the configuration, and a restart
  world.restart();
  world.live(50, [] { return false; });
  const auto waiting = world.ledger.open_reader().value()->find(world.id_of("k1")).value();
  EXPECT_EQ(waiting->state, State::verifying);
  world.targets.insert(std::move(taken));
  world.restart();
  world.settle();
  const auto after = world.ledger.open_reader().value()->find(world.id_of("k1")).value();
  EXPECT_EQ(after->state, State::confirmed);
  for (const EventRecord& record : world.events(world.id_of("k1"))) {
    const auto* read = std::get_if<ReadBack>(&record.event);
    if (read == nullptr) continue;
    for (const Observation& seen : read->reads) EXPECT_GT(seen.read_at, WallTime{});
  }
}

TEST(Engine, T10_whoever_asks_after_the_end_is_told_and_not_forgotten) {
  World world;
  world.engine->begin_drain();
  world.step();
  world.engine->release_waiters();
  const auto late = world.submit("k1", "a.md", "one");
  ASSERT_TRUE(late->answered());
  ASSERT_NE(late->problem(), nullptr);
  EXPECT_EQ(late->problem()->code, ProblemCode::draining);
}

TEST(Engine, overload_counts_bytes_too) {
  EngineOptions options;
  options.open_bytes_max = 100;
  World world(quick_policy(), options);
  const auto taken = world.submit("k1", "a.md", std::string(80, 'x'));
  const auto refused = world.submit("k2", "b.md", std::string(80, 'x'));
  world.step();
  ASSERT_TRUE(refused->answered());
  EXPECT_EQ(refused->problem()->code, ProblemCode::overloaded);
  world.settle();
  EXPECT_EQ(taken->operation().state, State::confirmed);
  const auto again = world.submit("k2", "b.md", std::string(80, 'x'));
  world.settle();
  EXPECT_EQ(again->operation().state, State::confirmed);
}

TEST(Engine, V6_the_order_holds_over_a_restart) {
  World world;
  world.submit("k1", "a.md", "one");
  world.submit("k2", "a.md", "two");
  world.step();
  world.restart();
  auto second = world.submit("k2", "a.md", "two");
  world.settle();
  EXPECT_EQ(second->operation().state, State::confirmed);
  EXPECT_EQ(world.store->content("a.md"), "two");
}

TEST(Engine, T10_a_caller_who_waits_gets_the_operation_as_it_is_when_the_wait_is_over) {
  World world;
  auto asked = world.submit("k", "a.md", "hello", Duration{50});
  world.step();
  EXPECT_FALSE(asked->answered());
  world.clock.now += Duration{51};
  world.step();
  ASSERT_TRUE(asked->answered());
  EXPECT_EQ(asked->operation().state, State::attempting);
  EXPECT_EQ(status_of(asked->operation().state), Status::pending);
}

TEST(Engine, V10_an_opted_out_write_is_acknowledged_and_never_confirmed) {
  World world;
  auto asked = world.submit_input(
      "k", R"({"target":"docs","verify":false,"artifacts":[{"path":"a.md","content":"x"}]})",
      Duration{1'000});
  world.settle();
  EXPECT_EQ(asked->operation().state, State::acknowledged);
  EXPECT_EQ(status_of(asked->operation().state), Status::unverified);
}

TEST(Engine, V6_a_retry_never_overwrites_what_was_written_since) {
  World world(quick_policy(), {}, {.history = false});
  for (int i = 0; i < 3; ++i) world.store->script({EffectKind::acknowledged, false, ""});
  const auto older = world.submit("k1", "a.md", "older");
  world.settle();
  ASSERT_EQ(older->operation().state, State::needs_action);
  const auto newer = world.submit("k2", "a.md", "newer");
  world.settle();
  ASSERT_EQ(newer->operation().state, State::confirmed);
  world.person(older->operation().id, PersonAction::retry);
  world.settle();
  EXPECT_EQ(world.store->content("a.md"), "newer");
  const auto now = world.ledger.open_reader().value()->find(older->operation().id).value();
  EXPECT_EQ(now->state, State::needs_action);
}

TEST(Engine, V6_a_retry_takes_its_turn) {
  World world(quick_policy(), {}, {.history = false});
  for (int i = 0; i < 3; ++i) world.store->script({EffectKind::acknowledged, false, ""});
  const auto older = world.submit("k1", "a.md", "older");
  world.settle();
  ASSERT_EQ(older->operation().state, State::needs_action);
  world.during_effect = [&] {
    world.person(older->operation().id, PersonAction::retry);
    world.live(20, [] { return false; });
    const auto waiting = world.ledger.open_reader().value()->find(older->operation().id).value();
    EXPECT_EQ(waiting->due_for, Due::start);
    EXPECT_NE(waiting->reason.find("same artifact"), std::string::npos) << waiting->reason;
    world.restart();  // the other is lost in the middle of its effect; the order stays
  };
  world.submit("k2", "a.md", "newer");
  world.settle();
  const auto reader = world.ledger.open_reader().value();
  EXPECT_EQ(reader->find(world.id_of("k2")).value()->state, State::confirmed);
  EXPECT_TRUE(is_settled(reader->find(older->operation().id).value()->state));
  EXPECT_EQ(world.store->content("a.md"), "newer");
}

// The time before which it was not to begin is over for good once it has begun.
TEST(Engine, V6_a_retry_takes_its_turn_although_the_clock_was_set_back) {
  for (const bool restarted : {false, true}) {
    World world(quick_policy(), {}, {.history = false});
    for (int i = 0; i < 3; ++i) world.store->script({EffectKind::acknowledged, false, ""});
    Submission late = world.prepared("k1", "a.md", "older");
    late.not_before = world.clock.now + Duration{60'000};
    const auto older = world.submit_prepared(std::move(late), Duration{600'000});
    world.settle();
    ASSERT_EQ(older->operation().state, State::needs_action);
    world.clock.jump(*older->operation().not_before - world.clock.now - Duration{30'000});
    world.during_effect = [&] {
      world.person(older->operation().id, PersonAction::retry);
      world.live(20, [] { return false; });
      const auto waiting = world.ledger.open_reader().value()->find(older->operation().id).value();
      EXPECT_EQ(waiting->due_for, Due::start);
      EXPECT_NE(waiting->reason.find("same artifact"), std::string::npos) << waiting->reason;
      if (restarted) world.restart();
    };
    world.submit("k2", "a.md", "newer");
    world.settle();
    const auto reader = world.ledger.open_reader().value();
    EXPECT_EQ(reader->find(world.id_of("k2")).value()->state, State::confirmed);
    EXPECT_EQ(world.store->content("a.md"), "newer");
  }
}

TEST(Engine, T6_a_look_that_comes_back_before_its_time_is_made_again) {
  World world(quick_policy(), {}, {.history = false});
  for (int i = 0; i < 3; ++i) world.store->script({EffectKind::acknowledged, false, ""});
  const auto asked = world.submit("k", "a.md", "meant");
  world.settle();
  ASSERT_EQ(asked->operation().state, State::needs_action);
  world.person(asked->operation().id, PersonAction::retry);
  world.step();
  // The look is under way, and its timer has been taken.
  world.clock.now += Duration{1};
  world.step();
  world.clock.jump(-Duration{20'000});
  world.settle();
  const auto now = world.ledger.open_reader().value()->find(asked->operation().id).value();
  EXPECT_EQ(now->state, State::confirmed) << now->reason;
  EXPECT_LT(*now->settled_at, asked->operation().updated_at + Duration{10'000}) << "when it is due";
}

TEST(Engine, T10_a_person_retries_what_needs_action) {
  World world;
  for (int i = 0; i < 3; ++i) {
    world.store->script({.kind = EffectKind::acknowledged, .lands = false});
  }
  auto asked = world.submit("k", "a.md", "hello");
  world.settle();
  ASSERT_EQ(asked->operation().state, State::needs_action);
  auto retried = world.person(asked->operation().id, PersonAction::retry);
  world.settle();
  ASSERT_TRUE(retried->answered());
  auto after = world.submit("k", "a.md", "hello");
  world.settle();
  EXPECT_EQ(after->operation().state, State::confirmed);
}

TEST(Engine, overload_is_refused_and_nothing_of_it_is_accepted) {
  World world(quick_policy(), {.open_max = 2});
  world.submit("k1", "a.md", "1");
  world.submit("k2", "b.md", "2");
  auto third = world.submit("k3", "c.md", "3");
  world.step();
  ASSERT_TRUE(third->answered());
  EXPECT_EQ(third->problem()->code, ProblemCode::overloaded);
  world.settle();
  EXPECT_FALSE(world.store->content("c.md").has_value());
}

TEST(Engine, draining_refuses_new_work_lets_what_runs_report_and_calls_the_rest_back) {
  EngineOptions options;
  options.jobs_per_target_max = 1;
  World world(quick_policy(), options);
  World::AskedPtr queued;
  World::AskedPtr refused;
  world.during_effect = [&] {
    queued = world.submit("k2", "b.md", "two");
    world.step();
    world.engine->begin_drain();
    refused = world.submit("k3", "c.md", "three");
    world.step();
    EXPECT_FALSE(world.engine->drained());
  };
  const auto running = world.submit("k1", "a.md", "one");
  world.live(50, [&] { return running->answered(); });
  EXPECT_EQ(refused->problem()->code, ProblemCode::draining);
  EXPECT_EQ(running->operation().state, State::confirmed);
  EXPECT_TRUE(world.engine->drained());
  world.engine->release_waiters();
  EXPECT_EQ(queued->operation().state, State::accepted);
  EXPECT_FALSE(queued->operation().sent) << "it was called back before it began";
  world.restart();
  world.settle();
  EXPECT_EQ(world.store->content("b.md"), "two");
}

}  // namespace
}  // namespace trued
