#include "define/registry.h"

#include <string>

#include <gtest/gtest.h>

#include "define/call_fake_test.h"

namespace trued::define {
namespace {

constexpr const char* kOne =
    R"({"identity":["a"],"effect":{"target":"psp","method":"POST"},"retention":"1h"})";
constexpr const char* kTwo =
    R"({"identity":["a"],"effect":{"target":"psp","method":"POST"},"retention":"2h"})";

class Registries : public testing::Test {
 protected:
  Registries() {
    targets.emplace("psp", make_call_target("psp", "http", calls, Policy{}));
    targets.emplace(kRegistryTarget, make_registry_target(registry));
  }

  void add(const std::string& name, std::uint32_t number, std::string_view text) {
    const auto added = registry.add({name, number}, defined(name, text));
    EXPECT_TRUE(added.has_value()) << (added.has_value() ? "" : added.error().message);
  }

  // As the engine does it: an operation with the version as its key.
  EffectResult apply(const std::string& key, std::string_view name, std::string_view text) {
    const auto definition = text.empty() ? nullptr : defined(std::string(name), text);
    intent = apply_input(std::string(name), definition.get()).intent;
    EffectRequest request;
    request.key = key;
    request.scope = std::string(kRegistryScope);
    request.intent = intent;
    return connector().perform(request);
  }
  Verdict read(const std::string& key) {
    ReadRequest request;
    request.intent = intent;
    request.artifacts = {0};
    request.key = key;
    request.scope = std::string(kRegistryScope);
    auto reads = connector().read(request);
    const ArtifactIntent& artifact = intent->artifacts.front();
    return judge(artifact, observe(artifact, 0, Level::store, std::move(reads.at(0)), {}));
  }
  Connector& connector() { return *targets.find(kRegistryTarget)->second.store; }

  std::shared_ptr<FakeCalls> calls = std::make_shared<FakeCalls>();
  Targets targets;
  Registry registry{targets, StatusOf()};
  std::shared_ptr<const Intent> intent;
};

TEST(VersionIds, T13_are_a_name_and_a_number) {
  EXPECT_EQ(to_string(VersionId{"charge", 3}), "charge@3");
  EXPECT_EQ(parse_version_id("charge@3"), (VersionId{"charge", 3}));
  EXPECT_EQ(parse_version_id("a.b-c_d@4294967295"), (VersionId{"a.b-c_d", 4'294'967'295U}));
  for (const char* none :
       {"", "charge", "charge@", "charge@0", "charge@03", "charge@-1", "charge@+1", "charge@1x",
        "charge@ 1", "@1", "a b@1", "a@b@1", "charge@4294967296"}) {
    EXPECT_FALSE(parse_version_id(none)) << none;
  }
}

TEST_F(Registries, T13_the_newest_version_is_current_and_older_ones_stay) {
  EXPECT_FALSE(registry.current("charge"));
  add("charge", 1, kOne);
  const CurrentVersion first = registry.current("charge").value();
  EXPECT_EQ(first.id, (VersionId{"charge", 1}));
  ASSERT_NE(first.target, nullptr);
  add("charge", 2, kTwo);
  EXPECT_EQ(registry.current("charge")->id.number, 2U);
  EXPECT_EQ(registry.target("charge@1"), first.target) << "what was handed out stays valid";
  EXPECT_EQ(registry.target("charge@1")->policy.retention, Duration{3'600'000});
  EXPECT_EQ(registry.target("charge@2")->policy.retention, Duration{7'200'000});
  EXPECT_EQ(registry.target("charge@3"), nullptr);
  EXPECT_EQ(registry.versions("charge").size(), 2U);
  EXPECT_TRUE(registry.knows({"charge", 1}));
  EXPECT_FALSE(registry.knows({"charge", 3}));
}

TEST_F(Registries, T13_a_version_never_becomes_another) {
  add("charge", 1, kOne);
  add("charge", 1, kOne);
  const auto other = registry.add({"charge", 1}, defined("charge", kTwo));
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, ErrorCode::conflict);
  EXPECT_FALSE(registry.add({"charge", 1}, nullptr).has_value()) << "nor a retirement";
  EXPECT_FALSE(registry.add({"refund", 1}, defined("charge", kOne)).has_value());
  EXPECT_FALSE(registry.current("refund"));
}

TEST_F(Registries, T13_an_older_version_that_comes_late_is_not_current) {
  add("charge", 2, kTwo);
  add("charge", 1, kOne);
  EXPECT_EQ(registry.current("charge")->id.number, 2U);
  EXPECT_EQ(registry.versions("charge").front().id.number, 1U) << "oldest first";
}

TEST_F(Registries, T13_a_retired_name_begins_nothing_and_may_come_back) {
  add("charge", 1, kOne);
  ASSERT_TRUE(registry.add({"charge", 2}, nullptr).has_value());
  EXPECT_FALSE(registry.current("charge"));
  EXPECT_TRUE(registry.definitions().empty());
  EXPECT_NE(registry.target("charge@1"), nullptr) << "what began goes on";
  EXPECT_EQ(registry.versions("charge").back().definition, nullptr);
  add("charge", 3, kOne);
  EXPECT_EQ(registry.current("charge")->id.number, 3U);
}

TEST_F(Registries, T13_a_number_that_is_used_up_is_not_given_again) {
  EXPECT_EQ(registry.heads()["charge"].next, 1U);
  add("charge", 1, kOne);
  EXPECT_EQ(registry.heads()["charge"].next, 2U);
  registry.reserve({"charge", 5});
  registry.reserve({"charge", 3});
  const auto head = registry.heads()["charge"];
  EXPECT_EQ(head.next, 6U);
  EXPECT_EQ(head.current->id.number, 1U) << "a number alone changes nothing";
  registry.reserve({"refund", 1});
  EXPECT_FALSE(registry.heads()["refund"].current);
  EXPECT_EQ(registry.heads()["refund"].next, 2U);
}

TEST_F(Registries, T13_a_target_that_is_gone_makes_a_version_unusable_not_unknown) {
  add("ship", 1, R"({"identity":["a"],"effect":{"target":"gone","method":"POST"}})");
  const auto current = registry.current("ship");
  ASSERT_TRUE(current);
  EXPECT_EQ(current->target, nullptr);
  EXPECT_EQ(registry.target("ship@1"), nullptr);
}

TEST_F(Registries, T13_a_plan_says_what_would_change) {
  add("charge", 1, kOne);
  add("refund", 1, kOne);
  registry.reserve({"charge", 4});
  const Definitions given{{"charge", defined("charge", kTwo)}, {"ping", defined("ping", kOne)}};
  auto plan = plan_changes(registry, given, false);
  ASSERT_EQ(plan.size(), 3U);
  const auto said = [&](std::size_t i) {
    const PlannedChange& each = plan.at(i);
    return each.name + " " + std::string(to_string(each.kind)) + " " + std::to_string(each.from) +
           ">" + std::to_string(each.to);
  };
  EXPECT_EQ(said(0), "charge changed 1>5");
  ASSERT_EQ(plan.at(0).lines.size(), 1U);
  EXPECT_NE(plan.at(0).lines.front().find("retention"), std::string::npos);
  EXPECT_EQ(said(1), "ping added 0>1");
  EXPECT_EQ(said(2), "refund kept 1>1");
  EXPECT_EQ(after_changes(registry, given, false).size(), 3U);
  plan = plan_changes(registry, given, true);
  EXPECT_EQ(said(2), "refund retired 1>2");
  EXPECT_EQ(after_changes(registry, given, true).size(), 2U);
  plan = plan_changes(registry, {{"charge", defined("charge", kOne)}}, false);
  EXPECT_EQ(said(0), "charge same 1>1");
}

TEST_F(Registries, V1_a_version_is_applied_and_read_back_like_every_write) {
  EXPECT_EQ(apply("charge@1", "charge", kOne).ended.kind, EffectKind::acknowledged);
  EXPECT_EQ(read("charge@1"), Verdict::match);
  EXPECT_EQ(apply("charge@1", "charge", kOne).ended.kind, EffectKind::acknowledged) << "again";
  EXPECT_EQ(apply("charge@1", "charge", kTwo).ended.kind, EffectKind::rejected_final);
  EXPECT_EQ(read("charge@1"), Verdict::mismatch);
  EXPECT_EQ(apply("charge", "charge", kTwo).ended.kind, EffectKind::rejected_final);
  EXPECT_EQ(registry.heads()["charge"].next, 2U);
}

// Else the number would be used up for a version that nobody could begin with, and the next
// application would meet its own key in the ledger for ever.
TEST_F(Registries, V1_the_same_text_under_another_number_does_not_stand_yet) {
  (void)apply("charge@1", "charge", kOne);
  EXPECT_EQ(read("charge@2"), Verdict::mismatch) << "not unchanged: @2 is not known";
  (void)apply("charge@2", "charge", kOne);
  EXPECT_EQ(read("charge@2"), Verdict::match);
  EXPECT_EQ(registry.current("charge")->id.number, 2U);
}

TEST_F(Registries, V1_retiring_is_read_back_as_absence) {
  (void)apply("charge@1", "charge", kOne);
  EXPECT_EQ(apply("charge@2", "charge", "").ended.kind, EffectKind::acknowledged);
  EXPECT_EQ(read("charge@2"), Verdict::match);
  EXPECT_FALSE(registry.current("charge"));
}

TEST_F(Registries, T13_an_operation_is_restored_by_the_version_it_began_with) {
  add("charge", 1, kOne);
  add("charge", 2, kTwo);
  const Identity who{.scope = "default", .type = "charge", .key = "k"};
  EXPECT_NE(registry.restore("charge@1", json_of(R"({"a":1})"), who), nullptr);
  EXPECT_EQ(registry.restore("charge@3", json_of(R"({"a":1})"), who), nullptr);
  EXPECT_EQ(registry.restore("charge", json_of(R"({"a":1})"), who), nullptr);
  const auto applied = apply_input("charge", registry.current("charge")->definition.get());
  const auto restored = registry.restore(kDefinitionDefinition, json_of(applied.canonical), who);
  ASSERT_NE(restored, nullptr);
  EXPECT_EQ(restored->artifacts.front().id, applied.intent->artifacts.front().id);
}

}  // namespace
}  // namespace trued::define
