#include "core/tells.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/test_support.h"

namespace trued {
namespace {

using test::at_store;
using test::Found;
using test::history;
using test::Past;
using test::served;

// An acknowledged operation with `reads`; what stood there before is `baseline`.
struct Scene {
  std::vector<Observation> reads;
  History told;
  std::vector<Found> baseline;
  std::string version = "v1";
  std::string version_before = "v0";
  bool reads_before = true;
};

Operation play(const Scene& scene) {
  Policy policy = test::policy_for();
  policy.has_serving = true;
  const auto artifacts = static_cast<std::uint32_t>(scene.baseline.size());
  Operation operation = begin(OperationId{}, test::accepted_with(artifacts, policy), test::kBegin);
  evolve(operation, AttemptStarted{AttemptNo(1), test::kBegin}, test::kBegin);
  BaselineRead before;
  for (std::uint32_t i = 0; i < artifacts && scene.reads_before; ++i) {
    before.reads.push_back(test::seen(i, scene.baseline.at(i)));
    before.reads.push_back(test::seen(i, scene.baseline.at(i), Level::serving));
  }
  evolve(operation, before, test::kBegin);
  EffectEnded effect = test::ended(EffectKind::acknowledged);
  effect.version = scene.version;
  effect.version_before = scene.version_before;
  evolve(operation, effect, test::kBegin);
  evolve(operation, ReadBack{AttemptNo(1), scene.reads, scene.told}, test::kBegin);
  return operation;
}

Tell tell_of(const Scene& scene) { return name_tell(play(scene)); }

History reported(History told) {
  told.reported_present = true;
  return told;
}

// ---- one for each tell --------------------------------------------------------------------------

TEST(Tells, V2_swallowed_race) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::before}),
                     .told = history({Past::never}),
                     .baseline = {Found::before}}),
            Tell::swallowed_race);
  EXPECT_EQ(tell_of({.reads = at_store({Found::before}), .told = {}, .baseline = {Found::before}}),
            Tell::swallowed_race);
  EXPECT_EQ(tell_of({.reads = at_store({Found::absent}), .told = {}, .baseline = {Found::absent}}),
            Tell::swallowed_race);
}

TEST(Tells, V2_self_agreeing_noop) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::before}),
                     .told = reported(history({Past::never})),
                     .baseline = {Found::before}}),
            Tell::self_agreeing_noop);
  // Without history: it reports the version that was there before.
  EXPECT_EQ(tell_of({.reads = at_store({Found::before}),
                     .told = {},
                     .baseline = {Found::before},
                     .version = "v0",
                     .version_before = "v0"}),
            Tell::self_agreeing_noop);
  EXPECT_EQ(tell_of({.reads = at_store({Found::before}),
                     .told = {},
                     .baseline = {Found::before},
                     .version = "",
                     .version_before = ""}),
            Tell::self_agreeing_noop)
      << "it has no version to show";
}

TEST(Tells, V2_empty_write) {
  History told = history({Past::never});
  told.ours_present = true;
  told.reported_present = true;
  EXPECT_EQ(
      tell_of({.reads = at_store({Found::before}), .told = told, .baseline = {Found::before}}),
      Tell::empty_write);
}

TEST(Tells, V2_partial_landing) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::ours, Found::before}),
                     .told = history({Past::landed, Past::never}),
                     .baseline = {Found::before, Found::before}}),
            Tell::partial_landing);
  EXPECT_EQ(tell_of({.reads = at_store({Found::ours, Found::before}),
                     .told = {},
                     .baseline = {Found::before, Found::before}}),
            Tell::partial_landing);
}

TEST(Tells, V2_an_artifact_that_was_to_stay_as_it_is_tells_nothing_about_landing) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::ours, Found::before}),
                     .told = {},
                     .baseline = {Found::ours, Found::before}}),
            Tell::swallowed_race);
  History told = history({Past::landed, Past::never});
  EXPECT_EQ(tell_of({.reads = at_store({Found::ours, Found::before}),
                     .told = told,
                     .baseline = {Found::ours, Found::before}}),
            Tell::empty_write);
}

TEST(Tells, V2_clever_dedup) {
  // The serving level kept everything, and the artifact that it looks at was to stay as it is.
  EXPECT_EQ(tell_of({.reads = served({Found::ours, Found::before}),
                     .told = {},
                     .baseline = {Found::ours, Found::before}}),
            Tell::clever_dedup);
}

TEST(Tells, V2_clever_dedup_by_a_serving_version_that_moved) {
  Operation operation =
      play({.reads = served({Found::before}), .told = {}, .baseline = {Found::before}});
  operation.artifacts.at(0).serving.baseline->version = "e1";
  operation.artifacts.at(0).serving.last->version = "e2";
  EXPECT_EQ(name_tell(operation), Tell::clever_dedup);
}

TEST(Tells, V2_truncated) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::torn}), .told = {}, .baseline = {Found::before}}),
            Tell::truncated);
  EXPECT_EQ(tell_of({.reads = served({Found::torn}), .told = {}, .baseline = {Found::before}}),
            Tell::truncated);
  // A crash took the reads made before.
  EXPECT_EQ(tell_of({.reads = at_store({Found::torn}),
                     .told = {},
                     .baseline = {Found::before},
                     .reads_before = false}),
            Tell::truncated);
}

TEST(Tells, V2_a_document_that_only_grew_and_never_landed_is_not_truncated) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::torn}), .told = {}, .baseline = {Found::torn}}),
            Tell::swallowed_race);
  EXPECT_EQ(tell_of({.reads = served({Found::torn}), .told = {}, .baseline = {Found::torn}}),
            Tell::stale_replica);
}

TEST(Tells, V2_stale_replica) {
  EXPECT_EQ(tell_of({.reads = served({Found::before}), .told = {}, .baseline = {Found::before}}),
            Tell::stale_replica);
}

TEST(Tells, V2_stale_replica_by_replicas_that_disagree) {
  Operation operation =
      play({.reads = served({Found::other}), .told = {}, .baseline = {Found::before}});
  EXPECT_EQ(name_tell(operation), Tell::unexplained);
  operation.artifacts.at(0).serving.replicas_disagreed = true;
  EXPECT_EQ(name_tell(operation), Tell::stale_replica);
}

TEST(Tells, V2_replicas_disagree_only_if_two_that_name_themselves_differ) {
  const auto disagreed = [](const std::string& first, const std::string& second, Found then) {
    Operation operation = play({.reads = {}, .told = {}, .baseline = {Found::before}});
    std::vector<Observation> reads = served({Found::before});
    reads.back().served_by = first;
    evolve(operation, ReadBack{AttemptNo(1), reads, {}}, test::kBegin);
    reads = served({then});
    reads.back().served_by = second;
    evolve(operation, ReadBack{AttemptNo(1), reads, {}}, test::kBegin);
    return operation.artifacts.front().serving.replicas_disagreed;
  };
  EXPECT_TRUE(disagreed("east", "west", Found::ours));
  EXPECT_FALSE(disagreed("east", "east", Found::ours)) << "it settled";
  EXPECT_FALSE(disagreed("east", "west", Found::before));
  EXPECT_FALSE(disagreed("", "", Found::ours));
  EXPECT_FALSE(disagreed("east", "west", Found::unreadable));
}

TEST(Tells, V2_V6_overwritten_is_not_a_lie) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::other}),
                     .told = history({Past::replaced}),
                     .baseline = {Found::before}}),
            Tell::overwritten);
  EXPECT_EQ(tell_of({.reads = at_store({Found::other}), .told = {}, .baseline = {Found::before}}),
            Tell::overwritten);
  EXPECT_EQ(tell_of({.reads = at_store({Found::other}), .told = {}, .baseline = {Found::absent}}),
            Tell::overwritten);
}

TEST(Tells, V2_unexplained) {
  // It was there before, and is gone: nobody said so.
  EXPECT_EQ(tell_of({.reads = at_store({Found::absent}), .told = {}, .baseline = {Found::before}}),
            Tell::unexplained);
  EXPECT_EQ(tell_of({.reads = at_store({Found::before}),
                     .told = {},
                     .baseline = {Found::before},
                     .reads_before = false}),
            Tell::unexplained);
  EXPECT_EQ(tell_of({.reads = served({Found::other}), .told = {}, .baseline = {Found::before}}),
            Tell::unexplained);
}

// ---- precedence: each scene also fits every later rule named ------------------------------------

TEST(Tells, V2_precedence_overwritten_before_truncated) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::other, Found::torn}),
                     .told = {},
                     .baseline = {Found::before, Found::before}}),
            Tell::overwritten);
}

TEST(Tells, V2_precedence_truncated_before_empty_write_and_partial_landing) {
  History nothing = history({Past::never});
  nothing.ours_present = true;
  EXPECT_EQ(
      tell_of({.reads = at_store({Found::torn}), .told = nothing, .baseline = {Found::before}}),
      Tell::truncated);
  EXPECT_EQ(tell_of({.reads = at_store({Found::ours, Found::torn}),
                     .told = {},
                     .baseline = {Found::before, Found::before}}),
            Tell::truncated);
}

TEST(Tells, V2_precedence_partial_landing_before_self_agreeing_noop) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::ours, Found::before}),
                     .told = {},
                     .baseline = {Found::before, Found::before},
                     .version = "v0",
                     .version_before = "v0"}),
            Tell::partial_landing);
}

TEST(Tells, V2_precedence_empty_write_before_self_agreeing_noop) {
  History told = reported(history({Past::never}));
  told.ours_present = true;
  EXPECT_EQ(tell_of({.reads = at_store({Found::before}),
                     .told = told,
                     .baseline = {Found::before},
                     .version = "v0",
                     .version_before = "v0"}),
            Tell::empty_write);
}

TEST(Tells, V2_precedence_self_agreeing_noop_before_swallowed_race) {
  EXPECT_EQ(tell_of({.reads = at_store({Found::before}),
                     .told = reported(history({Past::never})),
                     .baseline = {Found::before}}),
            Tell::self_agreeing_noop);
}

TEST(Tells, V2_precedence_store_before_serving) {
  std::vector<Observation> reads = at_store({Found::before, Found::ours});
  reads.push_back(test::seen(1, Found::before, Level::serving));
  EXPECT_EQ(tell_of({.reads = reads,
                     .told = history({Past::never, Past::never}),
                     .baseline = {Found::before, Found::ours}}),
            Tell::swallowed_race);
}

TEST(Tells, V2_precedence_clever_dedup_before_stale_replica) {
  EXPECT_EQ(tell_of({.reads = served({Found::ours, Found::before}),
                     .told = {},
                     .baseline = {Found::ours, Found::before}}),
            Tell::clever_dedup);
}

TEST(Tells, V2_precedence_partial_landing_at_the_serving_level_before_clever_dedup) {
  EXPECT_EQ(tell_of({.reads = served({Found::ours, Found::ours, Found::before}),
                     .told = {},
                     .baseline = {Found::ours, Found::before, Found::before}}),
            Tell::partial_landing);
}

// ---- who is accused at all ----------------------------------------------------------------------

TEST(Tells, V2_an_unknown_outcome_claimed_nothing_and_is_not_accused) {
  test::Life life;
  life.start();
  life.report(test::ended(EffectKind::unknown, "timeout"), at_store({Found::before}));
  life.read_until_decided(at_store({Found::before}));
  EXPECT_FALSE(life.operation.tell.has_value());
  EXPECT_EQ(life.count<LieCaught>(), 0U);
}

TEST(Tells, V2_another_writer_is_noted_after_an_unknown_outcome_too) {
  test::Life life;
  life.start();
  life.report(test::ended(EffectKind::unknown, "timeout"), at_store({Found::other}));
  life.read_until_decided(at_store({Found::other}));
  EXPECT_EQ(life.state(), State::needs_action);
  EXPECT_EQ(life.operation.tell, Tell::overwritten);
}

TEST(Tells, V2_a_slow_honest_target_is_never_accused) {
  test::Life life;
  life.start();
  life.report(test::ended(EffectKind::acknowledged), at_store({Found::before}));
  life.timed_read(at_store({Found::unreadable}));
  life.timed_read(at_store({Found::before}));
  life.timed_read(at_store({Found::ours}));
  EXPECT_EQ(life.state(), State::confirmed);
  EXPECT_EQ(life.count<LieCaught>(), 0U);
}

// ---- evidence for people ------------------------------------------------------------------------

TEST(Tells, V7_within_a_document_the_place_is_named) {
  auto reads = at_store({Found::before});
  reads.front().detail = "/status: meant \"succeeded\", found \"pending\"";
  EXPECT_EQ(describe_mismatch(play({.reads = reads, .told = {}, .baseline = {Found::before}})),
            "'a0' at the store level: /status: meant \"succeeded\", found \"pending\"");
}

TEST(Tells, V7_describe_mismatch_names_artifact_meant_and_found) {
  const auto describe = [](const Scene& scene) { return describe_mismatch(play(scene)); };
  const std::string digest = test::content("before-0").sha256.hex().substr(0, 12);
  EXPECT_EQ(describe({.reads = at_store({Found::before}), .told = {}, .baseline = {Found::before}}),
            "'a0' at the store level: meant 6 bytes, found 8 bytes, sha256 " + digest +
                ", the same as before");
  EXPECT_EQ(describe({.reads = at_store({Found::absent}), .told = {}, .baseline = {Found::before}}),
            "'a0' at the store level: meant 6 bytes, found nothing");
  EXPECT_NE(describe({.reads = at_store({Found::torn}), .told = {}, .baseline = {Found::before}})
                .find("the beginning of what was meant"),
            std::string::npos);
  EXPECT_NE(describe({.reads = served({Found::before}), .told = {}, .baseline = {Found::before}})
                .find("'a0' at the serving level"),
            std::string::npos);
}

TEST(Tells, V7_describe_mismatch_counts_the_others) {
  const std::string text = describe_mismatch(
      play({.reads = at_store({Found::before, Found::absent, Found::ours, Found::other}),
            .told = {},
            .baseline = {Found::before, Found::before, Found::before, Found::before}}));
  EXPECT_TRUE(text.starts_with("'a0' "));
  EXPECT_TRUE(text.ends_with(" (and 2 more)"));
}

TEST(Tells, V7_describe_mismatch_of_a_removal_that_did_not_happen) {
  Operation operation = play({.reads = {}, .told = {}, .baseline = {Found::before}});
  operation.artifacts.at(0).meant.absent = true;
  evolve(operation, ReadBack{AttemptNo(1), at_store({Found::before}), {}}, test::kBegin);
  EXPECT_TRUE(describe_mismatch(operation).starts_with(
      "'a0' at the store level: meant absent, found 8 bytes"));
}

}  // namespace
}  // namespace trued
