// target_conformance.h: what every connector must do, as one suite of tests.
//
// A connector's test makes a World (the connector, and a way to act behind its back), and
// instantiates the suite:
//
//   INSTANTIATE_TEST_SUITE_P(File, TargetConformance, testing::Values(ConformanceCase{"file", …}),
//                            conformance_name);
//
// Include it from one file of a test program only. Tests that need a history are skipped where the
// connector says that it has none.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "target/compare.h"
#include "target/intents_test.h"
#include "target/target.h"

namespace trued {

/// A connector in its surroundings. The destructor takes everything down again.
class World {
 public:
  virtual ~World() = default;
  virtual Connector& connector() = 0;
  /// Another writer puts (or, with nothing, removes) `name`; always a change of content.
  virtual void put_outside(const std::string& name, std::optional<std::string> content) = 0;
  /// What stands there, found by other means than the connector.
  virtual std::optional<std::string> look(const std::string& name) = 0;
  /// From now on nothing can be read.
  virtual void break_reads() = 0;
};

struct ConformanceCase {
  std::string name;
  std::function<std::unique_ptr<World>()> make;
};

inline std::string conformance_name(const testing::TestParamInfo<ConformanceCase>& info) {
  return info.param.name;
}

class TargetConformance : public testing::TestWithParam<ConformanceCase> {
 protected:
  void SetUp() override { world_ = GetParam().make(); }
  void TearDown() override { world_.reset(); }

  [[nodiscard]] World& world() { return *world_; }
  [[nodiscard]] Connector& store() { return world_->connector(); }
  [[nodiscard]] bool has_history() { return store().capabilities().history; }

  EffectEnded perform(const EffectRequest& request) { return store().perform(request).ended; }
  EffectEnded write(std::vector<ArtifactIntent> artifacts) {
    EffectRequest request = effect_of(std::move(artifacts));
    request.since = version();
    return perform(request);
  }
  std::string version() {
    auto now = store().version();
    EXPECT_TRUE(now.has_value());
    return now.has_value() ? *now : std::string();
  }
  std::vector<RawRead> read(const EffectRequest& request) {
    ReadRequest wanted{.intent = request.intent, .artifacts = {}};
    wanted.artifacts.resize(request.intent->artifacts.size());
    std::iota(wanted.artifacts.begin(), wanted.artifacts.end(), 0U);
    return store().read(wanted);
  }
  RawRead read(const std::string& name) { return read(effect_of({put(name, "")})).at(0); }
  History history(const EffectRequest& request, const std::string& reported) {
    return store().history({.operation = request.operation,
                            .intent = request.intent,
                            .since = request.since,
                            .reported = reported});
  }
  // Writes, and finds exactly that by both ways.
  void round_trip(const std::string& name, const std::string& content) {
    const EffectEnded ended = write({put(name, content)});
    ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
    EXPECT_TRUE(ended.changed);
    const RawRead back = read(name);
    ASSERT_EQ(back.seen, Seen::found) << back.detail;
    EXPECT_TRUE(back.content == content) << name;
    EXPECT_TRUE(world().look(name) == content) << name;
  }

 private:
  std::unique_ptr<World> world_;
};

inline std::string every_byte() {
  std::string bytes(1024, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  return bytes;
}

TEST_P(TargetConformance, V1_text_arrives) { round_trip("start.md", "# Start\n"); }

TEST_P(TargetConformance, V1_binary_arrives) { round_trip("blob.bin", every_byte()); }

TEST_P(TargetConformance, V1_line_ends_are_kept) { round_trip("crlf.txt", "a\r\nb\rc\n\n"); }

TEST_P(TargetConformance, V1_an_empty_file_is_no_absence) {
  round_trip("empty", "");
  EXPECT_EQ(read("empty-not").seen, Seen::absent);
}

TEST_P(TargetConformance, V1_a_megabyte_arrives) {
  std::string content;
  for (int i = 0; i < 1024; ++i) content += every_byte();
  round_trip("big.bin", content);
}

TEST_P(TargetConformance, V1_nested_paths_and_unusual_names) {
  round_trip("a/b/c/d/e.txt", "deep");
  round_trip("a/b/sibling.txt", "beside");
  round_trip("ü ß/名前.md", "unicode");
  round_trip("--upload-pack=x", "an option it is not");
  round_trip("%2e%2e/x", "percent");
  round_trip(".hidden", "dot");
  EXPECT_EQ(read("a/b/c/d/e.txt").content, "deep");
}

TEST_P(TargetConformance, V1_content_is_replaced_whole) {
  round_trip("page.md", "a long first version\n");
  round_trip("page.md", "short\n");
}

TEST_P(TargetConformance, V1_removal) {
  round_trip("old.md", "x");
  round_trip("dir/old.md", "x");
  const EffectEnded ended = write({removal("old.md"), removal("dir/old.md")});
  ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_TRUE(ended.changed);
  EXPECT_EQ(read("old.md").seen, Seen::absent);
  EXPECT_EQ(read("dir/old.md").seen, Seen::absent);
  EXPECT_EQ(world().look("dir/old.md"), std::nullopt);
}

TEST_P(TargetConformance, V4_removing_what_is_not_there_is_no_work) {
  round_trip("some.md", "x");
  const EffectEnded ended = write({removal("never.md"), removal("no/such/dir.md")});
  ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_FALSE(ended.changed);
}

TEST_P(TargetConformance, V1_a_file_makes_room_for_a_directory) {
  round_trip("x", "file");
  EffectRequest request = effect_of({put("x/y/z", "deep"), removal("x"), put("x/w", "wide")});
  request.since = version();
  EXPECT_TRUE(perform(request).changed);
  for (const std::uint32_t attempt : {1U, 2U}) {
    const auto reads = read(request);
    EXPECT_EQ(reads.at(0).content, "deep");
    EXPECT_EQ(reads.at(1).seen, Seen::absent) << reads.at(1).detail;
    EXPECT_EQ(reads.at(2).content, "wide");
    const History seen = history(request, {});
    for (const ArtifactHistory& artifact : seen.artifacts) {
      EXPECT_TRUE(artifact.landed);
      EXPECT_EQ(artifact.replaced_by, "");
    }
    request.attempt = AttemptNo{attempt + 1};
    const EffectEnded again = perform(request);
    EXPECT_EQ(again.kind, EffectKind::acknowledged) << again.reason;
    EXPECT_FALSE(again.changed);
  }
}

TEST_P(TargetConformance, V1_many_artifacts_in_one_effect) {
  round_trip("gone.md", "to go");
  round_trip("stays.md", "as it is");
  std::vector<ArtifactIntent> artifacts;
  for (int i = 0; i < 40; ++i) {
    const std::string n = std::to_string(i);
    artifacts.push_back(put("many/" + std::to_string(i % 5) + "/f" + n, "content " + n));
  }
  artifacts.push_back(removal("gone.md"));
  const EffectRequest request = effect_of(artifacts);
  const EffectEnded ended = perform(request);
  ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  const auto reads = read(request);
  ASSERT_EQ(reads.size(), artifacts.size());
  for (std::size_t i = 0; i < artifacts.size(); ++i) {
    const auto seen =
        observe(artifacts[i], static_cast<std::uint32_t>(i), Level::store, reads[i], WallTime{});
    EXPECT_EQ(judge(artifacts[i], seen), Verdict::match) << artifacts[i].name;
  }
  EXPECT_EQ(world().look("stays.md"), "as it is");
}

TEST_P(TargetConformance, V1_reads_answer_just_what_was_asked_in_order) {
  round_trip("a", "1");
  round_trip("b", "2");
  const EffectRequest request = effect_of({put("a", ""), put("none", ""), put("b", "")});
  const auto reads = store().read({.intent = request.intent, .artifacts = {1, 2}});
  ASSERT_EQ(reads.size(), 2U);
  EXPECT_EQ(reads[0].seen, Seen::absent);
  EXPECT_EQ(reads[1].content, "2");
}

TEST_P(TargetConformance, V6_a_repeat_is_harmless_and_says_that_it_did_nothing) {
  EffectRequest request = effect_of({put("a", "1"), removal("b"), put("c/d", "2")});
  request.since = version();
  const EffectEnded first = perform(request);
  ASSERT_EQ(first.kind, EffectKind::acknowledged) << first.reason;
  EXPECT_TRUE(first.changed);
  const std::string after = version();
  for (std::uint32_t attempt = 2; attempt < 4; ++attempt) {
    request.attempt = AttemptNo{attempt};
    const EffectEnded again = perform(request);
    ASSERT_EQ(again.kind, EffectKind::acknowledged) << again.reason;
    EXPECT_FALSE(again.changed);
    EXPECT_EQ(again.version, after);
  }
  EXPECT_EQ(version(), after);
  EXPECT_EQ(read("a").content, "1");
}

TEST_P(TargetConformance, V3_absent_is_not_unreadable) {
  EXPECT_EQ(read("never/was.md").seen, Seen::absent);
  round_trip("was.md", "x");
  EXPECT_EQ(read("never.md").seen, Seen::absent);
  EXPECT_EQ(read("was.md/below").seen, Seen::absent);
  world().break_reads();
  const RawRead broken = read("was.md");
  EXPECT_EQ(broken.seen, Seen::unreadable);
  EXPECT_FALSE(broken.detail.empty());
  EXPECT_EQ(read("never.md").seen, Seen::unreadable);
}

TEST_P(TargetConformance, V1_a_read_is_never_from_a_cache) {
  round_trip("page", "ours");
  for (int i = 0; i < 3; ++i) {
    const std::string theirs = "theirs " + std::to_string(i);
    world().put_outside("page", theirs);
    EXPECT_EQ(read("page").content, theirs);
  }
  world().put_outside("page", std::nullopt);
  EXPECT_EQ(read("page").seen, Seen::absent);
}

TEST_P(TargetConformance, V1_version_moves_with_every_change) {
  const std::string start = version();
  const EffectEnded first = write({put("a", "1")});
  const std::string one = version();
  if (one.empty()) GTEST_SKIP() << "has no versions";
  EXPECT_EQ(first.version, one);
  EXPECT_NE(one, start);
  EXPECT_EQ(read("a").version, one);
  world().put_outside("a", "2");
  const std::string two = version();
  EXPECT_NE(two, one);
  EXPECT_EQ(write({put("a", "2")}).version, two);
  EXPECT_EQ(version(), two);
}

TEST_P(TargetConformance, V6_hostile_names_are_refused_and_nothing_happens) {
  const std::vector<std::string> hostile = {"",          "/etc/x", "../x",
                                            "a/../../x", "a/..",   ".",
                                            "./x",       "a//b",   "a/",
                                            "a\\b",      "..\\x",  std::string("a\0b", 3),
                                            "a\nb",      "\xff",   std::string(4096, 'n')};
  round_trip("anchor", "x");
  const std::string before = version();
  for (const std::string& name : hostile) {
    EXPECT_NE(store().check_name(name), "") << name;
    const EffectEnded ended = write({put("innocent", "y"), put(name, "z")});
    EXPECT_EQ(ended.kind, EffectKind::rejected_final) << name;
    EXPECT_FALSE(ended.reason.empty());
  }
  EXPECT_EQ(read("innocent").seen, Seen::absent);
  EXPECT_EQ(version(), before);
}

TEST_P(TargetConformance, V1_effects_from_several_threads_all_land) {
  constexpr int kThreads = 6;
  constexpr int kEach = 4;
  std::atomic<int> acknowledged{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string name = "t/" + std::to_string(t) + "/" + std::to_string(i);
        const EffectEnded ended = write({put(name, name)});
        if (ended.kind == EffectKind::acknowledged) ++acknowledged;
        EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
        EXPECT_EQ(read(name).content, name);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(acknowledged.load(), kThreads * kEach);
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kEach; ++i) {
      const std::string name = "t/" + std::to_string(t) + "/" + std::to_string(i);
      EXPECT_EQ(world().look(name), name);
    }
  }
}

// ---- history ------------------------------------------------------------------------------------

TEST_P(TargetConformance, V2_history_knows_ours) {
  world().put_outside("before", "x");
  EffectRequest request = effect_of({put("a", "1"), put("b/c", "2"), removal("before")});
  request.since = version();
  const EffectEnded ended = perform(request);
  ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  const History seen = history(request, ended.version);
  if (!has_history()) {
    EXPECT_FALSE(seen.known);
    return;
  }
  EXPECT_TRUE(seen.known);
  EXPECT_TRUE(seen.ours_present);
  EXPECT_TRUE(seen.reported_present);
  EXPECT_EQ(seen.our_version, ended.version);
  ASSERT_EQ(seen.artifacts.size(), 3U);
  for (const ArtifactHistory& artifact : seen.artifacts) {
    EXPECT_TRUE(artifact.landed);
    EXPECT_EQ(artifact.replaced_by, "");
  }
}

TEST_P(TargetConformance, V2_history_does_not_know_what_never_came) {
  if (!has_history()) GTEST_SKIP();
  world().put_outside("a", "theirs");
  EffectRequest request = effect_of({put("a", "ours")});
  request.since = version();
  world().put_outside("other", "x");
  const History seen = history(request, version());
  EXPECT_TRUE(seen.known);
  EXPECT_FALSE(seen.ours_present);
  EXPECT_TRUE(seen.reported_present);
  EXPECT_FALSE(seen.artifacts.at(0).landed);
  EXPECT_FALSE(history(request, "4b825dc642cb6eb9a060e54bf8d69288fbee4904").reported_present);
}

TEST_P(TargetConformance, V6_history_names_who_came_after_and_nothing_is_written_over_them) {
  if (!has_history()) GTEST_SKIP();
  EffectRequest request = effect_of({put("a", "ours"), put("b", "ours too"), put("c", "third")});
  request.since = version();
  const EffectEnded ended = perform(request);
  ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  world().put_outside("a", "theirs");
  world().put_outside("c", std::nullopt);
  const History seen = history(request, ended.version);
  EXPECT_TRUE(seen.ours_present);
  EXPECT_TRUE(seen.artifacts.at(0).landed);
  EXPECT_NE(seen.artifacts.at(0).replaced_by.find("outside"), std::string::npos);
  EXPECT_EQ(seen.artifacts.at(1).replaced_by, "");
  EXPECT_NE(seen.artifacts.at(2).replaced_by, "");

  request.attempt = AttemptNo{2};
  request.restage = true;
  const std::string before = version();
  const EffectEnded again = perform(request);
  EXPECT_EQ(again.kind, EffectKind::acknowledged) << again.reason;
  EXPECT_FALSE(again.changed);
  EXPECT_EQ(version(), before);
  EXPECT_EQ(world().look("a"), "theirs");
  EXPECT_EQ(world().look("c"), std::nullopt);
}

// What landed as the very first change of the store is known like any other.
TEST_P(TargetConformance, V6_the_first_change_of_all_is_not_repeated_over_another_writers) {
  if (!has_history()) GTEST_SKIP();
  EffectRequest request = effect_of({put("a", "ours")});
  request.since = version();
  EXPECT_NE(request.since, "") << "an empty store has a version: empty means unknown";
  ASSERT_EQ(perform(request).kind, EffectKind::acknowledged);
  world().put_outside("a", "theirs");
  const History seen = history(request, {});
  EXPECT_TRUE(seen.artifacts.at(0).landed);
  EXPECT_NE(seen.artifacts.at(0).replaced_by, "");
  request.attempt = AttemptNo{2};
  const EffectEnded again = perform(request);
  EXPECT_EQ(again.kind, EffectKind::acknowledged) << again.reason;
  EXPECT_FALSE(again.changed);
  EXPECT_EQ(world().look("a"), "theirs");
}

// The first attempt hung before it looked at the store; the second landed; somebody wrote after it.
TEST_P(TargetConformance, V6_a_first_attempt_that_comes_late_overwrites_nobody) {
  if (!has_history()) GTEST_SKIP();
  for (const bool unborn : {true, false}) {
    if (!unborn) world().put_outside("seed", "x");
    const std::string name = unborn ? "a" : "b";
    EffectRequest second = effect_of({put(name, "ours")});
    second.since = version();
    second.attempt = AttemptNo{2};
    EffectRequest first = second;
    first.attempt = AttemptNo{1};
    ASSERT_EQ(perform(second).kind, EffectKind::acknowledged);
    world().put_outside(name, "theirs");
    for (const std::string& since : {second.since, std::string()}) {
      first.since = since;
      const EffectEnded late = perform(first);
      EXPECT_EQ(late.kind, EffectKind::acknowledged) << late.reason;
      EXPECT_FALSE(late.changed);
      EXPECT_EQ(world().look(name), "theirs");
    }
  }
}

TEST_P(TargetConformance, V6_what_did_not_land_is_written_beside_what_was_replaced) {
  if (!has_history()) GTEST_SKIP();
  const OperationId operation = new_operation();
  const std::string since = version();
  EffectRequest part = effect_of({put("a", "ours")}, operation);
  part.since = since;
  ASSERT_EQ(perform(part).kind, EffectKind::acknowledged);
  world().put_outside("a", "theirs");
  EffectRequest whole = effect_of({put("a", "ours"), put("b", "ours too")}, operation);
  whole.since = since;
  whole.attempt = AttemptNo{2};
  const EffectEnded ended = perform(whole);
  EXPECT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_TRUE(ended.changed);
  EXPECT_EQ(world().look("a"), "theirs");
  EXPECT_EQ(world().look("b"), "ours too");
}

TEST_P(TargetConformance, V6_what_already_held_and_was_replaced_counts_as_landed) {
  if (!has_history()) GTEST_SKIP();
  world().put_outside("a", "same");
  EffectRequest request = effect_of({put("a", "same")});
  request.since = version();
  const EffectEnded ended = perform(request);
  EXPECT_FALSE(ended.changed);
  world().put_outside("a", "newer");
  const History seen = history(request, ended.version);
  EXPECT_FALSE(seen.ours_present);
  EXPECT_TRUE(seen.artifacts.at(0).landed);
  EXPECT_NE(seen.artifacts.at(0).replaced_by, "");
}

TEST_P(TargetConformance, V6_a_changed_base_is_refused) {
  EffectRequest request = effect_of({put("a", "2")});
  auto intent = std::make_shared<Intent>(*request.intent);
  request.intent = intent;
  world().put_outside("a", "1");
  intent->base = has_history() ? version() : "1";
  if (!has_history()) {
    EXPECT_EQ(perform(request).kind, EffectKind::rejected_final);
    return;
  }
  world().put_outside("elsewhere", "x");
  world().put_outside("a", "theirs");
  const EffectEnded refused = perform(request);
  EXPECT_EQ(refused.kind, EffectKind::rejected_final);
  EXPECT_TRUE(refused.reason.starts_with("stale-state: ")) << refused.reason;
  EXPECT_EQ(world().look("a"), "theirs");

  intent->base = version();
  world().put_outside("elsewhere", "y");
  const EffectEnded fine = perform(request);
  EXPECT_EQ(fine.kind, EffectKind::acknowledged) << fine.reason;
  request.attempt = AttemptNo{2};
  const EffectEnded repeat = perform(request);
  EXPECT_EQ(repeat.kind, EffectKind::acknowledged) << repeat.reason;
  EXPECT_FALSE(repeat.changed);

  intent->base = "no-such-version";
  EXPECT_TRUE(perform(effect_of({put("b", "1")})).kind == EffectKind::acknowledged);
  request.attempt = AttemptNo{1};
  request.operation = new_operation();
  const EffectEnded unknown = perform(request);
  EXPECT_EQ(unknown.kind, EffectKind::rejected_final);
  EXPECT_TRUE(unknown.reason.starts_with("stale-state: ")) << unknown.reason;
}

}  // namespace trued
