// The rows of DESIGN section 3 through decide(), from the first attempt to the end.
#include "core/operation.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/test_support.h"

namespace trued {
namespace {

using test::at_store;
using test::ended;
using test::Found;
using test::history;
using test::Life;
using test::Past;
using test::policy_for;
using test::runs_attempt;
using test::runs_read;
using test::served;

constexpr auto kAck = EffectKind::acknowledged;
constexpr Capabilities kGit{.idempotent = true, .deduplicates = false, .history = true};

const std::vector<Observation> kOurs = at_store({Found::ours});
const std::vector<Observation> kBefore = at_store({Found::before});
const std::vector<Observation> kOther = at_store({Found::other});
const std::vector<Observation> kUnreadable = at_store({Found::unreadable});

Life started(const Policy& policy = policy_for(), std::uint32_t artifacts = 1) {
  Life life(policy, artifacts);
  life.start();
  return life;
}

// ---- acceptance and the first attempt -----------------------------------------------------------

TEST(Operation, V7_accepted_waits_for_its_turn_and_is_due_at_once) {
  const Life life;
  EXPECT_EQ(life.state(), State::accepted);
  EXPECT_EQ(life.operation.due_for, Due::start);
  EXPECT_EQ(life.operation.due_at, test::kBegin);
  EXPECT_EQ(life.operation.events, 1U);
}

TEST(Operation, T6_the_attempt_is_recorded_before_it_is_run) {
  Life life;
  const Decision& decision = life.start();
  ASSERT_EQ(decision.events.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<AttemptStarted>(decision.events.front()));
  ASSERT_TRUE(runs_attempt(decision));
  EXPECT_TRUE(std::get<RunAttempt>(decision.actions.front()).first);
  EXPECT_EQ(life.state(), State::attempting);
  EXPECT_EQ(life.operation.due_for, Due::report);
}

TEST(Operation, V7_not_before_is_waited_for) {
  Policy policy = policy_for();
  Accepted accepted = test::accepted_with(1, policy);
  accepted.not_before = test::kBegin + Duration{10'000};
  Life life(policy, accepted);
  EXPECT_TRUE(life.start().actions.empty());
  EXPECT_EQ(life.state(), State::accepted);
  EXPECT_EQ(life.operation.due_at, accepted.not_before);
  EXPECT_TRUE(runs_attempt(life.timer()));
}

// ---- acknowledged -------------------------------------------------------------------------------

TEST(Operation, V1_acknowledged_and_match_is_confirmed) {
  Life life = started();
  life.report(ended(kAck), kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_TRUE(life.operation.changed);
  EXPECT_EQ(life.operation.reason, "");
  EXPECT_EQ(life.operation.settled_at, life.now);
  EXPECT_EQ(life.operation.due_for, Due::none);
}

TEST(Operation, V1_acknowledged_without_a_read_is_not_confirmed_but_read) {
  Life life = started();
  life.report(ended(kAck));
  EXPECT_EQ(life.state(), State::verifying);
  EXPECT_EQ(life.operation.due_for, Due::read);
  EXPECT_EQ(life.operation.due_at, life.now) << "the first read need not wait";
  life.timed_read(kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
}

TEST(Operation, V1_acknowledged_with_nothing_to_read_is_only_acknowledged) {
  Life life = started(policy_for(), 0);
  life.report(ended(kAck));
  EXPECT_EQ(life.state(), State::acknowledged);
  EXPECT_EQ(life.operation.reason, "the target said yes; it has nothing that could be read back");
}

TEST(Operation, V3_a_mismatch_is_read_again_before_anything_is_written) {
  Life life = started();
  life.report(ended(kAck), kBefore);
  EXPECT_EQ(life.state(), State::verifying);
  EXPECT_EQ(life.operation.due_for, Due::read);
  EXPECT_GT(*life.operation.due_at, life.now);
  ASSERT_TRUE(runs_read(life.timer()));
  life.read(kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_EQ(life.operation.attempts, 1U);
  EXPECT_FALSE(life.operation.tell.has_value()) << "a slow store is no lie";
}

TEST(Operation, V3_V7_a_settled_mismatch_is_attempted_again_then_asks_naming_the_tell) {
  Life life = started();
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    EXPECT_EQ(life.operation.attempts, attempt);
    life.report(ended(kAck), kBefore);
    EXPECT_EQ(life.read_until_decided(kBefore), 2U) << "three reads, the first included";
    if (attempt == 3) break;
    ASSERT_EQ(life.operation.due_for, Due::attempt);
    EXPECT_TRUE(life.operation.reason.starts_with("another attempt follows: swallowed_race"));
    // Right before the next attempt everything is read once more.
    ASSERT_TRUE(runs_read(life.timer()));
    ASSERT_TRUE(runs_attempt(life.read(kBefore)));
    EXPECT_FALSE(std::get<RunAttempt>(life.last.actions.front()).first);
  }
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.tell, Tell::swallowed_race);
  EXPECT_EQ(life.operation.tells.size(), 3U);
  EXPECT_EQ(life.operation.attempts_counted, 3U);
  EXPECT_NE(life.operation.reason.find("'a0' at the store level"), std::string::npos);
  EXPECT_FALSE(life.operation.settled_at.has_value()) << "what is undecided is never retired";
}

TEST(Operation, V7_a_repaired_lie_is_confirmed_and_kept_on_record) {
  Life life = started();
  life.report(ended(kAck), kBefore);
  life.read_until_decided(kBefore);
  life.timed_read(kBefore);
  life.report(ended(kAck), kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_EQ(life.operation.attempts, 2U);
  EXPECT_EQ(life.operation.tell, Tell::swallowed_race);
  EXPECT_EQ(life.operation.tells, (std::vector<CaughtTell>{{AttemptNo(1), Tell::swallowed_race}}));
}

TEST(Operation, V6_what_landed_during_the_backoff_is_not_written_again) {
  Life life = started();
  life.report(ended(kAck), kBefore);
  life.read_until_decided(kBefore);
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  life.timed_read(kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Operation, V6_another_writer_during_the_backoff_is_not_overwritten) {
  Life life = started();
  life.report(ended(kAck), kBefore);
  life.read_until_decided(kBefore);
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  life.timed_read(kOther);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
  EXPECT_EQ(life.operation.tell, Tell::overwritten);
}

TEST(Operation, V6_all_artifacts_are_looked_at_again_before_the_next_attempt) {
  // a0 matched at once; another writer replaced it while a1 settled.
  Life life = started(policy_for(), 2);
  life.report(ended(kAck), at_store({Found::ours, Found::before}));
  life.read_until_decided({test::seen(1, Found::before)});
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  for (const ArtifactState& artifact : life.operation.artifacts) {
    EXPECT_TRUE(wants_read(artifact, Level::store, false));
  }
  life.timed_read(at_store({Found::other, Found::before}));
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Operation, V6_superseded_is_proved_by_history_and_never_rewritten) {
  Life life = started(policy_for(kGit));
  life.report(ended(kAck), kOther, history({Past::replaced}));
  EXPECT_EQ(life.state(), State::superseded);
  EXPECT_EQ(life.operation.superseded_by, "c0ffee somebody");
  EXPECT_FALSE(life.operation.tell.has_value()) << "nobody lied";
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Operation, V6_partly_superseded_is_a_persons_question_never_a_rewrite) {
  Life life = started(policy_for(kGit), 2);
  const auto reads = at_store({Found::other, Found::before});
  const History told = history({Past::replaced, Past::never});
  life.report(ended(kAck), reads, told);
  life.read_until_decided(reads, told);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
  EXPECT_EQ(life.operation.tell, Tell::overwritten);
}

TEST(Operation, V6_without_history_a_value_neither_before_nor_ours_asks) {
  Life life = started();
  life.report(ended(kAck), kOther);
  life.read_until_decided(kOther);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
  EXPECT_EQ(life.operation.tell, Tell::overwritten);
}

TEST(Operation, V6_a_history_that_cannot_be_asked_licenses_no_overwrite) {
  Life life = started(policy_for(kGit));
  life.report(ended(kAck), kOther, {});
  life.read_until_decided(kOther, {});
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Operation, V6_a_later_writer_behind_a_slow_serving_level_is_not_overwritten_nor_a_lie) {
  Policy policy = policy_for(kGit);
  policy.has_serving = true;
  Life life = started(policy);
  life.report(ended(kAck), served({Found::before}));
  EXPECT_EQ(life.state(), State::verifying);
  // The store is read again with the serving level, and shows who came.
  ASSERT_TRUE(wants_read(life.operation.artifacts.front(), Level::store, true));
  life.timed_read(kOther, history({Past::replaced}));
  EXPECT_EQ(life.state(), State::superseded);
  EXPECT_TRUE(life.operation.tells.empty());
}

TEST(Operation, V3_unreadable_is_read_again_and_never_written_because_of_it) {
  Life life = started();
  life.report(ended(kAck), kUnreadable);
  EXPECT_EQ(life.operation.reason,
            "could not be read back yet: 'a0' at the store level: connection refused");
  EXPECT_EQ(life.read_until_decided(kUnreadable), 2U);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
  EXPECT_TRUE(life.operation.reason.starts_with("unverified: "));
  EXPECT_FALSE(life.operation.tell.has_value());
}

TEST(Operation, V3_unreadable_right_before_a_repeat_stops_the_repeat) {
  Life life = started();
  life.report(ended(kAck), kBefore);
  life.read_until_decided(kBefore);
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  life.timed_read(kUnreadable);
  EXPECT_EQ(life.operation.due_for, Due::read);
  EXPECT_EQ(life.operation.attempts, 1U);
  life.read_until_decided(kUnreadable);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Operation, V3_a_mismatch_seen_late_for_the_first_time_is_still_read_again) {
  Policy policy = policy_for();
  policy.unreadable.within = Duration{60'000};
  policy.unreadable.reads_max = 50;
  policy.unreadable.cap = Duration{10'000};
  Life life = started(policy);
  life.report(ended(kAck), kUnreadable);
  while (life.now < test::kBegin + 2 * policy.store.within) life.timed_read(kUnreadable);
  life.timed_read(kBefore);
  EXPECT_EQ(life.operation.due_for, Due::read) << "past `within`, but seen only once";
  life.timed_read(kBefore);
  EXPECT_EQ(life.operation.due_for, Due::attempt);
}

TEST(Operation, V3_the_look_before_a_repeat_settles_from_when_it_is_due) {
  Policy policy = policy_for();
  policy.unreadable.within = Duration{200};
  Life life = started(policy);
  life.report(ended(kAck), kBefore);
  life.entropy = 100;
  life.read_until_decided(kBefore);
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  ASSERT_GT(*life.operation.due_at, test::kBegin + policy.unreadable.within);
  life.entropy = 0;
  life.timed_read(kUnreadable);
  EXPECT_EQ(life.read_until_decided(kUnreadable), 2U) << "three reads, as after an attempt";
  EXPECT_EQ(life.state(), State::needs_action);
}

TEST(Operation, T1_what_may_have_happened_is_read_once_whatever_the_bounds) {
  Policy policy = policy_for();
  policy.unreadable.reads_max = 0;
  policy.unreadable.within = Duration{0};
  Life life = started(policy);
  life.recover();
  EXPECT_EQ(life.operation.due_for, Due::read);
  life.timed_read(kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
}

TEST(Operation, V6_a_history_of_other_artifacts_than_ours_is_none) {
  Life life = started(policy_for(kGit));
  const History foreign = history({});
  ASSERT_TRUE(foreign.known);
  life.report(ended(kAck), kBefore, foreign);
  life.read_until_decided(kBefore, foreign);
  EXPECT_FALSE(life.operation.history.known);
  EXPECT_EQ(life.operation.tell, Tell::swallowed_race);
}

TEST(Operation, V5_the_serving_level_has_its_own_settling) {
  Policy policy = policy_for();
  policy.has_serving = true;
  Life life = started(policy);
  life.report(ended(kAck), kBefore);
  life.timed_read(kBefore);
  life.timed_read(served({Found::before}));
  EXPECT_EQ(life.operation.due_for, Due::read) << "the store took its whole bound, serving did not";
  EXPECT_EQ(life.operation.serving_rounds, 1U);
  life.timed_read(served({Found::before}));
  EXPECT_EQ(life.operation.due_for, Due::read);
  life.timed_read(served({Found::ours}));
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_TRUE(life.operation.tells.empty());
}

TEST(Operation, V5_a_lie_of_the_serving_level_is_caught) {
  Policy policy = policy_for();
  policy.has_serving = true;
  Life life = started(policy);
  life.report(ended(kAck), served({Found::before}));
  EXPECT_EQ(life.read_until_decided(served({Found::before})), 2U);
  EXPECT_EQ(life.operation.due_for, Due::attempt);
  EXPECT_EQ(life.operation.tell, Tell::stale_replica);
}

TEST(Operation, V5_store_alone_is_not_enough_where_a_serving_level_was_promised) {
  Policy policy = policy_for();
  policy.has_serving = true;
  Life life = started(policy);
  life.report(ended(kAck), kOurs);
  life.read_until_decided(kOurs);
  EXPECT_EQ(life.state(), State::needs_action);
}

}  // namespace
}  // namespace trued
