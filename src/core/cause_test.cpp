// Why an operation ended, derived from it alone, and what may be done about it unseen.
#include "core/cause.h"

#include <algorithm>
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

constexpr Capabilities kOnce{.idempotent = false};
constexpr Capabilities kProbes{.idempotent = false, .probes = true};

Policy can(const Capabilities& capabilities) { return policy_for(capabilities); }

// Turned away until nothing is left to try.
Life exhausted(const Policy& policy = policy_for()) {
  Life life(policy);
  life.start();
  for (int i = 0; i < 100 && !is_settled(life.state()); ++i) {
    if (life.state() == State::attempting) {
      life.report(ended(EffectKind::rejected_retryable, "503"));
    } else {
      life.timer();
    }
  }
  return life;
}

Life undecided(Found found, const Policy& policy = policy_for()) {
  Life life(policy);
  life.start();
  life.report(ended(EffectKind::acknowledged), at_store({found}));
  for (int i = 0; i < 100 && !is_settled(life.state()); ++i) {
    if (life.state() == State::attempting) {
      life.report(ended(EffectKind::acknowledged), at_store({found}));
    } else if (life.timer(); life.state() != State::attempting) {
      life.read(at_store({found}));
    }
  }
  EXPECT_EQ(life.state(), State::needs_action);
  return life;
}

// Nothing can be read back, and no answer came.
Life unheard(const Capabilities& capabilities = kOnce) {
  Life life(policy_for(capabilities), 0);
  life.start();
  life.report(ended(EffectKind::unknown, "no answer"));
  for (int i = 0; i < 100 && !is_settled(life.state()); ++i) {
    if (life.timer(); life.state() == State::unknown) life.read({});
  }
  EXPECT_EQ(life.state(), State::needs_action);
  return life;
}

TEST(Cause, T8_attempts_that_ran_out_are_a_dead_letter) {
  const Life life = exhausted();
  EXPECT_EQ(life.operation.reason, "gave up after 3 attempts: 503");
  EXPECT_EQ(cause_of(life.operation), Cause::attempts_exhausted);
  EXPECT_TRUE(is_dead_letter(life.operation));
  EXPECT_EQ(ended_at(life.operation), life.now);
}

TEST(Cause, T8_a_deadline_that_passed_is_a_dead_letter) {
  Policy policy = policy_for();
  policy.retry.attempts_max = 100;
  Life life(policy);
  life.start();
  life.report(ended(EffectKind::rejected_retryable, "503"));
  life.now = life.operation.deadline;
  life.timer();
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_EQ(cause_of(life.operation), Cause::deadline);
}

TEST(Cause, T8_a_target_that_wants_to_be_asked_after_the_deadline_is_not_taken_for_exhaustion) {
  Life life;
  life.start();
  AttemptReport report;
  report.effect = ended(EffectKind::rejected_retryable, "503");
  report.retry_after = Duration{3'600'000};
  life.take(report);
  EXPECT_EQ(life.state(), State::failed);
  EXPECT_EQ(life.operation.reason,
            "its deadline passes before the target wants to be asked again, after 1 attempt: 503");
  EXPECT_EQ(cause_of(life.operation), Cause::deadline);
}

TEST(Cause, T8_what_was_refused_for_good_is_no_dead_letter) {
  Life life;
  life.start();
  life.report(ended(EffectKind::rejected_final, "403"));
  EXPECT_EQ(cause_of(life.operation), Cause::rejected);
  EXPECT_FALSE(is_dead_letter(life.operation));
  Life stale;
  stale.start();
  stale.report(ended(EffectKind::rejected_final, "stale-state: 'a0'"));
  EXPECT_EQ(cause_of(stale.operation), Cause::stale);
  EXPECT_FALSE(is_dead_letter(stale.operation));
}

TEST(Cause, T8_what_needs_a_person_says_what_is_not_known) {
  EXPECT_EQ(cause_of(undecided(Found::other).operation), Cause::mismatch);
  EXPECT_EQ(cause_of(undecided(Found::unreadable).operation), Cause::unreadable);
  EXPECT_EQ(cause_of(unheard().operation), Cause::unknown_outcome);
  EXPECT_TRUE(is_dead_letter(unheard().operation));
}

TEST(Cause, T8_what_a_person_decided_is_no_dead_letter) {
  Life refuted = unheard();
  refuted.person(PersonAction::it_did_not);
  EXPECT_EQ(cause_of(refuted.operation), Cause::refuted);
  EXPECT_FALSE(is_dead_letter(refuted.operation));
  Life happened = unheard();
  happened.person(PersonAction::it_happened);
  EXPECT_FALSE(cause_of(happened.operation));
  Life withdrawn;
  withdrawn.person(PersonAction::cancel);
  EXPECT_EQ(cause_of(withdrawn.operation), Cause::withdrawn);
}

TEST(Cause, T8_a_target_that_says_no_leaves_the_bound_as_the_cause) {
  Policy policy = policy_for(kProbes);
  policy.retry.attempts_max = 1;
  Life life(policy, 0);
  const History no = history({});
  life.start();
  life.report(ended(EffectKind::unknown, "no answer"), {}, no);
  for (int i = 0; i < 100 && !is_settled(life.state()); ++i) life.timed_read({}, no);
  ASSERT_EQ(life.state(), State::failed) << life.operation.reason;
  EXPECT_EQ(cause_of(life.operation), Cause::attempts_exhausted) << life.operation.reason;
  EXPECT_FALSE(why_not_unseen(life.operation, can(kProbes), test::kBegin))
      << "it is known that it did not happen";
}

TEST(Cause, open_and_good_ends_have_none) {
  Life life;
  EXPECT_FALSE(cause_of(life.operation));
  life.start();
  EXPECT_FALSE(cause_of(life.operation));
  life.report(ended(EffectKind::acknowledged), at_store({Found::ours}));
  ASSERT_EQ(life.state(), State::confirmed);
  EXPECT_FALSE(cause_of(life.operation));
}

TEST(Cause, names_go_both_ways) {
  for (std::size_t i = 0; i < kCauses; ++i) {
    const auto cause = static_cast<Cause>(i);
    EXPECT_EQ(parse_cause(to_string(cause)), cause);
  }
  EXPECT_FALSE(parse_cause("bad luck"));
}

TEST(Cause, T8_what_may_have_happened_is_never_repeated_unseen_where_that_could_do_it_twice) {
  const Life unknown = unheard();
  ASSERT_TRUE(why_not_unseen(unknown.operation, can(kOnce), test::kBegin));
  EXPECT_EQ(why_not_unseen(unknown.operation, can(kOnce), test::kBegin)->code, "may-have-happened");
  EXPECT_TRUE(why_not_unseen(unknown.operation, can(kProbes), test::kBegin))
      << "it was asked, and nobody could tell";
  EXPECT_FALSE(why_not_unseen(unknown.operation, can({.idempotent = true}), test::kBegin));
  EXPECT_FALSE(why_not_unseen(unknown.operation, can({.idempotent = false, .deduplicates = true}),
                              test::kBegin));
  EXPECT_FALSE(why_not_unseen(exhausted().operation, can(kOnce), test::kBegin))
      << "none of it was ever sent";
}

TEST(Cause, T8_what_cannot_be_taken_back_is_looked_at_first) {
  Policy policy = can({.idempotent = true});
  EXPECT_FALSE(why_not_unseen(unheard().operation, policy, test::kBegin));
  policy.irreversible = true;
  ASSERT_TRUE(why_not_unseen(unheard().operation, policy, test::kBegin));
  EXPECT_EQ(why_not_unseen(unheard().operation, policy, test::kBegin)->code, "irreversible");
  EXPECT_FALSE(why_not_unseen(exhausted().operation, policy, test::kBegin))
      << "none of it was ever sent";
}

TEST(Cause, T8_what_another_has_written_is_never_replaced_unseen) {
  const Life others = undecided(Found::other);
  ASSERT_TRUE(why_not_unseen(others.operation, can({}), test::kBegin));
  EXPECT_EQ(why_not_unseen(others.operation, can({}), test::kBegin)->code, "would-overwrite");
  const Life swallowed = undecided(Found::before);
  EXPECT_FALSE(why_not_unseen(swallowed.operation, can({}), test::kBegin))
      << "what stood there before still stands";
  EXPECT_FALSE(why_not_unseen(undecided(Found::unreadable).operation, can({}), test::kBegin));
}

std::vector<PersonAction> actions(const Life& life) {
  std::vector<PersonAction> found;
  for (const Choice& choice : choices_of(life.operation, life.policy, life.now)) {
    EXPECT_FALSE(choice.effect.empty());
    found.push_back(choice.action);
  }
  return found;
}

TEST(Choices, T8_are_what_the_core_allows_now) {
  using enum PersonAction;
  EXPECT_EQ(actions(unheard()), (std::vector{it_happened, it_did_not, retry, compensate}));
  EXPECT_EQ(actions(exhausted()), std::vector{retry});
  EXPECT_EQ(actions(Life()), std::vector{cancel});
  Policy poison = policy_for(kOnce);
  poison.on_failure = OnFailure::poison;
  EXPECT_EQ(actions(undecided(Found::other, poison)),
            (std::vector{it_happened, it_did_not, compensate}));
}

TEST(Choices, T8_say_what_each_would_do) {
  const auto retry = [](const Life& life) {
    const auto choices = choices_of(life.operation, life.policy, life.now);
    return *std::ranges::find(choices, PersonAction::retry, &Choice::action);
  };
  EXPECT_NE(retry(unheard()).effect.find("it happens twice"), std::string::npos);
  EXPECT_EQ(retry(unheard()).then, State::unknown);
  EXPECT_NE(retry(undecided(Found::other)).effect.find("what was shown is written over"),
            std::string::npos);
  EXPECT_EQ(retry(undecided(Found::before)).effect.find("written over"), std::string::npos);
  EXPECT_NE(retry(exhausted()).effect.find("none of its attempts reached"), std::string::npos);
}

std::uint32_t same_endings(const Life& life) {
  Operation operation =
      begin(OperationId{}, std::get<Accepted>(life.log.front().event), test::kBegin);
  Endings endings;
  for (std::size_t i = 1; i < life.log.size(); ++i) {
    evolve(operation, life.log.at(i).event, life.log.at(i).at);
    endings.add(operation, life.log.at(i).event);
  }
  return endings.same();
}

// Tried again by a person; each attempt is turned away with `why`.
void again(Life& life, const std::string& why) {
  life.person(PersonAction::retry);
  life.start();
  for (int i = 0; i < 100 && !is_settled(life.state()); ++i) {
    if (life.state() == State::attempting) {
      life.report(ended(EffectKind::rejected_retryable, why));
    } else {
      life.timer();
    }
  }
}

TEST(Endings, T8_the_same_cause_and_reason_are_counted_whatever_the_numbers_are) {
  Life life = exhausted();
  EXPECT_EQ(same_endings(life), 1U);
  again(life, "504");
  EXPECT_EQ(life.operation.reason, "gave up after 6 attempts: 504");
  EXPECT_EQ(same_endings(life), 2U);
  again(life, "503");
  EXPECT_EQ(same_endings(life), 3U);
  again(life, "no such mailbox");
  EXPECT_EQ(same_endings(life), 1U) << "another reason begins anew";
}

TEST(Endings, T8_how_many_attempts_it_took_makes_no_difference) {
  Policy policy = policy_for();
  policy.retry.attempts_max = 1;
  Life life = exhausted(policy);
  ASSERT_EQ(life.operation.reason, "gave up after 1 attempt: 503");
  again(life, "503");
  EXPECT_EQ(same_endings(life), 2U);
}

TEST(Endings, T8_a_good_end_or_a_persons_word_begins_anew) {
  Life life = unheard();
  EXPECT_EQ(same_endings(life), 1U);
  life.person(PersonAction::it_did_not);
  EXPECT_EQ(same_endings(life), 0U);
}

}  // namespace
}  // namespace trued
