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

TEST(ArtifactLocks, V6_tickets_are_served_in_the_order_in_which_they_were_taken) {
  ArtifactLocks locks;
  const Operation a = touching(1, {"x"});
  const Operation b = touching(2, {"x", "y"});
  const Operation c = touching(3, {"y"});
  EXPECT_TRUE(locks.enqueue(a));
  EXPECT_FALSE(locks.enqueue(b));
  EXPECT_FALSE(locks.enqueue(c));
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
  locks.enqueue(a);
  locks.enqueue(b);
  locks.enqueue(c);
  EXPECT_TRUE(locks.release(b.id).empty());
  EXPECT_FALSE(locks.may_run(c.id));
  EXPECT_EQ(locks.release(a.id), std::vector<OperationId>{c.id});
}

}  // namespace
}  // namespace trued
