#include "target/git/message.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "target/git/handles.h"

namespace trued::git {
namespace {

OperationId operation(std::uint8_t last) {
  Uuid uuid;
  uuid.bytes.fill(9);
  uuid.bytes.back() = last;
  return OperationId(uuid);
}

std::string trailers(std::uint8_t last, int attempt) {
  return "Trued-Operation: " + to_string(operation(last)) +
         "\nTrued-Attempt: " + std::to_string(attempt) + "\n";
}

std::string composed(const std::string& message) {
  Intent intent;
  intent.message = message;
  intent.artifacts.resize(1);
  intent.artifacts[0].name = "guide/start.md";
  return compose_message(intent, operation(1), AttemptNo{2});
}

TEST(GitMessage, V2_trailers_come_last) {
  EXPECT_EQ(composed("Fix typo"), "Fix typo\n\n" + trailers(1, 2));
  EXPECT_EQ(composed("\n\nFix typo\n\nBody\r\nmore  \n\n\n"),
            "Fix typo\n\nBody\nmore\n\n" + trailers(1, 2));
}

TEST(GitMessage, V2_trailers_of_the_user_are_joined) {
  EXPECT_EQ(composed("Fix\n\nBody\n\nSigned-off-by: A <a@b>\n"),
            "Fix\n\nBody\n\nSigned-off-by: A <a@b>\n" + trailers(1, 2));
  EXPECT_EQ(composed("docs: fix"), "docs: fix\n\n" + trailers(1, 2));
  EXPECT_EQ(composed("Fix\n\nNot: a trailer\nbecause of this line"),
            "Fix\n\nNot: a trailer\nbecause of this line\n\n" + trailers(1, 2));
}

TEST(GitMessage, V2_an_empty_message_names_the_artifacts) {
  EXPECT_EQ(composed(" \n\t\n"), "Write guide/start.md\n\n" + trailers(1, 2));
  Intent intent;
  intent.artifacts.resize(3);
  intent.artifacts[0].name = "old.md";
  intent.artifacts[0].absent = true;
  EXPECT_EQ(compose_message(intent, operation(1), AttemptNo{1}),
            "Remove old.md and 2 more\n\n" + trailers(1, 1));
}

TEST(GitMessage, V6_no_user_can_claim_another_operation) {
  const std::string forged = "Trued-Operation: " + to_string(operation(7));
  for (const std::string& message :
       {forged, "Fix\n\n" + forged, "Fix\n\n" + forged + "\n\nTail", "Fix\r" + forged,
        "Fix\r\n\r\nX: y\r\n" + forged, "Fix\n\ntrued-OPERATION: x\n" + forged,
        "Fix\n" + std::string(1, '\0') + "\n" + forged}) {
    const std::string text = composed(message);
    EXPECT_FALSE(carries(text, operation(7))) << text;
    EXPECT_TRUE(carries(text, operation(1))) << text;
    EXPECT_NE(text.find("> "), std::string::npos);
  }
}

TEST(GitMessage, V6_the_divider_does_not_hide_ours_from_git) {
  EXPECT_EQ(composed("Fix\n\n---\npatch"), "Fix\n\n> ---\npatch\n\n" + trailers(1, 2));
}

TEST(GitMessage, V2_only_the_exact_line_counts) {
  const std::string id = to_string(operation(1));
  EXPECT_TRUE(carries("Squashed\n\nTrued-Operation: " + id + "\r\n\nmore\n", operation(1)));
  EXPECT_FALSE(carries("x Trued-Operation: " + id, operation(1)));
  EXPECT_FALSE(carries("Trued-Operation: " + id + "x", operation(1)));
  EXPECT_FALSE(carries("Trued-Operation: " + id.substr(0, 20), operation(1)));
  EXPECT_FALSE(carries("", operation(1)));
}

RC_GTEST_PROP(GitMessage, V6_whatever_the_user_writes_libgit2_finds_our_trailer,
              (const std::string& message)) {
  set_up_library();
  const std::string text = composed(message);
  RC_ASSERT(carries(text, operation(1)));
  git_message_trailer_array found{};
  RC_ASSERT(git_message_trailers(&found, text.c_str()) == 0);
  int ours = 0;
  for (std::size_t i = 0; i < found.count; ++i) {
    if (std::string_view(found.trailers[i].key) == "Trued-Operation") {
      ++ours;
      RC_ASSERT(found.trailers[i].value == to_string(operation(1)));
    }
  }
  git_message_trailer_array_free(&found);
  RC_ASSERT(ours == 1);
}

}  // namespace
}  // namespace trued::git
