// An operation that is defined, at a real database: what its probe's `no` covers.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "define/check.h"
#include "define/connector.h"
#include "target/postgres/world_test.h"

namespace trued {
namespace {

constexpr const char* kPut = R"j({"identity": ["name"],
    "effect": {"target": "shop", "sql": "INSERT INTO execution (name) VALUES ($1)",
               "params": ["${input.name}"]}})j";

TEST(PostgresDefined, T5_a_no_covers_all_attempts_up_to_the_newest_and_no_later_one) {
  const PostgresWorld world;
  Targets targets;
  targets.emplace("shop", make_call_target("shop", "postgres", world.target(), Policy{}));
  define::Faults faults;
  const auto definition = define::parse_definition("put", json_of(kPut), faults);
  ASSERT_NE(definition, nullptr);
  ASSERT_TRUE(
      define::check_definition(*definition, {.targets = targets, .definitions = {}}).empty());
  auto made = define::make_defined_target(definition, targets, {});
  ASSERT_TRUE(made.has_value()) << made.error().message;
  auto intended = definition->intend(json_of(R"({"name": "a"})"), {.scope = "", .key = {}});
  ASSERT_TRUE(intended.has_value());
  const std::string identity = effect_identity(intended->identity);
  const auto perform = [&](std::uint32_t attempt) {
    EffectRequest request;
    request.attempt = AttemptNo(attempt);
    request.identity = identity;
    request.intent = intended->intent;
    return made->store->perform(request).ended;
  };
  // Attempts 1 and 2 were started, and nothing was heard of them. The newest is asked about.
  const History found = made->store->history({.operation = {},
                                              .intent = intended->intent,
                                              .since = "",
                                              .reported = "",
                                              .identity = identity,
                                              .attempt = AttemptNo(2)});
  EXPECT_TRUE(found.known);
  EXPECT_FALSE(found.ours_present);
  for (const std::uint32_t late : {1U, 2U}) {
    const EffectEnded ended = perform(late);
    EXPECT_EQ(ended.kind, EffectKind::rejected_retryable) << late << ": " << ended.reason;
    EXPECT_NE(ended.reason.find("a probe has refused all up to number 2"), std::string::npos);
  }
  EXPECT_EQ(world.executions("a"), 0);
  EXPECT_EQ(perform(3).kind, EffectKind::acknowledged);
  EXPECT_EQ(world.executions("a"), 1);
}

}  // namespace
}  // namespace trued
