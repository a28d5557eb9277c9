#include "lab/serving.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace trued::lab {
namespace {

// Seen as "partial_landing" of an honest unit, once in several hundred runs on a busy machine.
TEST(LabServing, V9_a_lagging_unit_is_never_seen_before_its_readers_were_sent_away) {
  auto opened = Serving::open();
  ASSERT_TRUE(opened.has_value());
  Serving& serving = **opened;
  const Serving::Unit before{{"a", "before"}, {"b", "before"}};
  const Serving::Unit after{{"a", "after"}, {"b", "after"}};
  serving.put(before, "1");
  std::atomic<bool> stop = false;
  std::atomic<int> early = 0;
  std::thread reader([&] {
    while (!stop) {
      if (serving.served("a") != "before" || serving.served("b") != "before") ++early;
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    serving.put_lagging(after, "2");
    serving.put(before, "1");
  }
  stop = true;
  reader.join();
  EXPECT_EQ(early, 0);
  serving.put(after, "3");
  EXPECT_EQ(serving.served("b"), "after");
}

}  // namespace
}  // namespace trued::lab
