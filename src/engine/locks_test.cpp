#include "engine/locks.h"

#include <initializer_list>

#include <gtest/gtest.h>

namespace trued {
namespace {

Operation touching(std::uint8_t number, std::initializer_list<const char*> names) {
  Uuid uuid;
  uuid.bytes.at(15) = number;
  Operation operation;
  operation.id = OperationId(uuid);
  operation.target = "docs";
  for (const char* name : names) {
    operation.artifacts.push_back(
        {.meant = {.name = name, .absent = false, .id = {}}, .store = {}, .serving = {}});
  }
  return operation;
}

bool enqueue(ArtifactLocks& locks, const Operation& operation) {
  return locks.enqueue(operation, ArtifactLocks::names_of(operation));
}

TEST(ArtifactLocks, V6_tickets_are_served_in_the_order_in_which_they_were_taken) {
  ArtifactLocks locks;
  const Operation a = touching(1, {"x"});
  const Operation b = touching(2, {"x", "y"});
  const Operation c = touching(3, {"y"});
  EXPECT_TRUE(enqueue(locks, a));
  EXPECT_FALSE(enqueue(locks, b));
  EXPECT_FALSE(enqueue(locks, c));
  ASSERT_NE(locks.ahead_of(b.id), nullptr);
  EXPECT_EQ(*locks.ahead_of(b.id), a.id);
  EXPECT_EQ(locks.release(a.id), std::vector<OperationId>{b.id});
  EXPECT_EQ(locks.release(b.id), std::vector<OperationId>{c.id});
  EXPECT_TRUE(locks.release(c.id).empty());
  EXPECT_EQ(locks.size(), 0U);
}

TEST(ArtifactLocks, V6_who_leaves_the_middle_of_a_queue_frees_nobody_early) {
  ArtifactLocks locks;
  const Operation a = touching(1, {"x"});
  const Operation b = touching(2, {"x"});
  const Operation c = touching(3, {"x"});
  enqueue(locks, a);
  enqueue(locks, b);
  enqueue(locks, c);
  EXPECT_TRUE(locks.release(b.id).empty());
  EXPECT_FALSE(locks.may_run(c.id));
  EXPECT_EQ(locks.release(a.id), std::vector<OperationId>{c.id});
}

TEST(ArtifactLocks, V6_a_name_that_comes_twice_is_waited_for_once) {
  ArtifactLocks locks;
  const Operation a = touching(1, {});
  const Operation b = touching(2, {});
  EXPECT_TRUE(locks.enqueue(a, {"read:1", "read:1"}));
  EXPECT_FALSE(locks.enqueue(b, {"read:1"}));
  EXPECT_EQ(locks.release(a.id), std::vector<OperationId>{b.id});
  EXPECT_TRUE(locks.release(b.id).empty());
}

}  // namespace
}  // namespace trued
