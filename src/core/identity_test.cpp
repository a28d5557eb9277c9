#include "core/identity.h"

#include <gtest/gtest.h>

#include "core/test_support.h"

namespace trued {
namespace {

Fingerprint fingerprint_of(const char* text) { return Fingerprint(sha256(text)); }

Operation known_in(State state, OnFailure on_failure = OnFailure::replay) {
  Operation operation;
  operation.fingerprint = fingerprint_of("request");
  operation.state = state;
  operation.on_failure = on_failure;
  return operation;
}

SubmitVerdict decide_known(const Operation& operation, const char* request = "request") {
  return decide_submit(&operation, nullptr, fingerprint_of(request));
}

TEST(Identity, T2_nothing_known_is_new) {
  const SubmitVerdict verdict = decide_submit(nullptr, nullptr, fingerprint_of("request"));
  EXPECT_EQ(verdict.decision, SubmitDecision::fresh);
  EXPECT_FALSE(verdict.reexecute);
}

TEST(Identity, T2_T3_the_same_request_is_a_duplicate_once_settled_and_in_flight_before) {
  for (unsigned i = 0; i < 13; ++i) {
    const auto state = static_cast<State>(i);
    const SubmitVerdict verdict = decide_known(known_in(state));
    EXPECT_EQ(verdict.decision,
              is_settled(state) ? SubmitDecision::duplicate : SubmitDecision::in_flight)
        << to_string(state);
    EXPECT_FALSE(verdict.reexecute);
  }
}

TEST(Identity, T2_another_request_under_the_key_is_a_conflict_in_every_state) {
  for (unsigned i = 0; i < 13; ++i) {
    for (unsigned j = 0; j < 3; ++j) {
      const Operation operation = known_in(static_cast<State>(i), static_cast<OnFailure>(j));
      const SubmitVerdict verdict = decide_known(operation, "another request");
      EXPECT_EQ(verdict.decision, SubmitDecision::conflict);
      EXPECT_FALSE(verdict.reexecute);
    }
  }
}

TEST(Identity, T3_a_repeat_after_retention_is_late_whatever_it_asks) {
  const Tombstone tombstone{.id = {},
                            .fingerprint = fingerprint_of("request"),
                            .state = State::failed,
                            .settled_at = {},
                            .retired_at = {}};
  for (const char* request : {"request", "another request"}) {
    const SubmitVerdict verdict = decide_submit(nullptr, &tombstone, fingerprint_of(request));
    EXPECT_EQ(verdict.decision, SubmitDecision::late);
    EXPECT_FALSE(verdict.reexecute);
  }
}

TEST(Identity, T3_a_failed_operation_replays_reexecutes_or_is_poison_as_declared) {
  const SubmitVerdict replay = decide_known(known_in(State::failed, OnFailure::replay));
  EXPECT_EQ(replay.decision, SubmitDecision::duplicate);
  EXPECT_FALSE(replay.reexecute);
  const SubmitVerdict reexecute = decide_known(known_in(State::failed, OnFailure::reexecute));
  EXPECT_EQ(reexecute.decision, SubmitDecision::in_flight);
  EXPECT_TRUE(reexecute.reexecute);
  const SubmitVerdict poison = decide_known(known_in(State::failed, OnFailure::poison));
  EXPECT_EQ(poison.decision, SubmitDecision::duplicate);
  EXPECT_FALSE(poison.reexecute);
}

TEST(Identity, T1_only_a_failed_operation_is_ever_executed_again) {
  for (unsigned i = 0; i < 13; ++i) {
    const auto state = static_cast<State>(i);
    const SubmitVerdict verdict = decide_known(known_in(state, OnFailure::reexecute));
    EXPECT_EQ(verdict.reexecute, state == State::failed) << to_string(state);
  }
}

TEST(Identity, T3_reexecution_goes_through_the_machine_and_poison_is_refused_by_it) {
  Policy policy = test::policy_for();
  policy.on_failure = OnFailure::reexecute;
  test::Life life(policy);
  life.start();
  life.report(test::ended(EffectKind::rejected_final, "no"));
  ASSERT_EQ(life.state(), State::failed);
  EXPECT_FALSE(life.person(PersonAction::retry).refusal);
  EXPECT_EQ(life.state(), State::accepted);

  policy.on_failure = OnFailure::poison;
  test::Life poisoned(policy);
  poisoned.start();
  poisoned.report(test::ended(EffectKind::rejected_final, "no"));
  ASSERT_TRUE(poisoned.person(PersonAction::retry).refusal);
  EXPECT_EQ(poisoned.last.refusal->code, "not-retryable");
  EXPECT_EQ(poisoned.state(), State::failed);
}

}  // namespace
}  // namespace trued
