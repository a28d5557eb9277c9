#include "target/memory/memory_connector.h"

#include <gtest/gtest.h>

#include "target/target_conformance.h"

namespace trued {
namespace {

class MemoryWorld final : public World {
 public:
  explicit MemoryWorld(MemoryOptions options) : connector_(options) {}
  Connector& connector() override { return connector_; }
  void put_outside(const std::string& name, std::optional<std::string> content) override {
    connector_.put_outside(name, std::move(content));
  }
  std::optional<std::string> look(const std::string& name) override {
    return connector_.content(name);
  }
  void break_reads() override { connector_.script_unreadable(1'000'000); }

 private:
  MemoryConnector connector_;
};

INSTANTIATE_TEST_SUITE_P(Memory, TargetConformance,
                         testing::Values(ConformanceCase{
                             "memory",
                             [] { return std::make_unique<MemoryWorld>(MemoryOptions{}); }}),
                         conformance_name);

TEST(MemoryConnector, V2_a_scripted_fault_is_used_once) {
  MemoryConnector store;
  store.script({.kind = EffectKind::acknowledged, .lands = false});
  store.script({.kind = EffectKind::unknown, .lands = true, .reason = "cut"});
  const EffectRequest request = effect_of({put("a", "1")});
  const auto lie = store.perform(request).ended;
  EXPECT_EQ(lie.kind, EffectKind::acknowledged);
  EXPECT_TRUE(lie.changed);
  EXPECT_EQ(store.content("a"), std::nullopt);
  const auto cut = store.perform(request).ended;
  EXPECT_EQ(cut.kind, EffectKind::unknown);
  EXPECT_EQ(cut.reason, "cut");
  EXPECT_EQ(store.content("a"), "1");
  const auto plain = store.perform(request).ended;
  EXPECT_EQ(plain.kind, EffectKind::acknowledged);
  EXPECT_FALSE(plain.changed);
  EXPECT_EQ(store.performed(), 3U);
  EXPECT_EQ(store.names(), std::vector<std::string>{"a"});
  EXPECT_TRUE(store.is_inline());
}

TEST(MemoryConnector, V6_a_history_that_forgot_is_not_known) {
  MemoryConnector store({.history = true, .history_max = 3});
  EffectRequest request = effect_of({put("a", "1")});
  request.since = *store.version();
  ASSERT_TRUE(store.perform(request).ended.changed);
  for (int i = 0; i < 5; ++i) store.put_outside("a", "theirs " + std::to_string(i));
  EXPECT_FALSE(store
                   .history({.operation = request.operation,
                             .intent = request.intent,
                             .since = request.since,
                             .reported = "1"})
                   .known);
  request.attempt = AttemptNo{2};
  EXPECT_EQ(store.perform(request).ended.kind, EffectKind::unknown);
  EXPECT_EQ(store.content("a"), "theirs 4");
}

TEST(MemoryConnector, V6_without_history_it_says_so) {
  MemoryConnector store({.history = false});
  EXPECT_FALSE(store.capabilities().history);
  EffectRequest request = effect_of({put("a", "1")});
  request.attempt = AttemptNo{2};
  EXPECT_TRUE(store.perform(request).ended.changed);
  EXPECT_FALSE(store
                   .history({.operation = request.operation,
                             .intent = request.intent,
                             .since = {},
                             .reported = {}})
                   .known);
}

TEST(MemoryConnector, V5_make_target_fills_in_what_the_parts_can_do) {
  Policy policy;
  policy.has_serving = true;
  const Target alone =
      make_target("t", "memory", std::make_unique<MemoryConnector>(), nullptr, "ignored", policy);
  EXPECT_TRUE(alone.policy.capabilities.history);
  EXPECT_TRUE(alone.policy.capabilities.idempotent);
  EXPECT_FALSE(alone.policy.has_serving);
  EXPECT_EQ(alone.serving_kind, "");
  const Target both = make_target("t", "memory", std::make_unique<MemoryConnector>(),
                                  std::make_unique<MemoryConnector>(), "memory", Policy{});
  EXPECT_TRUE(both.policy.has_serving);
  EXPECT_EQ(both.serving_kind, "memory");
}

}  // namespace
}  // namespace trued
