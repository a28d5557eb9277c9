// What follows an attempt that was not simply acknowledged, through decide(): unknown, rejected,
// not sent, skipped; then fencing, recovery and timers.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/operation.h"
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
constexpr auto kUnknown = EffectKind::unknown;
constexpr auto kRetryable = EffectKind::rejected_retryable;
constexpr auto kFinal = EffectKind::rejected_final;
constexpr auto kNotSent = EffectKind::not_sent;
constexpr Capabilities kGit{.idempotent = true, .deduplicates = false, .history = true};
constexpr Capabilities kNothing{.idempotent = false, .deduplicates = false, .history = false};

const std::vector<Observation> kOurs = at_store({Found::ours});
const std::vector<Observation> kBefore = at_store({Found::before});
const std::vector<Observation> kOther = at_store({Found::other});
const std::vector<Observation> kUnreadable = at_store({Found::unreadable});

Life started(const Policy& policy = policy_for(), std::uint32_t artifacts = 1) {
  Life life(policy, artifacts);
  life.start();
  return life;
}

std::string state(const Life& life) { return std::string(to_string(life.state())); }

// ---- unknown ------------------------------------------------------------------------------------

TEST(Operation, T1_unknown_and_match_is_confirmed) {
  Life life = started();
  life.report(ended(kUnknown, "timeout"), kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_TRUE(life.operation.changed) << "it had landed";
}

TEST(Operation, T1_unknown_and_mismatch_is_read_again_then_attempted_again) {
  Life life = started();
  life.report(ended(kUnknown, "timeout"), kBefore);
  EXPECT_EQ(life.state(), State::unknown);
  EXPECT_EQ(life.operation.due_for, Due::read);
  life.read_until_decided(kBefore);
  EXPECT_EQ(life.state(), State::unknown);
  EXPECT_EQ(life.operation.due_for, Due::attempt);
  life.timed_read(kBefore);
  EXPECT_EQ(life.state(), State::attempting);
  EXPECT_TRUE(life.operation.tells.empty()) << "an effect without an answer claimed nothing";
}

TEST(Operation, T1_unknown_and_mismatch_asks_where_a_repeat_is_not_safe) {
  Life life = started(policy_for(kNothing));
  life.report(ended(kUnknown, "timeout"), kBefore);
  life.read_until_decided(kBefore);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
  EXPECT_TRUE(life.operation.reason.starts_with("no answer came; "));
}

TEST(Operation, T1_unknown_and_unreadable_stays_unknown_then_asks) {
  Life life = started();
  life.report(ended(kUnknown, "timeout"), kUnreadable);
  EXPECT_EQ(life.state(), State::unknown);
  EXPECT_EQ(life.read_until_decided(kUnreadable), 2U);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Operation, T1_unknown_with_nothing_to_read_repeats_only_if_safe) {
  Life safe = started(policy_for(), 0);
  safe.report(ended(kUnknown, "timeout"));
  EXPECT_EQ(safe.operation.due_for, Due::attempt);
  EXPECT_TRUE(runs_attempt(safe.timer()));
  Life unsafe = started(policy_for(kNothing), 0);
  unsafe.report(ended(kUnknown, "timeout"));
  EXPECT_EQ(unsafe.state(), State::needs_action);
  EXPECT_EQ(unsafe.operation.reason, "no answer came; it may or may not have happened: timeout");
}

TEST(Operation, T1_no_report_in_time_is_unknown) {
  Life life = started();
  life.timer();
  EXPECT_EQ(life.state(), State::unknown);
  EXPECT_EQ(life.operation.effect, kUnknown);
  EXPECT_EQ(life.operation.due_for, Due::read);
  EXPECT_TRUE(life.operation.sent);
}

TEST(Operation, T1_a_report_without_an_outcome_is_unknown) {
  Life life = started();
  life.report(ended(EffectKind::none));
  EXPECT_EQ(life.state(), State::unknown);
  EXPECT_EQ(life.operation.due_for, Due::read);
}

// ---- rejected and not sent ----------------------------------------------------------------------

TEST(Operation, T5_rejected_final_is_failed) {
  Life life = started();
  life.report(ended(kFinal, "no such branch"));
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_EQ(life.operation.reason, "no such branch");
}

TEST(Operation, T5_rejected_retryable_is_attempted_again_within_the_policy) {
  Life life = started();
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    life.report(ended(kRetryable, "lost the race"));
    if (attempt == 3) break;
    EXPECT_EQ(life.state(), State::accepted) << "nothing was sent";
    EXPECT_EQ(life.operation.due_for, Due::attempt);
    ASSERT_TRUE(runs_attempt(life.timer()));
    EXPECT_TRUE(std::get<RunAttempt>(life.last.actions.front()).first)
        << "read before: what stands there may have changed";
  }
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_EQ(life.operation.reason, "gave up after 3 attempts: lost the race");
}

TEST(Operation, T5_the_targets_own_wish_is_honoured) {
  Life life = started();
  AttemptReport report;
  report.attempt = AttemptNo(1);
  report.effect = ended(kRetryable, "429");
  report.retry_after = Duration{7'000};
  life.take(report);
  EXPECT_EQ(life.operation.due_at, life.now + Duration{7'000});
}

TEST(Operation, T5_a_wish_beyond_the_deadline_is_not_waited_for) {
  Life life = started();
  AttemptReport report;
  report.attempt = AttemptNo(1);
  report.effect = ended(kRetryable, "429");
  report.retry_after = Duration{24 * 3'600'000};
  life.take(report);
  EXPECT_EQ(life.state(), State::failed) << "nothing was sent, and nothing can be in time";
}

TEST(Operation, T5_not_sent_does_not_count_but_the_deadline_bounds_it) {
  Life life = started();
  life.entropy = 50;
  std::uint32_t attempts = 0;
  while (life.state() == State::attempting && attempts < 100'000) {
    ++attempts;
    life.report(ended(kNotSent, "connection refused"));
    EXPECT_EQ(life.operation.attempts_counted, 0U);
    if (!is_settled(life.state())) life.timer();
    life.entropy = life.entropy * 6364136223846793005U + 1442695040888963407U;
  }
  EXPECT_GT(attempts, 3U) << "more than the bound";
  EXPECT_LT(attempts, 600U) << "the wait grows";
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_NE(life.operation.reason.find("the deadline passed"), std::string::npos);
  EXPECT_NE(life.operation.reason.find("connection refused"), std::string::npos);
  EXPECT_GE(life.now, life.operation.deadline);
}

TEST(Operation, T1_a_rejected_repeat_says_nothing_about_the_attempt_before_it) {
  for (const EffectKind kind : {kFinal, kRetryable, kNotSent}) {
    SCOPED_TRACE(to_string(kind));
    Life life = started();
    life.report(ended(kUnknown, "timeout"), kBefore);
    life.read_until_decided(kBefore);
    life.timed_read(kBefore);
    ASSERT_EQ(life.operation.attempts, 2U);
    life.report(ended(kind, "already exists"));
    EXPECT_EQ(state(life), "unknown") << "attempt 1 may have happened";
    life.timer();
    ASSERT_TRUE(runs_read(life.last)) << "found out by reading";
    life.read(kOurs);
    EXPECT_EQ(state(life), "confirmed");
    EXPECT_TRUE(life.operation.changed);
  }
}

TEST(Operation, T1_a_final_rejection_after_an_unknown_attempt_ends_with_a_person_not_failed) {
  Life life = started();
  life.report(ended(kUnknown, "timeout"), kBefore);
  life.read_until_decided(kBefore);
  life.timed_read(kBefore);
  life.report(ended(kFinal, "forbidden"));
  life.read_until_decided(kBefore);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 2U) << "a final answer is final";
  EXPECT_TRUE(life.operation.reason.starts_with("the last attempt was turned away"));
}

TEST(Operation, T1_retryable_rejections_after_an_unknown_attempt_end_with_a_person_not_failed) {
  Life life = started();
  life.report(ended(kUnknown, "timeout"), kBefore);
  while (!is_settled(life.state())) {
    if (life.state() == State::attempting) {
      life.report(ended(kRetryable, "busy"));
    } else {
      life.timed_read(kBefore);
    }
  }
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts_counted, 3U);
}

// ---- unchanged and opted out --------------------------------------------------------------------

TEST(Operation, V4_what_already_held_is_unchanged) {
  Life life = started();
  AttemptReport report;
  report.attempt = AttemptNo(1);
  report.effect = ended(EffectKind::skipped);
  report.baseline = kOurs;
  life.take(report);
  EXPECT_EQ(life.state(), State::unchanged);
  EXPECT_EQ(status_of(life.state()), Status::confirmed);
  EXPECT_FALSE(life.operation.changed);
  EXPECT_EQ(life.operation.attempts_counted, 0U);
}

TEST(Operation, V4_unchanged_is_not_believed_without_reads_that_show_it) {
  Policy both = policy_for();
  both.has_serving = true;
  struct Claim {
    Policy policy;
    std::vector<Observation> baseline;
  };
  const Claim claims[] = {
      {policy_for(), {}},
      {policy_for(), kBefore},
      {policy_for(), kUnreadable},
      {policy_for(), {test::seen(0, Found::ours), test::seen(0, Found::before)}},
      {both, kOurs},
      {both, served({Found::before})},
  };
  for (const Claim& claim : claims) {
    Life life = started(claim.policy);
    AttemptReport report;
    report.attempt = AttemptNo(1);
    report.effect = ended(EffectKind::skipped);
    report.baseline = claim.baseline;
    life.take(report);
    EXPECT_EQ(life.state(), State::verifying);
    EXPECT_EQ(life.operation.due_for, Due::read);
    EXPECT_FALSE(life.operation.changed);
  }
}

TEST(Operation, V4_skipped_after_something_was_sent_is_confirmed_by_these_reads) {
  Life life = started();
  life.report(ended(kAck), kOther);
  life.read_until_decided(kOther);
  ASSERT_EQ(life.state(), State::needs_action);
  life.person(PersonAction::retry);
  life.start();
  life.read(kBefore);
  while (life.state() != State::attempting) life.timed_read(kBefore);
  AttemptReport report;
  report.attempt = AttemptNo(2);
  report.effect = ended(EffectKind::skipped);
  report.baseline = kOurs;
  life.take(report);
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_TRUE(life.operation.changed);
}

TEST(Operation, V6_a_persons_retry_reads_before_it_writes) {
  Life life = started();
  life.report(ended(kAck), kOther);
  life.read_until_decided(kOther);
  ASSERT_EQ(life.state(), State::needs_action);
  life.person(PersonAction::retry);
  EXPECT_EQ(life.state(), State::unknown) << "something of it may have been sent";
  const Decision& decision = life.start();
  ASSERT_EQ(decision.actions.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<RunRead>(decision.actions.front()));
  Life landed = life;
  landed.read(kOurs);
  EXPECT_EQ(landed.state(), State::confirmed);
  Life foreign = life;
  foreign.read(kOther);
  foreign.read_until_decided(kOther);
  EXPECT_EQ(foreign.state(), State::needs_action) << "somebody else's work stands there";
}

TEST(Operation, T1_what_only_a_person_can_tell_runs_again_when_a_person_asks) {
  Policy policy = policy_for();
  policy.capabilities = {.idempotent = false, .deduplicates = false, .history = false};
  policy.verify = false;
  const auto silent = at_store({Found::unreadable});
  Life life = started(policy);
  life.report(ended(kUnknown, "exit status 3"), silent);
  life.read_until_decided(silent);
  ASSERT_EQ(life.state(), State::needs_action);
  life.person(PersonAction::retry);
  life.start();
  ASSERT_TRUE(runs_attempt(life.read(silent)));
  EXPECT_EQ(life.operation.attempts, 2U);
  EXPECT_EQ(life.operation.attempts_counted, 1U);
}

TEST(Operation, V10_opted_out_is_never_called_confirmed) {
  Policy policy = policy_for();
  policy.verify = false;
  Life told = started(policy);
  told.report(ended(kAck), kOurs);
  EXPECT_EQ(told.state(), State::acknowledged);
  EXPECT_EQ(status_of(told.state()), Status::unverified);

  Life untold = started(policy);
  untold.report(ended(kUnknown, "timeout"));
  EXPECT_EQ(untold.state(), State::unknown);
  untold.timed_read(kOurs);
  EXPECT_EQ(untold.state(), State::acknowledged);

  Life skipped = started(policy);
  AttemptReport report;
  report.attempt = AttemptNo(1);
  report.effect = ended(EffectKind::skipped);
  report.baseline = kOurs;
  skipped.take(report);
  EXPECT_EQ(skipped.state(), State::acknowledged) << "`unchanged` shows as confirmed";
}

// ---- fencing, recovery, timers ------------------------------------------------------------------

TEST(Operation, T1_a_late_yes_of_the_newest_attempt_counts) {
  Life life = started();
  life.timer();
  ASSERT_EQ(life.state(), State::unknown);
  ASSERT_EQ(life.operation.reason, "no answer within the time an attempt may take");
  life.report(ended(kAck), kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_EQ(life.operation.version, "v1");
}

TEST(Operation, T1_a_late_no_of_the_newest_attempt_is_evidence_only) {
  for (const EffectKind kind :
       {EffectKind::rejected_retryable, EffectKind::rejected_final, EffectKind::not_sent}) {
    Life life = started();
    life.timer();
    life.report(ended(kind, "no"));
    EXPECT_TRUE(std::holds_alternative<LateEvidence>(life.last.events.front()));
    EXPECT_EQ(life.state(), State::unknown);
  }
}

TEST(Operation, T1_an_older_attempts_answer_is_evidence_only) {
  Life life = started();
  life.report(ended(kUnknown, "timeout"), kBefore);
  life.read_until_decided(kBefore);
  life.timed_read(kBefore);
  ASSERT_EQ(life.operation.attempts, 2U);
  const Operation before = life.operation;
  life.now += Duration{10};
  for (const std::uint32_t number : {0U, 1U, 3U, 99U}) {
    AttemptReport late;
    late.attempt = AttemptNo(number);
    late.effect = ended(kAck);
    late.reads = kOurs;
    life.take(late);
    ASSERT_EQ(life.last.events.size(), 1U);
    ASSERT_TRUE(std::holds_alternative<LateEvidence>(life.last.events.front()));
    life.take(ReadReport{.attempt = AttemptNo(number), .reads = kOurs, .history = {}});
    ASSERT_TRUE(std::holds_alternative<LateEvidence>(life.last.events.front()));
    EXPECT_TRUE(life.last.actions.empty());
  }
  Operation after = life.operation;
  EXPECT_EQ(after.events, before.events + 8);
  after.events = before.events;
  EXPECT_EQ(test::dump(after), test::dump(before));
}

TEST(Operation, T3_a_stored_receipt_stays_the_same_when_it_is_asked_for_again) {
  Life life = started();
  life.report(ended(kAck), kOurs);
  const WallTime updated = life.operation.updated_at;
  evolve(life.operation, Repeated{"duplicate", 3}, updated + Duration{5'000});
  evolve(life.operation, LateEvidence{}, updated + Duration{6'000});
  EXPECT_EQ(life.operation.updated_at, updated);
  EXPECT_EQ(life.state(), State::confirmed);
}

TEST(Operation, T1_an_attempt_found_unfinished_at_start_up_is_unknown_and_read) {
  Life life = started();
  life.now += Duration{3'600'000};
  life.recover();
  EXPECT_EQ(life.state(), State::unknown);
  EXPECT_TRUE(life.operation.sent);
  EXPECT_EQ(life.operation.due_for, Due::read) << "past the deadline too: reading is harmless";
  life.timed_read(kOurs);
  EXPECT_EQ(life.state(), State::confirmed);
}

TEST(Operation, T1_recovered_and_not_there_is_written_only_where_nothing_is_overwritten) {
  Life absent = started();
  absent.recover();
  absent.read_until_decided(at_store({Found::absent}));
  EXPECT_EQ(absent.operation.due_for, Due::attempt);
  // The read made before the attempt is lost: whose content this is, is not known.
  Life present = started();
  present.recover();
  present.read_until_decided(kBefore);
  EXPECT_EQ(present.state(), State::needs_action);
  Life proved = started(policy_for(kGit));
  proved.recover();
  proved.read_until_decided(kBefore, history({Past::never}));
  EXPECT_EQ(proved.operation.due_for, Due::attempt);
}

TEST(Operation, T1_recovered_past_the_deadline_is_read_but_not_attempted) {
  Life life = started();
  life.now += Duration{3'600'000};
  life.recover();
  life.read_until_decided(at_store({Found::absent}));
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Operation, T1_recover_moves_only_what_was_in_flight) {
  Life accepted;
  EXPECT_TRUE(accepted.recover().events.empty());
  Life verifying = started();
  verifying.report(ended(kAck), kBefore);
  EXPECT_TRUE(verifying.recover().events.empty());
  Life done = started();
  done.report(ended(kAck), kOurs);
  EXPECT_TRUE(done.recover().events.empty());
}

TEST(Operation, T5_a_timer_that_was_overtaken_does_no_harm) {
  Life life = started();
  life.entropy = 50;
  life.report(ended(kRetryable, "busy"));
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  ASSERT_EQ(life.operation.due_at, life.now + Duration{50});
  EXPECT_TRUE(life.take(TimerDue{}).events.empty()) << "the backoff is kept";
  EXPECT_TRUE(life.take(Start{}).events.empty()) << "nor does its turn skip it";
  EXPECT_TRUE(life.last.actions.empty());
  life.now += Duration{50};
  EXPECT_TRUE(runs_attempt(life.take(TimerDue{})));
  // Its own report is not due yet.
  EXPECT_TRUE(life.take(TimerDue{}).events.empty());
}

TEST(Operation, V6_a_stray_read_before_the_wait_is_over_starts_nothing) {
  Life life = started();
  life.report(ended(kAck), kBefore);
  life.entropy = 40;
  life.read_until_decided(kBefore);
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  ASSERT_GT(*life.operation.due_at, life.now);
  life.read(kBefore);
  EXPECT_TRUE(std::holds_alternative<LateEvidence>(life.last.events.front()));
  EXPECT_TRUE(life.last.actions.empty());
}

TEST(Operation, V1_reads_of_what_is_not_ours_are_dropped) {
  Life life = started();
  std::vector<Observation> reads = kOurs;
  reads.push_back(test::seen(7, Found::before));
  reads.push_back(test::seen(0, Found::before, Level::serving));
  life.report(ended(kAck), reads, history({Past::never, Past::never, Past::never}));
  EXPECT_EQ(life.state(), State::confirmed);
}

TEST(Operation, T5_a_bound_that_was_lowered_meanwhile_holds) {
  Life life = started();
  life.report(ended(kRetryable, "busy"));
  life.policy.retry.attempts_max = 1;
  life.timer();
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Operation, T5_a_bound_of_no_attempts_means_one) {
  Policy policy = policy_for();
  policy.retry.attempts_max = 0;
  Life life = started(policy);
  EXPECT_EQ(life.state(), State::attempting);
}

TEST(Operation, V7_the_deadline_passed_before_anything_was_sent_is_failed) {
  Life life;
  life.now = life.operation.deadline;
  life.start();
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_TRUE(life.last.actions.empty());
}

TEST(Operation, V7_past_the_deadline_a_settled_mismatch_asks) {
  Policy policy = policy_for();
  policy.deadline = Duration{500};
  Life life = started(policy);
  life.now = life.operation.deadline;
  life.report(ended(kAck), kBefore);
  EXPECT_EQ(life.operation.due_for, Due::read) << "the deadline bounds attempts, not reads";
  life.read_until_decided(kBefore);
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.tell, Tell::swallowed_race);
}

TEST(Operation, V6_one_attempt_is_accused_once) {
  Policy policy = policy_for();
  policy.has_serving = true;
  Life life = started(policy);
  std::vector<Observation> east = served({Found::before});
  east.back().served_by = "east";
  std::vector<Observation> west = served({Found::torn});
  west.back().served_by = "west";
  life.report(ended(kAck), east);
  life.timed_read(west);
  life.timed_read(east);
  ASSERT_EQ(life.operation.tell, Tell::stale_replica);
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  life.policy.capabilities = kNothing;
  life.timed_read(served({Found::before}));
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.tells.size(), 1U);
  EXPECT_EQ(life.operation.tell, Tell::stale_replica);
}

TEST(Outcome, V6_a_repeat_that_changed_nothing_leaves_the_version_that_landed) {
  Life life(policy_for({.idempotent = true, .deduplicates = false, .history = true}));
  life.start();
  life.report(ended(EffectKind::acknowledged), at_store({Found::before}));
  life.read_until_decided(at_store({Found::before}), history({Past::never}));
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  life.timer();
  life.read(at_store({Found::before}), history({Past::never}));
  EffectEnded again = ended(EffectKind::acknowledged);
  again.changed = false;
  again.version = "v9";
  life.report(again, at_store({Found::ours}));
  EXPECT_EQ(life.operation.version, "v1");
}

}  // namespace
}  // namespace trued
