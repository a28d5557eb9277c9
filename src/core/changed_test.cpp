// Whether an operation changed anything is told only where it is known.
#include <optional>
#include <utility>
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

constexpr auto kAck = EffectKind::acknowledged;
constexpr auto kUnknown = EffectKind::unknown;
constexpr std::optional<bool> kNotKnown;

const std::vector<Observation> kOurs = at_store({Found::ours});
const std::vector<Observation> kBefore = at_store({Found::before});
const std::vector<Observation> kUnreadable = at_store({Found::unreadable});

EffectEnded did_nothing() {
  EffectEnded effect = ended(kAck);
  effect.changed = false;
  return effect;
}

// An operation whose first attempt read `baseline`, said `said`, and read `reads`.
Life after(const std::vector<Observation>& baseline, EffectEnded said,
           const std::vector<Observation>& reads) {
  Life life(policy_for(), 1);
  life.start();
  AttemptReport report;
  report.attempt = AttemptNo(1);
  report.baseline = baseline;
  report.effect = std::move(said);
  report.reads = reads;
  life.take(report);
  return life;
}

TEST(Changed, V4_nothing_is_known_while_the_first_attempt_runs_and_all_before_it) {
  Life life(policy_for(), 1);
  EXPECT_EQ(known_change(life.operation), false);
  life.start();
  ASSERT_EQ(life.state(), State::attempting);
  EXPECT_EQ(known_change(life.operation), kNotKnown);
}

TEST(Changed, V4_what_was_not_sent_changed_nothing) {
  EXPECT_EQ(known_change(after(kOurs, ended(EffectKind::skipped), {}).operation), false);
  EXPECT_EQ(known_change(after(kBefore, ended(EffectKind::not_sent), {}).operation), false);
  const Life failed = after(kBefore, ended(EffectKind::rejected_final), {});
  ASSERT_EQ(failed.state(), State::failed);
  EXPECT_EQ(known_change(failed.operation), false);
}

TEST(Changed, V4_the_target_is_believed_until_it_is_denied) {
  EXPECT_EQ(known_change(after(kUnreadable, ended(kAck), kOurs).operation), true);
  EXPECT_EQ(known_change(after(kUnreadable, ended(kAck), kUnreadable).operation), true);
  EXPECT_EQ(known_change(after(kUnreadable, did_nothing(), kOurs).operation), false);
  Life life = after(kBefore, ended(kAck), kBefore);
  EXPECT_EQ(known_change(life.operation), kNotKnown);
}

TEST(Changed, T1_without_an_answer_only_a_reading_shows_a_change) {
  EXPECT_EQ(known_change(after(kBefore, ended(kUnknown), {}).operation), kNotKnown);
  EXPECT_EQ(known_change(after(kBefore, ended(kUnknown), kBefore).operation), kNotKnown);
  const Life landed = after(kBefore, ended(kUnknown), kOurs);
  ASSERT_EQ(landed.state(), State::confirmed);
  EXPECT_EQ(known_change(landed.operation), true) << "another content stood there before";
  const Life blind = after(kUnreadable, ended(kUnknown), kOurs);
  ASSERT_EQ(blind.state(), State::confirmed);
  EXPECT_EQ(known_change(blind.operation), kNotKnown) << "it may have been there before";
}

TEST(Changed, T1_what_waits_for_a_person_is_not_called_unchanged) {
  Life life = after(kBefore, ended(kUnknown), kUnreadable);
  life.read_until_decided(kUnreadable);
  ASSERT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(known_change(life.operation), kNotKnown);
  Life happened = life;
  happened.person(PersonAction::it_happened);
  EXPECT_EQ(known_change(happened.operation), kNotKnown);
  life.person(PersonAction::it_did_not);
  ASSERT_EQ(life.state(), State::failed);
  EXPECT_EQ(known_change(life.operation), kNotKnown);
}

TEST(Changed, T1_a_person_who_denies_the_targets_word_leaves_it_open) {
  Life life = after(kUnreadable, ended(kAck), kUnreadable);
  life.read_until_decided(kUnreadable);
  ASSERT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(known_change(life.operation), true);
  life.person(PersonAction::it_did_not);
  EXPECT_EQ(known_change(life.operation), kNotKnown);
}

TEST(Changed, T1_nothing_to_do_in_a_repeat_does_not_speak_for_the_attempt_before_it) {
  Life life = after(kBefore, ended(kUnknown, "timeout"), kBefore);
  life.read_until_decided(kBefore);
  life.timed_read(kBefore);
  ASSERT_EQ(life.operation.attempts, 2U);
  EXPECT_EQ(known_change(life.operation), kNotKnown);
  life.report(did_nothing(), kOurs);
  ASSERT_EQ(life.state(), State::confirmed);
  EXPECT_EQ(known_change(life.operation), true);
  Operation unread = life.operation;
  unread.artifacts.at(0).store.baseline.reset();
  EXPECT_EQ(known_change(unread), kNotKnown) << "nobody knows what stood there before";
}

TEST(Changed, V7_our_change_in_the_history_is_a_change_whoever_came_after) {
  Operation operation;
  operation.sent = true;
  operation.attempts = 1;
  operation.effect = kUnknown;
  operation.history = history({Past::replaced});
  for (const State state : {State::superseded, State::needs_action, State::unknown}) {
    operation.state = state;
    EXPECT_EQ(known_change(operation), true) << to_string(state);
  }
}

TEST(Changed, V4_an_attempt_is_told_by_what_the_target_said) {
  EXPECT_EQ(known_change(ended(kAck)), true);
  EXPECT_EQ(known_change(did_nothing()), false);
  for (const EffectKind kind : {EffectKind::rejected_retryable, EffectKind::rejected_final,
                                EffectKind::not_sent, EffectKind::skipped}) {
    EXPECT_EQ(known_change(ended(kind)), false) << to_string(kind);
  }
  EXPECT_EQ(known_change(ended(kUnknown)), kNotKnown);
}

}  // namespace
}  // namespace trued
