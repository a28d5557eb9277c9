// Where nothing can be read back: what a target says when it is asked whether it happened.
#include <gtest/gtest.h>

#include "core/operation.h"
#include "core/test_support.h"

namespace trued {
namespace {

using test::ended;
using test::Life;
using test::policy_for;
using test::runs_attempt;
using test::runs_read;

constexpr EffectKind kUnknown = EffectKind::unknown;

const Capabilities kAsked{
    .idempotent = false, .deduplicates = false, .history = false, .probes = true};

History said(bool happened) {
  History told;
  told.known = true;
  told.ours_present = happened;
  return told;
}

Life without_answer() {
  Life life(policy_for(kAsked), 0);
  life.start();
  life.report(ended(kUnknown, "timeout"));
  EXPECT_EQ(life.operation.due_for, Due::read) << "it is asked, not tried again";
  return life;
}

TEST(Probe, T1_what_a_probe_found_is_acknowledged_and_not_called_confirmed) {
  Life life = without_answer();
  life.timed_read({}, said(true));
  EXPECT_EQ(life.state(), State::acknowledged);
  EXPECT_EQ(status_of(life.state()), Status::unverified);
}

TEST(Probe, T1_what_a_probe_knows_of_the_answer_is_the_result_where_the_answer_was_lost) {
  Life life = without_answer();
  History told = said(true);
  told.result = R"({"id":"ch_1"})";
  life.timed_read({}, told);
  EXPECT_EQ(life.operation.result, told.result);
  Life answered(policy_for(kAsked), 0);
  answered.start();
  EffectEnded yes = ended(EffectKind::acknowledged);
  yes.result = R"({"id":"ch_2"})";
  answered.report(yes);
  EXPECT_EQ(answered.operation.result, yes.result);
}

TEST(Probe, T1_what_a_probe_denies_to_the_end_is_tried_again_after_one_more_look) {
  Life life = without_answer();
  life.read_until_decided({}, said(false));
  ASSERT_EQ(life.operation.due_for, Due::attempt);
  EXPECT_TRUE(runs_read(life.timer())) << "right before it, once more";
  ASSERT_TRUE(runs_attempt(life.read({}, said(false))));
  EXPECT_EQ(life.operation.attempts, 2U);
}

TEST(Probe, T1_a_probe_that_finds_it_at_the_last_look_is_not_written_over) {
  Life life = without_answer();
  life.read_until_decided({}, said(false));
  life.timer();
  life.read({}, said(true));
  EXPECT_EQ(life.state(), State::acknowledged);
}

TEST(Probe, T1_what_a_probe_denies_when_no_attempts_remain_failed) {
  Policy policy = policy_for(kAsked);
  policy.retry.attempts_max = 1;
  Life life(policy, 0);
  life.start();
  life.report(ended(kUnknown, "timeout"));
  life.read_until_decided({}, said(false));
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_EQ(life.operation.reason.find("the target was asked, and it did not happen"), 0U);
}

TEST(Probe, T1_what_nobody_can_tell_is_a_persons_question_and_is_not_repeated) {
  Life life = without_answer();
  life.read_until_decided({}, {});
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.attempts, 1U);
}

TEST(Probe, T1_a_persons_retry_of_it_asks_first) {
  Life life = without_answer();
  life.read_until_decided({}, {});
  life.person(PersonAction::retry);
  EXPECT_TRUE(runs_read(life.start()));
  life.read({}, said(true));
  EXPECT_EQ(life.state(), State::acknowledged);
}

}  // namespace
}  // namespace trued
