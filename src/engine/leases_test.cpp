// Work for whoever asks: handed out once it is durable, kept by heartbeats, lost by silence.
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "engine/leases_test_support.h"

namespace trued {
namespace {

TEST(Leases, T5_what_waits_for_a_worker_costs_no_attempt_and_says_so) {
  Desk desk;
  const OperationId id = desk.submit("a");
  desk.pass(Duration{120'000});
  const Operation waiting = desk.now(id);
  EXPECT_EQ(waiting.state, State::accepted);
  EXPECT_EQ(waiting.attempts, 0U);
  EXPECT_EQ(waiting.reason, "held: waits for a worker of 'mailers'");
  EXPECT_EQ(waiting.events, 2U) << "waiting is said once";
  EXPECT_EQ(desk.stats().queued, 1U);
}

TEST(Leases, V1_is_handed_out_done_told_and_read_back) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto poll = desk.ask(Duration{60'000});
  desk.run();
  ASSERT_TRUE(poll->leases && poll->leases->size() == 1);
  EXPECT_EQ(poll->only().operation->id, id);
  EXPECT_EQ(poll->only().operation->attempts, 1U);
  EXPECT_EQ(poll->only().payload, R"({"put":"a"})");
  EXPECT_EQ(poll->only().until, desk.clock.now + kLease + kLease / kLeaseAhead);
  EXPECT_EQ(desk.stats().leased, 1U);
  desk.execute(poll->only());
  const auto said = desk.complete(id, 1, EffectKind::acknowledged);
  ASSERT_TRUE(said->answer);
  EXPECT_TRUE(said->answer->counted);
  desk.run();
  EXPECT_EQ(desk.now(id).state, State::confirmed);
  EXPECT_EQ(desk.stats().leased, 0U);
}

TEST(Leases, T1_is_durable_before_the_worker_hears_of_it) {
  Desk desk;
  const OperationId id = desk.submit("a");
  std::optional<Operation> durable;
  desk.engine->lease({.worker = "w1", .targets = {}}, Duration{1'000},
                     [&](const auto&) { durable = desk.now(id); });
  desk.run();
  ASSERT_TRUE(durable);
  EXPECT_TRUE(is_leased(*durable));
  EXPECT_EQ(leased_by(*durable), "w1");
}

TEST(Leases, T5_no_worker_is_told_of_a_lease_that_ran_while_its_commit_was_in_doubt) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto poll = desk.ask(Duration{60'000});
  while (desk.runner.queue.empty()) ASSERT_TRUE(desk.engine->step().worked);
  ASSERT_TRUE(desk.runner.run_one());
  desk.ledger.inject({CommitFault::unknown_applied}, 20);  // of the lease; for some ten seconds
  desk.pass(Duration{20'000});
  ASSERT_TRUE(poll->leases);
  EXPECT_TRUE(poll->leases->empty()) << "by its own clock the worker would have a whole lease";
  const auto again = desk.ask(Duration{60'000});
  desk.run();
  ASSERT_TRUE(again->leases && again->leases->size() == 1);
  EXPECT_EQ(again->only().operation->id, id);
  EXPECT_EQ(again->only().operation->attempts, 2U);
  EXPECT_LE(desk.clock.now + kLease, again->only().until);
}

TEST(Leases, T1_a_poll_waits_for_work_and_is_answered_with_none_in_the_end) {
  Desk desk;
  const auto patient = desk.ask(Duration{60'000});
  desk.pass(Duration{59'000});
  EXPECT_EQ(patient->replies, 0U);
  const OperationId id = desk.submit("a");
  ASSERT_TRUE(patient->leases && patient->leases->size() == 1) << "at once, not when it asks again";
  EXPECT_EQ(patient->only().operation->id, id);
  const auto hungry = desk.ask(Duration{1'000});
  desk.pass(Duration{1'001});
  ASSERT_TRUE(hungry->leases);
  EXPECT_TRUE(hungry->leases->empty());
  EXPECT_EQ(hungry->replies, 1U);
}

TEST(Leases, T5_urgent_first_and_else_in_the_order_of_acceptance) {
  Desk desk;
  const OperationId low = desk.submit("low", Priority::low);
  const OperationId first = desk.submit("first");
  const OperationId second = desk.submit("second");
  const OperationId critical = desk.submit("critical", Priority::critical);
  const auto poll = desk.ask({.worker = "w1", .targets = {}, .types = {}, .max = 4});
  desk.run();
  ASSERT_TRUE(poll->leases);
  std::vector<OperationId> order;
  for (const Lease& lease : *poll->leases) order.push_back(lease.operation->id);
  EXPECT_EQ(order, (std::vector<OperationId>{critical, first, second, low}));
}

TEST(Leases, T1_a_worker_gets_only_what_it_takes_and_may_see) {
  Desk desk;
  (void)desk.submit("a", Priority::normal, "tenant-a");
  const OperationId b = desk.submit("b", Priority::normal, "tenant-b");
  const auto other = desk.ask({.worker = "w1", .targets = {"elsewhere"}});
  const auto type = desk.ask({.worker = "w1", .targets = {}, .types = {"charge"}});
  const auto tenant = desk.ask({.worker = "w1",
                                .targets = {"mailers"},
                                .types = {"write"},
                                .max = 9,
                                .covers = [](const std::string& s) { return s == "tenant-b"; }});
  desk.run();
  EXPECT_TRUE(other->leases && other->leases->empty());
  EXPECT_TRUE(type->leases && type->leases->empty());
  ASSERT_TRUE(tenant->leases && tenant->leases->size() == 1);
  EXPECT_EQ(tenant->only().operation->id, b);
}

TEST(Leases, T4_a_worker_that_has_gone_is_handed_nothing) {
  Desk desk;
  bool gone = false;
  const auto poll =
      desk.ask({.worker = "w1", .targets = {}, .gone = [&] { return gone; }}, Duration{60'000});
  desk.run();
  gone = true;
  const OperationId id = desk.submit("a");
  EXPECT_EQ(desk.now(id).attempts, 0U) << "nothing was begun for nobody";
  EXPECT_EQ(poll->replies, 1U);
}

TEST(Leases, T4_what_was_begun_for_a_worker_that_has_gone_was_not_sent) {
  Desk desk;
  const OperationId id = desk.submit("a");
  bool gone = false;
  (void)desk.ask({.worker = "w1", .targets = {}, .gone = [&] { return gone; }}, Duration{60'000});
  while (desk.runner.queue.empty()) (void)desk.engine->step();
  gone = true;
  desk.run();
  const Operation after = desk.now(id);
  EXPECT_EQ(after.effect, EffectKind::not_sent);
  EXPECT_FALSE(after.sent);
  EXPECT_EQ(after.attempts_counted, 0U);
  desk.pass(Duration{1'000});
  const auto next = desk.ask();
  desk.run();
  ASSERT_TRUE(next->leases && next->leases->size() == 1);
  EXPECT_EQ(next->only().operation->attempts, 2U);
}

TEST(Leases, T6_heartbeats_keep_it_as_long_as_the_worker_is_at_work) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto poll = desk.ask();
  desk.run();
  for (int i = 0; i < 10; ++i) {
    desk.pass(kLease / 2);
    const auto said = desk.beat(id, 1);
    ASSERT_TRUE(said->answer) << said->refused;
    EXPECT_GE(said->answer->operation->due_at, desk.clock.now + kLease);
  }
  desk.execute(poll->only());
  (void)desk.complete(id, 1, EffectKind::acknowledged);
  EXPECT_EQ(desk.now(id).state, State::confirmed);
  EXPECT_EQ(desk.stats().lost, 0U);
}

TEST(Leases, T4_a_lost_lease_is_unknown_and_what_may_not_be_repeated_is_a_persons) {
  Policy policy = for_workers();
  policy.verify = false;
  Desk desk(policy, {.idempotent = false});
  const OperationId id = desk.submit("a");
  (void)desk.ask();
  desk.run();
  desk.pass(kLostAfter);
  const Operation after = desk.now(id);
  EXPECT_EQ(after.state, State::needs_action);
  for (const EventRecord& record : desk.ledger.open_reader().value()->events(id).value()) {
    const auto* ended = std::get_if<EffectEnded>(&record.event);
    if (ended == nullptr) continue;
    EXPECT_EQ(ended->reason, "the lease ran out without a word; it was leased by worker 'w1'");
  }
  EXPECT_EQ(desk.stats().lost, 1U);
  const auto late = desk.complete(id, 1, EffectKind::acknowledged);
  ASSERT_TRUE(late->answer);
  EXPECT_FALSE(late->answer->counted);
  EXPECT_EQ(desk.beat(id, 1)->refused, "lease-lost");
  EXPECT_EQ(desk.now(id).state, State::needs_action);
  EXPECT_EQ(desk.count<LateEvidence>(id), 1U);
}

TEST(Leases, T1_two_workers_race_and_the_newer_attempt_is_what_counts) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto slow = desk.ask();
  desk.run();
  desk.pass(kLostAfter);
  const auto fast = desk.ask({.worker = "w2", .targets = {}}, Duration{10'000});
  desk.pass(Duration{1'000});
  ASSERT_TRUE(fast->leases && fast->leases->size() == 1);
  EXPECT_EQ(fast->only().operation->attempts, 2U);
  EXPECT_EQ(desk.beat(id, 1)->refused, "lease-lost");
  const auto late = desk.complete(id, 1, EffectKind::acknowledged);
  ASSERT_TRUE(late->answer);
  EXPECT_FALSE(late->answer->counted);
  EXPECT_EQ(desk.now(id).state, State::attempting);
  desk.execute(fast->only());
  EXPECT_TRUE(desk.complete(id, 2, EffectKind::acknowledged)->answer->counted);
  EXPECT_EQ(desk.now(id).state, State::confirmed);
}

TEST(Leases, T1_saying_the_same_twice_is_answered_the_same_and_recorded_once) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto poll = desk.ask();
  desk.run();
  desk.execute(poll->only());
  const auto first = desk.complete(id, 1, EffectKind::acknowledged);
  const std::uint32_t events = desk.now(id).events;
  for (int i = 0; i < 3; ++i) {
    const auto again = desk.complete(id, 1, EffectKind::acknowledged);
    ASSERT_TRUE(again->answer);
    EXPECT_EQ(again->answer->counted, first->answer->counted);
    EXPECT_TRUE(again->answer->repeated);
  }
  EXPECT_EQ(desk.now(id).events, events);
  for (int i = 0; i < 3; ++i) {
    const auto other = desk.complete(id, 1, EffectKind::rejected_final);
    EXPECT_FALSE(other->answer->counted) << "it has said otherwise before";
  }
  EXPECT_EQ(desk.count<LateEvidence>(id), 1U);
}

TEST(Leases, T1_what_was_never_handed_out_cannot_be_completed) {
  Desk desk;
  const OperationId id = desk.submit("a");
  EXPECT_EQ(desk.complete(id, 1, EffectKind::acknowledged)->refused, "lease-lost");
  (void)desk.ask(Duration{60'000});
  while (desk.runner.queue.empty()) (void)desk.engine->step();
  WorkReply reply;
  const auto early = desk.keep(reply);
  AttemptReport report;
  report.effect.kind = EffectKind::acknowledged;
  desk.engine->complete(id, std::move(report), std::move(reply));
  while (early->replies == 0) (void)desk.engine->step();
  EXPECT_EQ(early->refused, "lease-lost");
  desk.run();
  EXPECT_TRUE(is_leased(desk.now(id)));
}

TEST(Leases, T6_a_restart_takes_no_lease_away_and_gives_it_time_to_be_heard_of) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const OperationId other = desk.submit("b");
  const auto poll = desk.ask();
  desk.run();
  desk.clock.now += kLease + Duration{60'000};
  desk.restart();
  desk.run();
  EXPECT_TRUE(is_leased(desk.now(id))) << "nobody could have kept it meanwhile";
  EXPECT_EQ(desk.stats().leased, 1U);
  EXPECT_EQ(desk.stats().queued, 1U);
  EXPECT_TRUE(desk.beat(id, 1)->answer);
  desk.restart();
  desk.execute(poll->only());
  EXPECT_TRUE(desk.complete(id, 1, EffectKind::acknowledged)->answer->counted);
  EXPECT_EQ(desk.now(id).state, State::confirmed);
  const auto next = desk.ask();
  desk.run();
  ASSERT_TRUE(next->leases && next->leases->size() == 1);
  EXPECT_EQ(next->only().operation->id, other);
}

TEST(Leases, T6_a_lease_of_before_the_restart_runs_out_if_nothing_is_heard) {
  Desk desk(for_workers(), {.idempotent = false});
  const OperationId id = desk.submit("a");
  (void)desk.ask();
  desk.run();
  desk.restart();
  desk.pass(kLease - Duration{1'000});
  EXPECT_TRUE(is_leased(desk.now(id)));
  desk.pass(kLostAfter);
  EXPECT_EQ(desk.now(id).effect, EffectKind::unknown);
}

TEST(Leases, T6_what_was_begun_and_not_handed_out_before_a_crash_never_left_us) {
  Desk desk(for_workers(), {.idempotent = false});
  const OperationId id = desk.submit("a");
  (void)desk.ask(Duration{60'000});
  while (desk.runner.queue.empty()) (void)desk.engine->step();
  ASSERT_EQ(desk.now(id).state, State::attempting);
  desk.restart();
  desk.run();
  EXPECT_EQ(desk.now(id).effect, EffectKind::not_sent);
  EXPECT_EQ(desk.now(id).state, State::accepted);
}

TEST(Leases, T5_a_target_hands_out_no_more_at_a_time_than_its_limit) {
  Policy policy = for_workers();
  policy.gates.concurrency = 2;
  Desk desk(policy);
  for (const char* key : {"a", "b", "c"}) (void)desk.submit(key);
  const auto greedy = desk.ask({.worker = "w1", .targets = {}, .types = {}, .max = 10});
  desk.run();
  ASSERT_TRUE(greedy->leases);
  ASSERT_EQ(greedy->leases->size(), 2U);
  const auto next = desk.ask(Duration{60'000});
  desk.run();
  EXPECT_EQ(next->replies, 0U);
  desk.execute(greedy->only());
  (void)desk.complete(greedy->only().operation->id, 1, EffectKind::acknowledged);
  EXPECT_EQ(next->replies, 1U);
}

TEST(Leases, T5_a_target_hands_out_no_more_in_a_second_than_its_rate) {
  Policy policy = for_workers();
  policy.gates.rate = {.per_second = 1, .burst = 1};
  Desk desk(policy);
  for (const char* key : {"a", "b", "c"}) (void)desk.submit(key);
  std::size_t handed = 0;
  for (int i = 0; i < 2; ++i) {
    const auto poll = desk.ask({.worker = "w1", .targets = {}, .types = {}, .max = 10});
    desk.run();
    ASSERT_TRUE(poll->leases);
    handed += poll->leases->size();
  }
  EXPECT_EQ(handed, 1U);
  const auto patient = desk.ask(Duration{5'000});
  desk.pass(Duration{1'500});
  EXPECT_EQ(patient->replies, 1U);
}

TEST(Leases, T5_work_that_takes_long_keeps_nobody_from_being_read_back) {
  Policy policy = for_workers();
  policy.gates.rate = {.per_second = 1, .burst = 20};
  policy.store.within = Duration{10'000};
  Desk desk(policy);
  for (int i = 0; i < 20; ++i) (void)desk.submit("k" + std::to_string(i));
  const auto greedy = desk.ask({.worker = "w1", .targets = {}, .types = {}, .max = 20});
  desk.run();
  ASSERT_TRUE(greedy->leases && greedy->leases->size() == 20U);
  EXPECT_EQ(desk.gate().in_flight, 0U) << "they are in the worker's hands";
  // Its first read finds nothing, and there is no call left for the second.
  const Lease& first = greedy->leases->front();
  (void)desk.complete(first.operation->id, 1, EffectKind::acknowledged);
  desk.execute(first);
  desk.pass(Duration{2'000});
  EXPECT_EQ(desk.now(first.operation->id).state, State::confirmed);
}

TEST(Leases, T5_a_retry_that_nobody_grants_is_in_nobodys_way) {
  Policy policy = for_workers();
  policy.gates.budget = {.enabled = true, .ratio_permille = 0, .floor_per_second = 0};
  Desk desk(policy, {.idempotent = true});
  const OperationId lost = desk.submit("a");
  const auto dies = desk.ask(Duration{1'000});
  desk.pass(kLostAfter);
  ASSERT_TRUE(dies->leases && desk.now(lost).attempts == 1U);
  const OperationId fresh = desk.submit("b");
  const auto poll = desk.ask(Duration{30'000});
  desk.pass(Duration{5'000});
  ASSERT_TRUE(poll->leases && poll->leases->size() == 1U);
  EXPECT_EQ(poll->only().operation->id, fresh);
  EXPECT_EQ(desk.gate().held_by.at(static_cast<std::size_t>(HeldBy::budget)), 1U) << "said once";
}

TEST(Leases, T5_a_worker_at_work_is_a_probe_that_is_not_overdue) {
  Policy policy = for_workers();
  policy.reads_elsewhere = true;
  policy.gates.breaker = {.enabled = true, .consecutive = 1, .open = Duration{1'000}};
  Desk desk(policy, {.idempotent = false});
  (void)desk.submit("a");
  const auto dies = desk.ask(Duration{1'000});
  desk.pass(kLostAfter);
  ASSERT_TRUE(dies->leases && dies->leases->size() == 1U);
  ASSERT_EQ(desk.gate().breaker_opened, 1U);
  const OperationId slow = desk.submit("b");
  const auto poll = desk.ask(Duration{60'000});
  desk.pass(Duration{5'000});
  ASSERT_TRUE(poll->leases && poll->leases->size() == 1U);
  for (int i = 0; i < 10; ++i) {
    desk.pass(Duration{20'000});
    ASSERT_EQ(desk.beat(slow, 1)->refused, "");
  }
  EXPECT_EQ(desk.gate().breaker_opened, 1U);
  desk.execute(poll->only());
  (void)desk.complete(slow, 1, EffectKind::acknowledged);
  EXPECT_EQ(desk.gate().breaker, BreakerState::closed);
}

TEST(Leases, T6_a_look_that_takes_long_leaves_nobody_in_line_for_what_he_has) {
  Desk desk(for_workers(), {.idempotent = true});
  const OperationId id = desk.submit("a");
  const auto dies = desk.ask(Duration{1'000});
  desk.pass(kLostAfter);
  ASSERT_TRUE(dies->leases && desk.now(id).attempts == 1U);
  // What stands there is looked at before another attempt, and that takes longer than a read may.
  const auto poll = desk.ask(Duration{300'000});
  const auto step = [&] {
    int steps = 0;
    while (steps < 1'000 && desk.engine->step().worked) ++steps;
    return steps;
  };
  step();
  ASSERT_EQ(desk.runner.queue.size(), 1U);
  desk.clock.now += Duration{61'000};
  step();
  desk.run();
  ASSERT_TRUE(poll->leases && poll->leases->size() == 1U);
  while (desk.clock.now < desk.now(id).deadline) {
    ASSERT_EQ(desk.beat(id, 2)->refused, "");
    desk.clock.now += kLease / 3;
    ASSERT_LT(step(), 1'000) << "busy with nothing";
  }
}

TEST(Leases, T1_the_deadline_and_a_person_end_the_waiting) {
  Desk desk;
  const OperationId late = desk.submit("late");
  const OperationId withdrawn = desk.submit("withdrawn");
  desk.engine->person(withdrawn, {PersonAction::cancel, "ada", ""}, [](const auto&) {});
  desk.run();
  EXPECT_EQ(desk.now(withdrawn).state, State::canceled);
  EXPECT_EQ(desk.stats().queued, 1U);
  desk.pass(desk.policy_.deadline + Duration{1});
  EXPECT_EQ(desk.now(late).state, State::failed);
  EXPECT_NE(desk.now(late).reason.find("waits for a worker"), std::string::npos);
  EXPECT_EQ(desk.stats().queued, 0U);
}

TEST(Leases, T1_who_waited_for_its_turn_is_handed_out_when_it_comes) {
  Desk desk;
  const OperationId first = desk.submit("same");
  const OperationId second = desk.submit("same", Priority::normal, "another");
  const auto poll = desk.ask();
  desk.run();
  ASSERT_TRUE(poll->leases && poll->leases->size() == 1U);
  desk.execute(poll->only());
  EXPECT_EQ(desk.complete(first, 1, EffectKind::acknowledged)->refused, "");
  desk.store->put_outside("same", "something else");
  const auto next = desk.ask();
  desk.run();
  ASSERT_TRUE(next->leases && next->leases->size() == 1U) << desk.now(second).reason;
  EXPECT_EQ(next->only().operation->id, second);
}

TEST(Leases, T6_a_stop_answers_those_who_ask_and_lets_leases_live) {
  Desk desk;
  const auto idle = desk.ask(Duration{60'000});
  desk.run();
  desk.engine->begin_drain();
  desk.run();
  ASSERT_TRUE(idle->leases && idle->leases->empty());
  const auto refused = desk.ask(Duration{60'000});
  desk.run();
  ASSERT_TRUE(refused->problem);
  EXPECT_EQ(refused->problem->code, ProblemCode::draining);
  EXPECT_TRUE(desk.engine->drained());
}

TEST(Leases, T8_a_worker_that_says_come_again_is_asked_again_within_the_bound) {
  Desk desk;
  const OperationId id = desk.submit("a");
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    const auto poll = desk.ask(Duration{10'000});
    desk.pass(Duration{10'001});
    ASSERT_TRUE(poll->leases && poll->leases->size() == 1) << attempt;
    (void)desk.complete(id, attempt, EffectKind::rejected_retryable);
  }
  EXPECT_EQ(desk.now(id).state, State::failed);
}

TEST(Leases, T1_a_thousand_by_twenty_workers_are_each_done_once) {
  Desk desk;
  std::vector<OperationId> ids;
  for (int i = 0; i < 1'000; ++i) ids.push_back(desk.submit("key" + std::to_string(i)));
  for (int round = 0; round < 200; ++round) {
    std::vector<Desk::PollPtr> polls;
    for (int w = 0; w < 20; ++w) {
      polls.push_back(desk.ask({.worker = "w" + std::to_string(w),
                                .targets = {},
                                .types = {},
                                .max = static_cast<std::uint32_t>(1 + w % 3)}));
    }
    desk.run();
    for (const auto& poll : polls) {
      ASSERT_TRUE(poll->leases);
      for (const Lease& lease : *poll->leases) {
        desk.execute(lease);
        (void)desk.complete(lease.operation->id, lease.operation->attempts,
                            EffectKind::acknowledged);
      }
    }
    if (desk.stats().queued + desk.stats().leased == 0) break;
  }
  for (const OperationId& id : ids) {
    EXPECT_EQ(desk.executions[id], 1);
    EXPECT_EQ(desk.now(id).state, State::confirmed);
  }
}

}  // namespace
}  // namespace trued
