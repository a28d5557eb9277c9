#include "engine/check_write.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace trued {
namespace {

Intent intent_with(const std::vector<std::string>& names) {
  Intent intent;
  intent.target = "docs";
  for (const std::string& name : names) {
    intent.artifacts.push_back({.name = name, .absent = true, .id = {}, .content = {}});
  }
  return intent;
}

TEST(CheckWrite, T1_what_a_ledger_could_not_keep_is_refused_before_it_is_accepted) {
  InputFault fault;
  EXPECT_TRUE(check_input_bytes(kInputBytesMax, fault));
  EXPECT_FALSE(check_input_bytes(kInputBytesMax + 1, fault));
  EXPECT_NE(fault.detail.find("split it"), std::string::npos);
}

TEST(CheckWrite, T1_what_is_in_the_ledger_is_not_held_to_how_it_looks) {
  InputFault fault;
  Intent intent = intent_with({"a\x1b", "b"});
  intent.message = "\x1b";
  EXPECT_TRUE(check_intent(intent, nullptr, fault)) << fault.detail;
  EXPECT_FALSE(check_intent(intent_with({"a", "a"}), nullptr, fault));
  EXPECT_EQ(fault.pointer, "/artifacts/1/path");
}

TEST(CheckWrite, S8_who_writes_is_shown_to_people) {
  EXPECT_EQ(wrong_with_actor(""), "");
  EXPECT_EQ(wrong_with_actor("ada"), "");
  EXPECT_EQ(wrong_with_actor("a\xff"), "actor is not valid UTF-8");
  EXPECT_EQ(wrong_with_actor("a\tb"), "actor holds a control character");
}

}  // namespace
}  // namespace trued
