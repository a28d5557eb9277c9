#include "core/verification.h"

#include <algorithm>
#include <ostream>
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
using test::served;

// ---- decide_follow: DESIGN section 3, "what follows an attempt", row by row ---------------------

struct Row {
  const char* name;
  VerificationFacts facts;
  Follow want;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

VerificationFacts facts(EffectKind effect, Overall overall) {
  VerificationFacts given;
  given.effect = effect;
  given.overall = overall;
  given.may_read_again = true;
  given.safe = true;
  given.attempts_remain = true;
  return given;
}

VerificationFacts settled(VerificationFacts given) {
  given.may_read_again = false;
  return given;
}
VerificationFacts unsafe(VerificationFacts given) {
  given.safe = false;
  return given;
}
VerificationFacts exhausted(VerificationFacts given) {
  given.attempts_remain = false;
  return given;
}
VerificationFacts asked(VerificationFacts given, Happened answer) {
  given.probed = answer;
  return given;
}
VerificationFacts superseded(VerificationFacts given) {
  given.superseded = true;
  return given;
}
VerificationFacts opted_out(VerificationFacts given) {
  given.verify = false;
  return given;
}

constexpr auto kAck = EffectKind::acknowledged;
constexpr auto kUnknown = EffectKind::unknown;
constexpr auto kRetryable = EffectKind::rejected_retryable;
constexpr auto kNotSent = EffectKind::not_sent;

const Row kRows[] = {
    {"T1_unknown_and_a_probe_says_yes_is_acknowledged",
     asked(facts(kUnknown, Overall::nothing_to_read), Happened::yes), Follow::acknowledge},
    {"T1_unknown_and_a_probe_says_no_is_asked_again",
     asked(facts(kUnknown, Overall::nothing_to_read), Happened::no), Follow::read_again},
    {"T1_unknown_and_a_probe_that_is_not_answered_is_asked_again",
     asked(facts(kUnknown, Overall::nothing_to_read), Happened::maybe), Follow::read_again},
    {"T1_unknown_and_a_probe_says_no_to_the_end_is_attempted_again",
     asked(settled(facts(kUnknown, Overall::nothing_to_read)), Happened::no),
     Follow::attempt_again},
    {"T1_unknown_and_a_probe_says_no_and_nothing_remains_fails",
     asked(exhausted(settled(facts(kUnknown, Overall::nothing_to_read))), Happened::no),
     Follow::fail},
    {"T1_unknown_and_a_probe_is_never_answered_asks",
     asked(unsafe(settled(facts(kUnknown, Overall::nothing_to_read))), Happened::maybe),
     Follow::ask_person},
    {"V1_acknowledged_match_confirms", facts(kAck, Overall::match), Follow::confirm},
    {"V3_acknowledged_mismatch_is_read_again", facts(kAck, Overall::mismatch), Follow::read_again},
    {"V3_acknowledged_mismatch_settled_is_attempted_again", settled(facts(kAck, Overall::mismatch)),
     Follow::attempt_again},
    {"V6_acknowledged_mismatch_settled_but_unsafe_asks",
     unsafe(settled(facts(kAck, Overall::mismatch))), Follow::ask_person},
    {"V7_acknowledged_mismatch_at_the_bound_asks",
     exhausted(settled(facts(kAck, Overall::mismatch))), Follow::ask_person},
    {"V6_acknowledged_mismatch_superseded", superseded(facts(kAck, Overall::mismatch)),
     Follow::supersede},
    {"V6_unknown_mismatch_superseded", superseded(settled(facts(kUnknown, Overall::mismatch))),
     Follow::supersede},
    {"V3_acknowledged_unreadable_is_read_again", facts(kAck, Overall::unreadable),
     Follow::read_again},
    {"V3_acknowledged_unreadable_at_the_bound_asks", settled(facts(kAck, Overall::unreadable)),
     Follow::ask_person},
    {"T1_unknown_match_confirms", facts(kUnknown, Overall::match), Follow::confirm},
    {"T1_unknown_mismatch_is_read_again", facts(kUnknown, Overall::mismatch), Follow::read_again},
    {"T1_unknown_mismatch_settled_is_attempted_again", settled(facts(kUnknown, Overall::mismatch)),
     Follow::attempt_again},
    {"T1_unknown_mismatch_settled_but_unsafe_asks",
     unsafe(settled(facts(kUnknown, Overall::mismatch))), Follow::ask_person},
    {"T1_unknown_unreadable_is_read_again", facts(kUnknown, Overall::unreadable),
     Follow::read_again},
    {"T1_unknown_unreadable_at_the_bound_asks", settled(facts(kUnknown, Overall::unreadable)),
     Follow::ask_person},
    {"T1_unknown_nothing_to_read_is_attempted_again_if_safe",
     facts(kUnknown, Overall::nothing_to_read), Follow::attempt_again},
    {"T1_unknown_nothing_to_read_asks_if_unsafe", unsafe(facts(kUnknown, Overall::nothing_to_read)),
     Follow::ask_person},
    {"T5_rejected_retryable_is_attempted_again", facts(kRetryable, Overall::unreadable),
     Follow::attempt_again},
    {"T5_rejected_retryable_at_the_bound_fails", exhausted(facts(kRetryable, Overall::unreadable)),
     Follow::fail},
    {"T5_rejected_final_fails", facts(EffectKind::rejected_final, Overall::unreadable),
     Follow::fail},
    {"T5_not_sent_is_attempted_again", facts(kNotSent, Overall::unreadable), Follow::attempt_again},
    {"T5_not_sent_past_the_deadline_fails", exhausted(facts(kNotSent, Overall::unreadable)),
     Follow::fail},
    {"V1_acknowledged_nothing_to_read_is_only_acknowledged", facts(kAck, Overall::nothing_to_read),
     Follow::acknowledge},
    {"V10_acknowledged_opted_out_is_only_acknowledged", opted_out(facts(kAck, Overall::unreadable)),
     Follow::acknowledge},
    {"V10_unknown_opted_out_is_read_all_the_same", opted_out(facts(kUnknown, Overall::unreadable)),
     Follow::read_again},
    {"V10_unknown_opted_out_match_is_only_acknowledged", opted_out(facts(kUnknown, Overall::match)),
     Follow::acknowledge},
    {"V4_skipped_match_confirms", facts(EffectKind::skipped, Overall::match), Follow::confirm},
};

class DecideFollow : public testing::TestWithParam<Row> {};

TEST_P(DecideFollow, row) {
  EXPECT_EQ(to_string(decide_follow(GetParam().facts)), to_string(GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(Verification, DecideFollow, testing::ValuesIn(kRows),
                         [](const testing::TestParamInfo<Row>& info) {
                           return std::string(info.param.name);
                         });

// The invariants of verification.h over every combination of facts.
TEST(Verification, V1_V3_V6_V10_invariants_hold_for_all_facts) {
  for (unsigned bits = 0; bits < 7U * 4U * 32U; ++bits) {
    VerificationFacts given;
    given.effect = static_cast<EffectKind>(bits % 7);
    given.overall = static_cast<Overall>(bits / 7 % 4);
    const unsigned flags = bits / 28;
    given.verify = (flags & 1U) != 0;
    given.superseded = (flags & 2U) != 0 && given.overall == Overall::mismatch;
    given.may_read_again = (flags & 4U) != 0;
    given.safe = (flags & 8U) != 0;
    given.attempts_remain = (flags & 16U) != 0;
    const Follow follow = decide_follow(given);
    const bool turned_away = given.effect == kRetryable || given.effect == kNotSent;
    if (follow == Follow::confirm) {
      EXPECT_EQ(given.overall, Overall::match);
      EXPECT_TRUE(given.verify);
    }
    if (follow == Follow::attempt_again) {
      EXPECT_TRUE(given.attempts_remain);
      EXPECT_TRUE(turned_away || (given.safe && given.overall != Overall::unreadable));
      EXPECT_FALSE(given.superseded && !turned_away);
    }
    if (follow == Follow::read_again) {
      EXPECT_TRUE(given.may_read_again);
    }
    if (follow == Follow::fail) {
      EXPECT_TRUE(turned_away || given.effect == EffectKind::rejected_final);
    }
  }
}

// ---- What the reads say, taken together ---------------------------------------------------------

Operation verifying(const std::vector<Observation>& reads, const History& told = {},
                    bool has_serving = false, bool baseline = true) {
  Policy policy = policy_for();
  policy.has_serving = has_serving;
  std::uint32_t artifacts = 0;
  for (const Observation& read : reads) artifacts = std::max(artifacts, read.artifact + 1);
  Operation operation = begin(OperationId{}, test::accepted_with(artifacts, policy), test::kBegin);
  evolve(operation, AttemptStarted{AttemptNo(1), test::kBegin}, test::kBegin);
  BaselineRead before;
  for (std::uint32_t i = 0; i < artifacts && baseline; ++i) {
    before.reads.push_back(test::seen(i, Found::before));
    before.reads.push_back(test::seen(i, Found::before, Level::serving));
  }
  evolve(operation, before, test::kBegin);
  evolve(operation, ended(kAck), test::kBegin);
  evolve(operation, ReadBack{AttemptNo(1), reads, told}, test::kBegin);
  return operation;
}

TEST(Verification, V1_overall_is_per_artifact_never_one_for_the_batch) {
  EXPECT_EQ(overall_of(verifying(at_store({Found::ours, Found::ours}))), Overall::match);
  EXPECT_EQ(overall_of(verifying(at_store({Found::ours, Found::before}))), Overall::mismatch);
  EXPECT_EQ(overall_of(verifying(at_store({Found::ours, Found::unreadable}))), Overall::unreadable);
  EXPECT_EQ(overall_of(verifying(at_store({Found::unreadable, Found::before}))), Overall::mismatch);
  EXPECT_EQ(overall_of(verifying({})), Overall::nothing_to_read);
  // Read at one artifact of two: the other is not known.
  std::vector<Observation> one = at_store({Found::ours, Found::ours});
  Operation operation = verifying(one);
  operation.artifacts.at(0).store.verdict.reset();
  EXPECT_EQ(overall_of(operation), Overall::unreadable);
}

TEST(Verification, V5_the_serving_level_must_match_too) {
  EXPECT_EQ(overall_of(verifying(served({Found::ours}), {}, true)), Overall::match);
  EXPECT_EQ(overall_of(verifying(served({Found::before}), {}, true)), Overall::mismatch);
  EXPECT_EQ(overall_of(verifying(served({Found::unreadable}), {}, true)), Overall::unreadable);
  EXPECT_EQ(overall_of(verifying(at_store({Found::ours}), {}, true)), Overall::unreadable);
  EXPECT_EQ(overall_of(verifying(at_store({Found::ours}), {}, false)), Overall::match);
}

TEST(Verification, V5_a_serving_verdict_counts_only_beside_a_store_that_matches) {
  std::vector<Observation> reads = at_store({Found::unreadable});
  reads.push_back(test::seen(0, Found::before, Level::serving));
  const Operation operation = verifying(reads, {}, true);
  EXPECT_FALSE(operation.artifacts.at(0).serving.verdict.has_value());
  EXPECT_EQ(overall_of(operation), Overall::unreadable);
}

TEST(Verification, V6_superseded_is_proved_by_history_alone) {
  const auto proved = [](const std::vector<Found>& found, const History& told) {
    return proved_superseded(verifying(at_store(found), told));
  };
  EXPECT_TRUE(proved({Found::other}, history({Past::replaced})));
  EXPECT_FALSE(proved({Found::other}, history({Past::never})));
  EXPECT_FALSE(proved({Found::other}, history({Past::landed})));
  EXPECT_FALSE(proved({Found::other}, {}));
  EXPECT_TRUE(proved({Found::other, Found::ours}, history({Past::replaced, Past::landed})));
  EXPECT_FALSE(proved({Found::other, Found::before}, history({Past::replaced, Past::never})));
  EXPECT_FALSE(proved({Found::ours}, history({Past::replaced}))) << "nothing differs";
  // What cannot be read now is proved to have landed, or not.
  EXPECT_TRUE(proved({Found::other, Found::unreadable}, history({Past::replaced, Past::landed})));
  EXPECT_FALSE(proved({Found::other, Found::unreadable}, history({Past::replaced, Past::never})));
  // A history of fewer artifacts than ours proves nothing.
  EXPECT_FALSE(proved({Found::other, Found::other}, history({Past::replaced})));
}

TEST(Verification, V6_without_history_only_the_content_before_or_a_torn_piece_is_replaced) {
  const auto safe = [](const std::vector<Found>& found, const History& told = {},
                       bool baseline = true) {
    return safe_to_repeat(verifying(at_store(found), told, false, baseline), Capabilities{});
  };
  EXPECT_TRUE(safe({Found::before}));
  EXPECT_TRUE(safe({Found::torn}));
  EXPECT_FALSE(safe({Found::other}));
  EXPECT_FALSE(safe({Found::absent})) << "it was there before: somebody removed it";
  EXPECT_FALSE(safe({Found::before, Found::other}));
  EXPECT_TRUE(safe({Found::before, Found::ours}));
  // A crash took the reads made before: only nothing at all may be written over.
  EXPECT_FALSE(safe({Found::before}, {}, false));
  EXPECT_TRUE(safe({Found::absent}, {}, false));
}

TEST(Verification, V3_never_safe_while_an_artifact_cannot_be_read_at_the_store) {
  EXPECT_FALSE(safe_to_repeat(verifying(at_store({Found::before, Found::unreadable})),
                              Capabilities{.idempotent = true}));
  EXPECT_FALSE(safe_to_repeat(
      verifying(at_store({Found::before, Found::unreadable}), history({Past::never, Past::never})),
      Capabilities{.idempotent = true, .history = true}));
}

TEST(Verification, V6_history_forbids_writing_over_one_replaced_artifact_among_others) {
  const Capabilities git{.idempotent = true, .deduplicates = false, .history = true};
  const auto safe = [&](const std::vector<Found>& found, const History& told) {
    return safe_to_repeat(verifying(at_store(found), told), git);
  };
  EXPECT_TRUE(safe({Found::other}, history({Past::never}))) << "theirs stays in the history";
  EXPECT_FALSE(safe({Found::other, Found::before}, history({Past::replaced, Past::never})));
  // A target with a history that could not be asked just now is one without.
  EXPECT_FALSE(safe({Found::other}, {}));
  EXPECT_TRUE(safe({Found::before}, {}));
}

TEST(Verification, T2_a_target_that_has_forgotten_the_key_deduplicates_no_more) {
  Policy policy;
  policy.capabilities = {.idempotent = false, .deduplicates = true};
  policy.effect_timeout = Duration{2'000};
  Operation operation;
  operation.created_at = WallTime{Duration{100'000}};
  const auto deduplicates = [&](std::int64_t after) {
    return capabilities_at(operation, policy, operation.created_at + Duration{after}).deduplicates;
  };
  EXPECT_TRUE(deduplicates(1'000'000)) << "it remembers for ever";
  policy.remembers = Duration{10'000};
  EXPECT_TRUE(deduplicates(8'000)) << "an attempt ends in time";
  EXPECT_FALSE(deduplicates(8'001));
  operation.not_before = operation.created_at + Duration{5'000};
  EXPECT_TRUE(deduplicates(13'000)) << "nothing was sent before that";
}

TEST(Verification, V6_deduplication_does_not_license_an_overwrite) {
  const Capabilities dedup{.idempotent = false, .deduplicates = true, .history = false};
  EXPECT_FALSE(safe_to_repeat(verifying(at_store({Found::other})), dedup));
  EXPECT_TRUE(safe_to_repeat(verifying(at_store({Found::before})), dedup));
  // A crash took the reads made before: the target itself knows whether it has done its work.
  EXPECT_TRUE(safe_to_repeat(verifying(at_store({Found::other}), {}, false, false), dedup));
  EXPECT_TRUE(safe_to_repeat(verifying(at_store({Found::absent}), {}, false, false), dedup));
  const Capabilities neither{.idempotent = false, .deduplicates = false, .history = true};
  EXPECT_FALSE(safe_to_repeat(verifying(at_store({Found::before})), neither));
}

TEST(Verification, V1_judge_compares_content_and_absence) {
  const ArtifactSummary present = test::meant(0);
  EXPECT_EQ(judge(present, test::seen(0, Found::ours)), Verdict::match);
  EXPECT_EQ(judge(present, test::seen(0, Found::torn)), Verdict::mismatch);
  EXPECT_EQ(judge(present, test::seen(0, Found::absent)), Verdict::mismatch);
  EXPECT_EQ(judge(present, test::seen(0, Found::unreadable)), Verdict::unreadable);
  ArtifactSummary removed;
  removed.absent = true;
  EXPECT_EQ(judge(removed, test::seen(0, Found::absent)), Verdict::match);
  EXPECT_EQ(judge(removed, test::seen(0, Found::before)), Verdict::mismatch);
  EXPECT_EQ(judge(removed, test::seen(0, Found::unreadable)), Verdict::unreadable);
  Observation empty;
  empty.seen = Seen::found;
  EXPECT_EQ(judge(removed, empty), Verdict::mismatch) << "an empty file is not an absent one";
  // The same digest with another size is another content.
  Observation longer = test::seen(0, Found::ours);
  ++longer.id.bytes;
  EXPECT_EQ(judge(present, longer), Verdict::mismatch);
}

TEST(Verification, V6_what_is_tried_anew_is_held_to_what_it_had_found) {
  Intent intent;
  for (std::uint32_t i = 0; i < 2; ++i) {
    const ArtifactSummary meant = test::meant(i);
    intent.artifacts.push_back(
        {.name = meant.name, .absent = false, .id = meant.id, .content = {}});
  }
  const auto held = [&](const std::vector<Found>& then, const std::vector<Found>& now) {
    const auto found = held_back(intent, at_store(then), at_store(now));
    return found ? found->kind : EffectKind::none;
  };
  using enum Found;
  EXPECT_EQ(held({before, absent}, {before, absent}), EffectKind::none);
  EXPECT_EQ(held({before, before}, {before, ours}), EffectKind::none) << "there is nothing to lose";
  EXPECT_EQ(held({before, before}, {before, other}), EffectKind::rejected_final);
  EXPECT_EQ(held({before, before}, {absent, before}), EffectKind::rejected_final);
  EXPECT_EQ(held({absent, before}, {other, before}), EffectKind::rejected_final);
  EXPECT_EQ(held({before, before}, {unreadable, before}), EffectKind::not_sent);
  EXPECT_EQ(held({before, before}, {unreadable, other}), EffectKind::rejected_final);
  EXPECT_EQ(held({unreadable, before}, {other, before}), EffectKind::none) << "nothing was known";
  EXPECT_EQ(held({}, {other, other}), EffectKind::none);
}

TEST(Verification, V5_what_is_read_again) {
  Operation operation = verifying(served({Found::before, Found::ours}), {}, true);
  const ArtifactState& stale = operation.artifacts.at(0);
  const ArtifactState& fine = operation.artifacts.at(1);
  EXPECT_TRUE(wants_read(stale, Level::serving, true));
  EXPECT_TRUE(wants_read(stale, Level::store, true)) << "a later writer may have come";
  EXPECT_FALSE(wants_read(fine, Level::serving, true));
  EXPECT_FALSE(wants_read(fine, Level::store, true));
  EXPECT_FALSE(wants_read(stale, Level::serving, false));
  EXPECT_FALSE(wants_read(stale, Level::store, false));
}

}  // namespace
}  // namespace trued
