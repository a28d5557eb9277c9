// Attempts in the hands of workers: handed out, kept by heartbeats, lost by silence, told late.
#include <string>

#include <gtest/gtest.h>

#include "core/operation.h"
#include "core/test_support.h"

namespace trued {
namespace {

using test::at_store;
using test::ended;
using test::Found;
using test::Life;

constexpr Duration kLease{30'000};

Policy for_workers(Capabilities capabilities = {.idempotent = false}) {
  Policy policy = test::policy_for(capabilities);
  policy.lease = kLease;
  return policy;
}

Heartbeat beat(std::uint32_t attempt = 1) {
  return {.attempt = AttemptNo(attempt), .worker = "w1", .baseline = {}};
}

Life leased(const Policy& policy = for_workers(), std::uint32_t artifacts = 1) {
  Life life(policy, artifacts);
  life.start();
  EXPECT_FALSE(life.take(beat()).refusal);
  EXPECT_TRUE(is_leased(life.operation));
  return life;
}

TEST(Lease, T1_is_handed_out_with_what_was_read_before_and_names_the_worker) {
  Life life(for_workers());
  life.start();
  EXPECT_FALSE(is_leased(life.operation));
  Heartbeat first = beat();
  first.baseline = at_store({Found::before});
  life.take(first);
  EXPECT_EQ(life.state(), State::attempting);
  EXPECT_EQ(life.operation.reason, "leased by worker 'w1'");
  EXPECT_EQ(leased_by(life.operation), "w1");
  EXPECT_EQ(life.operation.due_at, life.now + kLease + kLease / kLeaseAhead);
  EXPECT_EQ(life.operation.artifacts.at(0).store.baseline->seen, Seen::found);
}

TEST(Lease, T1_a_heartbeat_gives_a_whole_lease_more_and_none_past_the_deadline) {
  Life life = leased();
  life.now += kLease / 2;
  EXPECT_FALSE(life.take(beat()).refusal);
  EXPECT_GE(life.operation.due_at, life.now + kLease);
  EXPECT_LT(life.operation.due_at, life.now + kLease * 5 / 4);
  life.now = life.operation.deadline;
  EXPECT_FALSE(life.take(beat()).refusal);
  EXPECT_EQ(life.operation.due_at, life.operation.deadline + kLease);
  life.now += Duration{1};
  ASSERT_TRUE(life.take(beat()).refusal);
  EXPECT_EQ(life.last.refusal->code, "lease-lost");
}

// The worker goes by its own clock, from when it asked: what it was told must hold that long.
TEST(Lease, T1_whoever_is_told_yes_has_a_whole_lease) {
  Life life = leased();
  for (int i = 0; life.now <= life.operation.deadline + kLease; ++i) {
    life.now += kLease / (i % 17 + 1);
    if (life.take(beat()).refusal) continue;
    ASSERT_GE(life.operation.due_at, life.now + kLease);
    ASSERT_LE(life.operation.due_at, life.operation.deadline + kLease);
  }
}

TEST(Lease, T5_heartbeats_without_a_pause_fill_no_log) {
  Life life = leased();
  for (int i = 0; i < 1'000; ++i) {
    life.now += Duration{1};
    EXPECT_FALSE(life.take(beat()).refusal);
  }
  EXPECT_EQ(life.count<WaitScheduled>(), 1U);
  life.now += kLease / 4;
  life.take(beat());
  EXPECT_EQ(life.count<WaitScheduled>(), 2U);
}

TEST(Lease, T4_that_runs_out_makes_the_attempt_unknown_and_says_whose_it_was) {
  Life life = leased(for_workers(), 0);
  life.timer();
  EXPECT_EQ(life.operation.effect, EffectKind::unknown);
  EXPECT_NE(life.operation.reason.find("'w1'"), std::string::npos) << life.operation.reason;
  EXPECT_TRUE(life.operation.sent);
  EXPECT_EQ(life.operation.attempts_counted, 1U);
}

TEST(Lease, T4_what_was_never_handed_out_never_left_us) {
  for (const bool restarted : {false, true}) {
    Life life(for_workers());
    life.start();
    if (restarted) {
      life.recover();
    } else {
      life.timer();
    }
    EXPECT_EQ(life.operation.effect, EffectKind::not_sent) << restarted;
    EXPECT_FALSE(life.operation.sent);
    EXPECT_EQ(life.operation.attempts_counted, 0U);
    EXPECT_EQ(life.state(), State::accepted) << "another attempt follows";
  }
}

TEST(Lease, T6_a_restart_takes_no_lease_from_anybody) {
  Life life = leased();
  const std::string before = test::dump(life.operation);
  const Decision& decision = life.recover();
  EXPECT_TRUE(decision.events.empty());
  EXPECT_EQ(test::dump(life.operation), before);
  life.report(ended(EffectKind::acknowledged), at_store({Found::ours}));
  EXPECT_EQ(life.state(), State::confirmed);
}

TEST(Lease, T1_of_an_older_attempt_is_lost_and_changes_nothing) {
  Life life(for_workers({.idempotent = true}));
  life.start();
  Heartbeat first = beat();
  first.baseline = at_store({Found::before});
  life.take(first);
  life.timer();
  life.read_until_decided(at_store({Found::before}));
  life.timed_read(at_store({Found::before}));
  ASSERT_EQ(life.operation.attempts, 2U);
  ASSERT_TRUE(life.take(beat(1)).refusal);
  EXPECT_EQ(life.last.refusal->code, "lease-lost");
  EXPECT_TRUE(life.last.events.empty());
  EXPECT_FALSE(is_leased(life.operation)) << "the new attempt is not the old worker's";
}

TEST(Lease, T4_a_yes_that_comes_late_still_counts_while_it_is_the_newest) {
  Life life = leased();
  life.timer();
  ASSERT_EQ(life.operation.effect, EffectKind::unknown);
  ASSERT_EQ(life.state(), State::unknown);
  AttemptReport late;
  late.attempt = AttemptNo(1);
  late.effect = ended(EffectKind::acknowledged);
  life.take(late);
  EXPECT_EQ(life.operation.effect, EffectKind::acknowledged);
  life.read_until_decided(at_store({Found::ours}));
  EXPECT_EQ(life.state(), State::confirmed);
}

TEST(Lease, T1_only_attempts_that_run_and_only_where_workers_carry_them_out) {
  Life plain;
  plain.start();
  ASSERT_TRUE(plain.take(beat()).refusal);
  EXPECT_EQ(plain.last.refusal->code, "lease-lost");
  Life waiting(for_workers());
  ASSERT_TRUE(waiting.take(beat()).refusal);
  EXPECT_TRUE(waiting.last.events.empty());
}

}  // namespace
}  // namespace trued
