// call_conformance.h: what every target of calls must do, as one suite of tests.
//
// The test of a kind makes a CallWorld: the target, a real counterpart, and a way to make the
// counterpart fail. Then it instantiates the suite:
//
//   INSTANTIATE_TEST_SUITE_P(Http, CallConformance,
//                            testing::Values(CallConformanceCase{"http", make_world}),
//                            call_conformance_name);
//
// Include it from one file of a test program only. What a kind cannot bring about is skipped.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "json/canonical.h"
#include "json/parse.h"
#include "target/call.h"
#include "target/trouble_test.h"

namespace trued {

/// A call, and the pointer of the fault that it must be reported with.
struct BadCall {
  json::Value request;
  std::string pointer;
};

/// A target of calls in its surroundings. The destructor takes everything down again.
class CallWorld {
 public:
  virtual ~CallWorld() = default;
  virtual CallTarget& target() = 0;
  /// An effect call that makes the other side hold `value` under `name`, and counts as one
  /// execution each time that it is carried out. Names are [a-z0-9]+, values [A-Za-z0-9]+.
  virtual json::Value effect(const std::string& name, const std::string& value) = 0;
  /// A read call of what stands under `name`; what it finds holds the value, literally.
  virtual json::Value read(const std::string& name) = 0;
  /// How often an effect on `name` was executed, found by other means than the target.
  virtual int executions(const std::string& name) = 0;
  /// False if this trouble cannot arise here.
  virtual bool arrange(Trouble trouble) = 0;
  /// Whether the other side was told `identity`; nothing where that cannot be asked.
  virtual std::optional<bool> was_told(const std::string& identity) = 0;
  /// Calls that a definition may hold: a text with "${" may become any text.
  virtual std::vector<json::Value> effect_templates() = 0;
  virtual std::vector<json::Value> read_templates() = 0;
  /// Calls that are wrong whatever they are filled in with; performing one executes nothing.
  virtual std::vector<BadCall> bad_effects() = 0;
  virtual std::vector<BadCall> bad_reads() = 0;
};

struct CallConformanceCase {
  std::string name;
  std::function<std::unique_ptr<CallWorld>()> make;
};

inline std::string call_conformance_name(const testing::TestParamInfo<CallConformanceCase>& info) {
  return info.param.name;
}

class CallConformance : public testing::TestWithParam<CallConformanceCase> {
 protected:
  static constexpr Duration kTimeout{5'000};
  static constexpr Duration kShort{400};  ///< where silence is waited for
  static constexpr Duration kSlack{3'000};

  void SetUp() override { world_ = GetParam().make(); }
  void TearDown() override { world_.reset(); }

  [[nodiscard]] CallWorld& world() { return *world_; }
  [[nodiscard]] CallTarget& target() { return world_->target(); }

  static CallContext context_of(const std::string& identity, Duration timeout = kTimeout) {
    CallContext context;
    context.identity = identity;
    context.actor = "conformance";
    context.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    context.timeout = timeout;
    return context;
  }
  EffectEnded perform(const std::string& name, const std::string& value,
                      const std::string& identity, Duration timeout = kTimeout) {
    return target()
        .perform({.context = context_of(identity, timeout), .request = world().effect(name, value)})
        .ended;
  }
  RawRead read(const std::string& name, Duration timeout = kTimeout) {
    return target().read({.context = context_of("reader", timeout), .request = world().read(name)});
  }
  /// Whether what the target says of one call fits what took place.
  static void expect_truth(const EffectEnded& ended, int executed, const std::string& where) {
    EXPECT_LE(executed, 1) << where << ": sent at most once";
    if (ended.kind == EffectKind::acknowledged) {
      EXPECT_EQ(executed, 1) << where << ": acknowledged, and nothing happened";
    }
    const bool denied = ended.kind == EffectKind::rejected_final ||
                        ended.kind == EffectKind::rejected_retryable ||
                        ended.kind == EffectKind::not_sent;
    if (denied) {
      EXPECT_EQ(executed, 0) << where << ": it did happen. " << ended.reason;
    }
    if (ended.kind != EffectKind::acknowledged) {
      EXPECT_FALSE(ended.reason.empty()) << where << ": no reason";
    }
    EXPECT_NE(ended.kind, EffectKind::none) << where;
    EXPECT_NE(ended.kind, EffectKind::skipped) << where;
  }
  static bool silent(Trouble trouble) {
    return trouble == Trouble::hang_before || trouble == Trouble::hang_after;
  }

 private:
  std::unique_ptr<CallWorld> world_;
};

inline std::string pointers_of(const std::vector<CallFault>& faults) {
  std::string all;
  for (const CallFault& fault : faults) all += "'" + fault.pointer + "' " + fault.detail + "\n";
  return all;
}

inline bool names_pointer(const std::vector<CallFault>& faults, const std::string& pointer) {
  for (const CallFault& fault : faults) {
    if (fault.pointer == pointer && !fault.detail.empty()) return true;
  }
  return false;
}

TEST_P(CallConformance, T1_an_effect_happens_once_and_can_be_read) {
  const EffectEnded ended = perform("a", "one", "id1");
  ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_EQ(world().executions("a"), 1);
  const RawRead back = read("a");
  ASSERT_EQ(back.seen, Seen::found) << back.detail;
  EXPECT_NE(back.content.find("one"), std::string::npos) << back.content;
}

TEST_P(CallConformance, V1_nothing_there_is_absent) {
  const RawRead back = read("nothing");
  EXPECT_EQ(back.seen, Seen::absent) << back.detail << back.content;
}

TEST_P(CallConformance, T1_reading_and_probing_execute_nothing) {
  for (int i = 0; i < 3; ++i) {
    (void)read("a");
    (void)target().probe(context_of("id1"));
  }
  EXPECT_EQ(world().executions("a"), 0);
}

TEST_P(CallConformance, T1_T5_word_and_truth_agree_in_every_trouble) {
  for (const auto& [trouble, name] : kTroubles) {
    if (!world().arrange(trouble)) continue;
    const std::string artifact = std::string("a") + std::to_string(static_cast<int>(trouble));
    const auto begun = std::chrono::steady_clock::now();
    const EffectEnded ended =
        perform(artifact, "one", std::string("id-") + name, silent(trouble) ? kShort : kTimeout);
    const auto took = std::chrono::steady_clock::now() - begun;
    expect_truth(ended, world().executions(artifact), name);
    if (silent(trouble)) {
      EXPECT_LT(took, kShort + kSlack) << name;
    }
  }
}

TEST_P(CallConformance, T1_each_trouble_is_called_what_it_is) {
  const std::pair<Trouble, EffectKind> expected[] = {
      {Trouble::unreachable, EffectKind::not_sent},
      {Trouble::refused_final, EffectKind::rejected_final},
      {Trouble::refused_for_now, EffectKind::rejected_retryable},
      {Trouble::lost_after, EffectKind::unknown},
      {Trouble::hang_after, EffectKind::unknown},
      {Trouble::garbage_after, EffectKind::unknown},
  };
  for (const auto& [trouble, kind] : expected) {
    if (!world().arrange(trouble)) continue;
    const std::string label = std::to_string(static_cast<int>(trouble));
    const EffectEnded ended =
        perform("b" + label, "one", "id" + label, silent(trouble) ? kShort : kTimeout);
    EXPECT_EQ(ended.kind, kind) << "trouble " << label << ": " << ended.reason;
  }
}

TEST_P(CallConformance, T1_a_trouble_that_is_over_leaves_nothing_behind) {
  for (const auto& [trouble, name] : kTroubles) {
    // A connection that works is in the pool before, and one that does not may be after.
    ASSERT_TRUE(world().arrange(Trouble::none));
    EXPECT_EQ(perform("before", "x", std::string("before-") + name).kind, EffectKind::acknowledged);
    if (!world().arrange(trouble)) continue;
    const std::string artifact = std::string("c") + std::to_string(static_cast<int>(trouble));
    const EffectEnded ended =
        perform(artifact, "one", std::string("in-") + name, silent(trouble) ? kShort : kTimeout);
    expect_truth(ended, world().executions(artifact), name);
    ASSERT_TRUE(world().arrange(Trouble::none));
    const EffectEnded again = perform(artifact + "x", "two", std::string("after-") + name);
    EXPECT_EQ(again.kind, EffectKind::acknowledged) << name << ": " << again.reason;
    EXPECT_EQ(world().executions(artifact + "x"), 1) << name;
    EXPECT_EQ(read(artifact + "x").seen, Seen::found) << name;
  }
}

TEST_P(CallConformance, T2_a_repeat_at_a_deduplicating_target_is_executed_once) {
  if (!target().capabilities().deduplicates) GTEST_SKIP() << "it does not deduplicate";
  EXPECT_EQ(perform("d", "one", "same").kind, EffectKind::acknowledged);
  const EffectEnded again = perform("d", "one", "same");
  EXPECT_EQ(again.kind, EffectKind::acknowledged) << again.reason;
  EXPECT_EQ(world().executions("d"), 1);
  if (world().arrange(Trouble::lost_after)) {
    EXPECT_EQ(perform("e", "one", "lost").kind, EffectKind::unknown);
    ASSERT_TRUE(world().arrange(Trouble::none));
    EXPECT_EQ(perform("e", "one", "lost").kind, EffectKind::acknowledged);
    EXPECT_EQ(world().executions("e"), 1);
  }
}

TEST_P(CallConformance, T2_the_other_side_is_told_the_identity) {
  ASSERT_EQ(perform("a", "one", "0123456789abcdef0123456789abcdef").kind, EffectKind::acknowledged);
  const auto told = world().was_told("0123456789abcdef0123456789abcdef");
  if (!told) GTEST_SKIP() << "cannot be asked";
  EXPECT_TRUE(*told);
}

TEST_P(CallConformance, V3_what_cannot_be_asked_is_unreadable_and_never_absent) {
  ASSERT_EQ(perform("a", "one", "id1").kind, EffectKind::acknowledged);
  for (const Trouble trouble : {Trouble::unreachable, Trouble::lost_before, Trouble::hang_before,
                                Trouble::refused_for_now}) {
    if (!world().arrange(trouble)) continue;
    const auto begun = std::chrono::steady_clock::now();
    const RawRead back = read("a", silent(trouble) ? kShort : kTimeout);
    EXPECT_EQ(back.seen, Seen::unreadable) << static_cast<int>(trouble);
    EXPECT_FALSE(back.detail.empty()) << static_cast<int>(trouble);
    if (silent(trouble)) {
      EXPECT_LT(std::chrono::steady_clock::now() - begun, 2 * kShort + kSlack);
    }
    const Probed probed = target().probe(context_of("id1", kShort));
    EXPECT_NE(probed.happened, Happened::no) << static_cast<int>(trouble);
  }
}

TEST_P(CallConformance, T1_a_probe_says_only_what_is_so) {
  ASSERT_EQ(perform("a", "one", "done").kind, EffectKind::acknowledged);
  const Probed done = target().probe(context_of("done"));
  EXPECT_NE(done.happened, Happened::no) << done.detail;
  if (world().arrange(Trouble::lost_after)) {
    EXPECT_EQ(perform("b", "one", "lost").kind, EffectKind::unknown);
    ASSERT_TRUE(world().arrange(Trouble::none));
    EXPECT_NE(target().probe(context_of("lost")).happened, Happened::no);
  }
  const Probed never = target().probe(context_of("never"));
  EXPECT_NE(never.happened, Happened::yes) << never.detail;
  if (target().capabilities().probes) {
    EXPECT_EQ(done.happened, Happened::yes) << done.detail;
    EXPECT_EQ(never.happened, Happened::no) << never.detail;
  }
  if (done.happened == Happened::maybe) {
    EXPECT_FALSE(done.detail.empty());
  }
}

TEST_P(CallConformance, T1_no_time_left_is_no_time_left) {
  for (const Duration none : {Duration{0}, Duration{-5}}) {
    const EffectEnded ended = perform("late", "one", "late", none);
    expect_truth(ended, world().executions("late"), "no time left");
    EXPECT_NE(ended.kind, EffectKind::acknowledged);
    EXPECT_EQ(read("late", none).seen, Seen::unreadable);
  }
}

TEST_P(CallConformance, T1_what_it_was_answered_with_is_json_and_bounded) {
  const EffectEnded ended = perform("a", "one", "id1");
  ASSERT_EQ(ended.kind, EffectKind::acknowledged) << ended.reason;
  EXPECT_LE(ended.result.size(), std::size_t{64} << 10U);
  if (!ended.result.empty()) {
    EXPECT_TRUE(json::parse(ended.result).has_value()) << ended.result;
  }
}

TEST_P(CallConformance, T1_many_at_once_do_not_get_in_each_others_way) {
  constexpr int kThreads = 8;
  constexpr int kEach = 5;
  std::atomic<int> acknowledged{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string name = "m" + std::to_string(t) + "x" + std::to_string(i);
        if (perform(name, "v" + name, "id" + name).kind == EffectKind::acknowledged) ++acknowledged;
        const RawRead back = read(name);
        EXPECT_NE(back.content.find("v" + name), std::string::npos) << back.detail << back.content;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(acknowledged, kThreads * kEach);
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(world().executions("m" + std::to_string(t) + "x0"), 1);
  }
}

TEST_P(CallConformance, V10_a_sound_call_has_no_fault) {
  EXPECT_EQ(pointers_of(target().check_effect(world().effect("a", "one"))), "");
  EXPECT_EQ(pointers_of(target().check_read(world().read("a"))), "");
  for (const json::Value& call : world().effect_templates()) {
    EXPECT_EQ(pointers_of(target().check_effect(call)), "") << json::canonical(call);
  }
  for (const json::Value& call : world().read_templates()) {
    EXPECT_EQ(pointers_of(target().check_read(call)), "") << json::canonical(call);
  }
}

TEST_P(CallConformance, V10_what_is_wrong_is_named_by_its_pointer) {
  for (const BadCall& bad : world().bad_effects()) {
    const auto faults = target().check_effect(bad.request);
    EXPECT_TRUE(names_pointer(faults, bad.pointer))
        << json::canonical(bad.request) << " at '" << bad.pointer << "':\n"
        << pointers_of(faults);
  }
  for (const BadCall& bad : world().bad_reads()) {
    const auto faults = target().check_read(bad.request);
    EXPECT_TRUE(names_pointer(faults, bad.pointer))
        << json::canonical(bad.request) << " at '" << bad.pointer << "':\n"
        << pointers_of(faults);
  }
}

TEST_P(CallConformance, T1_a_call_that_is_no_call_executes_nothing) {
  const std::vector<json::Value> shapeless{json::Value(), json::Value("text"),
                                           json::Value(json::Value::Array{}),
                                           json::Value(json::Value::Object{})};
  std::vector<json::Value> effects = shapeless;
  for (BadCall& bad : world().bad_effects()) effects.push_back(std::move(bad.request));
  for (const json::Value& request : effects) {
    const EffectEnded ended =
        target().perform({.context = context_of("wrong"), .request = request}).ended;
    EXPECT_TRUE(ended.kind == EffectKind::rejected_final || ended.kind == EffectKind::not_sent)
        << json::canonical(request) << ": " << ended.reason;
    EXPECT_FALSE(ended.reason.empty()) << json::canonical(request);
  }
  std::vector<json::Value> reads = shapeless;
  for (BadCall& bad : world().bad_reads()) reads.push_back(std::move(bad.request));
  for (const json::Value& request : reads) {
    const RawRead back = target().read({.context = context_of("wrong"), .request = request});
    EXPECT_EQ(back.seen, Seen::unreadable) << json::canonical(request);
    EXPECT_FALSE(back.detail.empty()) << json::canonical(request);
  }
  const auto told = world().was_told("wrong");
  EXPECT_FALSE(told.value_or(false)) << "something was sent";
}

}  // namespace trued
