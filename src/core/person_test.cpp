// What a person may do with an operation, what is refused, and what the receipt advises.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/cause.h"
#include "core/operation.h"
#include "core/tells.h"
#include "core/test_support.h"

namespace trued {
namespace {

using test::at_store;
using test::ended;
using test::Found;
using test::Life;
using test::policy_for;
using test::runs_attempt;
using test::runs_read;

Life undecided(const Policy& policy = policy_for()) {
  Life life(policy);
  life.start();
  life.report(ended(EffectKind::acknowledged), at_store({Found::other}));
  life.read_until_decided(at_store({Found::other}));
  EXPECT_EQ(life.state(), State::needs_action);
  return life;
}

Life failed(const Policy& policy = policy_for()) {
  Life life(policy);
  life.start();
  life.report(ended(EffectKind::rejected_final, "no"));
  EXPECT_EQ(life.state(), State::failed);
  return life;
}

TEST(Person, T10_says_that_it_happened_which_is_acknowledged_never_confirmed) {
  Life life = undecided();
  EXPECT_FALSE(life.person(PersonAction::it_happened).refusal);
  EXPECT_EQ(life.state(), State::acknowledged);
  EXPECT_EQ(status_of(life.state()), Status::unverified);
  EXPECT_EQ(life.operation.reason, "ada says that it happened: she looked");
  EXPECT_EQ(life.operation.settled_at, life.now) << "decided: retention counts from here";
}

TEST(Person, T10_says_that_it_did_not_happen_which_is_failed) {
  Life life = undecided();
  EXPECT_FALSE(life.person(PersonAction::it_did_not).refusal);
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_EQ(life.operation.reason, "ada says that it did not happen: she looked");
}

TEST(Person, T8_decides_only_what_is_as_it_was_looked_at) {
  Life life = undecided();
  const WallTime looked = life.operation.updated_at;
  const PersonInput retry{.action = PersonAction::retry, .who = "ada", .why = {}, .as_of = looked};
  life.now += Duration{1};
  life.person(PersonAction::it_did_not);
  ASSERT_EQ(life.state(), State::failed);
  ASSERT_TRUE(life.take(retry).refusal);
  EXPECT_EQ(life.last.refusal->code, "moved");
  EXPECT_EQ(life.state(), State::failed);
  Life still = undecided();
  EXPECT_FALSE(still.take(retry).refusal) << "nothing has happened to it since";
}

TEST(Person, T10_decides_only_what_needs_action) {
  for (const PersonAction action : {PersonAction::it_happened, PersonAction::it_did_not}) {
    for (unsigned i = 0; i < 13; ++i) {
      if (static_cast<State>(i) == State::needs_action) continue;
      Life life;
      life.operation.state = static_cast<State>(i);
      const Decision& decision = life.person(action);
      ASSERT_TRUE(decision.refusal);
      EXPECT_EQ(decision.refusal->code, "not-resolvable");
      EXPECT_TRUE(decision.events.empty());
      EXPECT_TRUE(decision.actions.empty());
    }
  }
}

// Its process ended in the middle of the attempt: what stood there before was never recorded.
Life lost_in_a_crash() {
  Life life;
  life.start();
  life.recover();
  life.read_until_decided(at_store({Found::other}));
  EXPECT_EQ(life.state(), State::needs_action);
  return life;
}

TEST(Person, T12_what_is_acknowledged_only_after_its_undoing_is_somebodys_question) {
  for (const bool done : {false, true}) {
    Life life = lost_in_a_crash();
    life.policy.compensable = true;
    ASSERT_FALSE(life.person(PersonAction::compensate).refusal);
    if (done) life.take(UndoReport{.by = "op_other", .done = true, .reason = "undone"});
    AttemptReport late;
    late.attempt = AttemptNo(life.operation.attempts);
    late.effect = ended(EffectKind::acknowledged);
    life.take(late);
    EXPECT_EQ(life.state(), State::needs_action);
    EXPECT_TRUE(life.operation.reason.starts_with(kNotUndone)) << life.operation.reason;
    EXPECT_EQ(life.operation.reason.contains("op_other"), done);
    EXPECT_FALSE(life.operation.settled_at) << "it is not to be forgotten";
    // Said twice it says no more.
    life.take(late);
    EXPECT_TRUE(std::holds_alternative<LateEvidence>(life.last.events.front()));
    EXPECT_EQ(life.state(), State::needs_action);
  }
}

TEST(Person, T12_an_answer_that_comes_late_says_nothing_new_of_what_was_seen) {
  Life life;
  life.start();
  life.recover();
  life.read_until_decided(at_store({Found::ours}));
  ASSERT_EQ(life.state(), State::confirmed);
  life.policy.compensable = true;
  ASSERT_FALSE(life.person(PersonAction::compensate).refusal);
  life.take(UndoReport{.by = "op_other", .done = true, .reason = "undone"});
  AttemptReport late;
  late.attempt = AttemptNo(life.operation.attempts);
  late.effect = ended(EffectKind::acknowledged);
  life.take(late);
  EXPECT_EQ(life.state(), State::compensated);
}

TEST(Person, T8_retries_what_failed_with_a_new_deadline_and_a_new_bound) {
  Life life = failed();
  life.now += Duration{3'600'000};
  EXPECT_FALSE(life.person(PersonAction::retry).refusal);
  EXPECT_EQ(life.state(), State::accepted);
  EXPECT_EQ(life.operation.attempts_counted, 0U);
  EXPECT_EQ(life.operation.deadline, life.now + life.policy.deadline);
  EXPECT_FALSE(life.operation.settled_at.has_value());
  ASSERT_TRUE(runs_attempt(life.start()));
  EXPECT_EQ(life.operation.attempts, 2U) << "fencing numbers go on";
  life.report(ended(EffectKind::acknowledged), at_store({Found::ours}));
  EXPECT_EQ(life.state(), State::confirmed);
}

TEST(Person, V6_what_failed_unsent_is_tried_anew_and_what_was_sent_is_looked_at_first) {
  Life life = failed();
  life.person(PersonAction::retry);
  ASSERT_TRUE(runs_attempt(life.start()));
  EXPECT_TRUE(std::get<RunAttempt>(life.last.actions.front()).anew);
  life.report(ended(EffectKind::rejected_retryable, "busy"));
  ASSERT_TRUE(runs_attempt(life.timer()));
  EXPECT_FALSE(std::get<RunAttempt>(life.last.actions.front()).anew) << "it was compared just now";
}

TEST(Person, V6_a_baseline_that_cannot_be_read_does_not_wipe_out_the_known_one) {
  Life life;
  life.start();
  life.report(ended(EffectKind::rejected_retryable, "busy"));
  life.timer();
  AttemptReport report;
  report.attempt = AttemptNo(life.operation.attempts);
  report.effect = ended(EffectKind::rejected_final, "no");
  report.baseline = at_store({Found::unreadable});
  life.take(report);
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_EQ(life.operation.artifacts.at(0).store.baseline->seen, Seen::found);
}

TEST(Person, T10_what_a_person_was_shown_and_wants_replaced_is_replaced) {
  for (const bool denied : {false, true}) {
    Life life = lost_in_a_crash();
    if (denied) life.person(PersonAction::it_did_not);
    life.person(PersonAction::retry);
    EXPECT_TRUE(runs_read(life.start()));
    EXPECT_TRUE(runs_attempt(life.read(at_store({Found::other}))));
  }
}

TEST(Person, V6_what_came_after_a_person_had_looked_is_not_replaced_and_the_reason_says_so) {
  Life life = lost_in_a_crash();
  life.person(PersonAction::retry);
  life.start();
  life.read(at_store({Found::absent}));
  ASSERT_TRUE(runs_attempt(life.last)) << "nothing is there to lose";
  life = lost_in_a_crash();
  life.person(PersonAction::retry);
  life.start();
  life.read(at_store({Found::before}));
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.reason.find("nothing was sent: what stands there is not what was shown"),
            0U)
      << life.operation.reason;
  life.person(PersonAction::retry);
  life.start();
  EXPECT_TRUE(runs_attempt(life.read(at_store({Found::before})))) << "now it was shown";
}

TEST(Person, V3_a_retry_that_cannot_look_waits_and_then_asks) {
  Life life = lost_in_a_crash();
  life.person(PersonAction::retry);
  life.start();
  life.read(at_store({Found::unreadable}));
  life.read_until_decided(at_store({Found::unreadable}));
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.reason.find("nothing was sent: it could not be read"), 0U)
      << life.operation.reason;
}

TEST(Person, T8_a_retry_is_not_too_late_before_it_may_begin) {
  Policy policy = policy_for();
  Accepted accepted = test::accepted_with(1, policy);
  accepted.not_before = test::kBegin + 10 * policy.deadline;
  Life life(policy, accepted);
  life.now = *accepted.not_before;
  life.start();
  EXPECT_EQ(life.state(), State::failed) << "its deadline was before its beginning";
  life.now = test::kBegin;
  life.person(PersonAction::retry);
  EXPECT_EQ(life.operation.deadline, *accepted.not_before + policy.deadline);
}

TEST(Person, T1_a_retry_of_the_undecided_that_misses_its_deadline_needs_action_again) {
  Life life = undecided();
  life.person(PersonAction::retry);
  life.now = life.operation.deadline;
  life.start();
  life.read(at_store({Found::before}));
  life.read_until_decided(at_store({Found::before}));
  EXPECT_EQ(life.state(), State::needs_action) << "an earlier attempt may have happened";
}

TEST(Person, T8_retries_nothing_else) {
  for (unsigned i = 0; i < 13; ++i) {
    const auto state = static_cast<State>(i);
    if (state == State::needs_action || state == State::failed) continue;
    Life life;
    life.operation.state = state;
    ASSERT_TRUE(life.person(PersonAction::retry).refusal) << to_string(state);
    EXPECT_EQ(life.last.refusal->code, "not-retryable");
    EXPECT_TRUE(life.last.events.empty());
  }
}

TEST(Person, T3_poison_is_never_retried) {
  Policy policy = policy_for();
  policy.on_failure = OnFailure::poison;
  Life life = failed(policy);
  ASSERT_TRUE(life.person(PersonAction::retry).refusal);
  EXPECT_EQ(life.last.refusal->code, "not-retryable");
  Life question = undecided(policy);
  EXPECT_TRUE(question.person(PersonAction::retry).refusal);
  EXPECT_FALSE(question.person(PersonAction::it_did_not).refusal);
}

TEST(Person, T1_cancels_only_what_was_never_sent) {
  Life waiting;
  EXPECT_FALSE(waiting.person(PersonAction::cancel).refusal);
  EXPECT_EQ(waiting.state(), State::canceled);
  EXPECT_EQ(waiting.operation.reason, "withdrawn by ada: she looked");

  Life rejected;
  rejected.start();
  rejected.report(ended(EffectKind::rejected_retryable, "busy"));
  EXPECT_FALSE(rejected.person(PersonAction::cancel).refusal) << "nothing of it was sent";
  EXPECT_EQ(rejected.state(), State::canceled);

  Life retried = undecided();
  retried.person(PersonAction::retry);
  ASSERT_EQ(retried.state(), State::unknown);
  ASSERT_TRUE(retried.person(PersonAction::cancel).refusal) << "an attempt was sent before";
  EXPECT_EQ(retried.last.refusal->code, "not-cancelable");

  for (unsigned i = 1; i < 13; ++i) {
    Life life;
    life.operation.state = static_cast<State>(i);
    ASSERT_TRUE(life.person(PersonAction::cancel).refusal);
    EXPECT_EQ(life.last.refusal->code, "not-cancelable");
    EXPECT_TRUE(life.last.events.empty());
  }
}

TEST(Person, T11_a_choice_is_on_record_with_who_and_why) {
  Life life = undecided();
  life.person(PersonAction::it_happened);
  ASSERT_EQ(life.count<PersonActed>(), 1U);
  const auto& acted = std::get<PersonActed>(life.last.events.front());
  EXPECT_EQ(acted.who, "ada");
  EXPECT_EQ(acted.why, "she looked");
}

// ---- What to do next ----------------------------------------------------------------------------

TEST(NextStep, T10_every_state_has_one) {
  for (unsigned i = 0; i < 13; ++i) {
    Operation operation;
    operation.state = static_cast<State>(i);
    const NextStep step = next_step(operation);
    SCOPED_TRACE(to_string(operation.state));
    if (!is_settled(operation.state)) {
      EXPECT_EQ(step.action, NextAction::wait);
      EXPECT_FALSE(step.detail.empty());
    } else if (operation.state == State::failed) {
      EXPECT_EQ(step.action, NextAction::retry);
    } else if (operation.state == State::needs_action) {
      EXPECT_EQ(step.action, NextAction::decide);
    } else {
      EXPECT_EQ(step.action, NextAction::none);
    }
    const bool silent = status_of(operation.state) == Status::confirmed ||
                        operation.state == State::compensated || operation.state == State::canceled;
    EXPECT_EQ(step.detail.empty(), silent);
  }
}

TEST(NextStep, T10_waiting_says_why_and_until_when) {
  Life life;
  life.start();
  life.report(ended(EffectKind::acknowledged), at_store({Found::before}));
  const NextStep step = next_step(life.operation);
  EXPECT_EQ(step.detail, life.operation.reason);
  EXPECT_EQ(step.after, life.operation.due_at);
}

TEST(NextStep, T3_nothing_that_would_be_refused_is_advised) {
  Operation operation;
  operation.on_failure = OnFailure::poison;
  operation.state = State::failed;
  EXPECT_EQ(next_step(operation).action, NextAction::none);
  EXPECT_NE(next_step(operation).detail.find("new key"), std::string::npos);
  operation.state = State::needs_action;
  EXPECT_EQ(next_step(operation).detail.find("retry"), std::string::npos);
  operation.on_failure = OnFailure::reexecute;
  operation.state = State::failed;
  EXPECT_NE(next_step(operation).detail.find("same key"), std::string::npos);
}

TEST(NextStep, V6_a_stale_base_is_not_advised_to_be_tried_again) {
  for (const OnFailure declared : {OnFailure::replay, OnFailure::reexecute, OnFailure::poison}) {
    Life life;
    life.start();
    life.report(ended(EffectKind::rejected_final, "stale-state: 'a': expected x, seen y"));
    ASSERT_EQ(life.operation.state, State::failed);
    life.operation.on_failure = declared;
    EXPECT_TRUE(ended_stale(life.operation));
    const NextStep step = next_step(life.operation);
    EXPECT_EQ(step.action, NextAction::none);
    EXPECT_NE(step.detail.find("new key"), std::string::npos);
    EXPECT_NE(step.detail.find("'base'"), std::string::npos);
  }
  Life other;
  other.start();
  other.report(ended(EffectKind::rejected_final, "the disk is full of stale-state: things"));
  EXPECT_FALSE(stale_precondition(other.operation));
  EXPECT_FALSE(ended_stale(other.operation));
  EXPECT_EQ(next_step(other.operation).action, NextAction::retry);
}

TEST(NextStep, V6_a_precondition_may_hold_again) {
  Life life;
  life.start();
  const std::string expected = R"({"a":"\"x, seen y"})";
  life.report(ended(EffectKind::rejected_final,
                    stale_reason("requires/0", expected, "/a: meant 1, found \"z, seen w\"")));
  const auto stale = stale_precondition(life.operation);
  ASSERT_TRUE(stale.has_value());
  EXPECT_EQ(stale->which, "requires/0");
  EXPECT_EQ(stale->expected, expected) << "the same words within a text are part of it";
  EXPECT_EQ(stale->seen, "/a: meant 1, found \"z, seen w\"");
  EXPECT_EQ(next_step(life.operation).action, NextAction::retry);
  Life base;
  base.start();
  base.report(ended(EffectKind::rejected_final, "stale-state: 'a': expected x, seen y"));
  EXPECT_FALSE(stale_precondition(base.operation));
}

TEST(Status, T10_confirmed_is_reserved_for_what_was_read_back) {
  for (unsigned i = 0; i < 13; ++i) {
    const auto state = static_cast<State>(i);
    EXPECT_EQ(status_of(state) == Status::confirmed,
              state == State::confirmed || state == State::unchanged)
        << to_string(state);
    EXPECT_EQ(status_of(state) == Status::pending, !is_settled(state)) << to_string(state);
  }
}

}  // namespace
}  // namespace trued
