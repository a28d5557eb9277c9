// What had failed and is tried anew: never over what was written since.
#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace trued {
namespace {

const MemoryFault kNever{
    .kind = EffectKind::rejected_final, .lands = false, .reason = "scripted: never"};

// Failed, known not to have happened, over "old".
OperationId failed(World& world) {
  world.store->put_outside("a.md", "old");
  world.store->script(kNever);
  world.submit("k", "a.md", "ours");
  world.settle();
  return world.id_of("k");
}

void retry(World& world, OperationId id) {
  world.person(id, PersonAction::retry);
  world.settle();
}

TEST(Retry, V6_of_what_failed_is_not_sent_over_what_was_written_since) {
  for (const bool history : {true, false}) {
    World world(quick_policy(), {}, {.history = history});
    const OperationId id = failed(world);
    world.store->put_outside("a.md", "theirs, later");
    const std::uint64_t sent = world.store->performed();
    for (int again = 0; again < 2; ++again) {
      retry(world, id);
      const auto asked = world.submit("k", "a.md", "ours");
      world.settle();
      EXPECT_EQ(asked->operation().state, State::failed);
      EXPECT_NE(asked->operation().reason.find("was changed by another"), std::string::npos)
          << asked->operation().reason;
      EXPECT_EQ(world.store->performed(), sent) << "nothing may be sent";
      EXPECT_EQ(world.store->content("a.md"), "theirs, later");
    }
  }
}

TEST(Retry, V6_of_what_failed_does_its_work_where_nothing_was_written_since) {
  World world;
  const OperationId id = failed(world);
  retry(world, id);
  EXPECT_EQ(world.store->content("a.md"), "ours");
}

TEST(Retry, V6_where_another_brought_what_was_meant_there_is_nothing_to_do) {
  World world;
  const OperationId id = failed(world);
  world.store->put_outside("a.md", "ours");
  retry(world, id);
  const auto asked = world.submit("k", "a.md", "ours");
  world.settle();
  EXPECT_EQ(asked->operation().state, State::unchanged);
}

TEST(Retry, V3_of_what_failed_waits_while_it_cannot_be_read) {
  World world;
  const OperationId id = failed(world);
  world.store->put_outside("a.md", "theirs, later");
  world.store->script_unreadable(3);
  const std::uint64_t sent = world.store->performed();
  retry(world, id);
  const auto asked = world.submit("k", "a.md", "ours");
  world.settle();
  EXPECT_EQ(asked->operation().state, State::failed);
  EXPECT_NE(asked->operation().reason.find("was changed by another"), std::string::npos)
      << asked->operation().reason;
  EXPECT_EQ(world.store->performed(), sent);
}

TEST(Retry, V6_a_repeat_that_reexecutes_is_not_sent_over_what_was_written_since) {
  Policy policy = quick_policy();
  policy.on_failure = OnFailure::reexecute;
  World world(policy);
  failed(world);
  world.store->put_outside("a.md", "theirs, later");
  const auto asked = world.submit("k", "a.md", "ours");
  world.settle();
  EXPECT_EQ(asked->operation().state, State::failed);
  EXPECT_EQ(world.store->content("a.md"), "theirs, later");
}

TEST(Retry, V6_after_a_restart_it_is_still_known_what_stood_there) {
  World world;
  const OperationId id = failed(world);
  world.store->put_outside("a.md", "theirs, later");
  world.restart();
  retry(world, id);
  EXPECT_EQ(world.store->content("a.md"), "theirs, later");
}

}  // namespace
}  // namespace trued
