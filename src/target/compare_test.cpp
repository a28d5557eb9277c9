#include "target/compare.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/digest.h"
#include "base/encoding.h"

namespace trued {
namespace {

ArtifactIntent meant(std::string content) {
  ArtifactIntent artifact;
  artifact.name = "a.md";
  artifact.id = {.sha256 = sha256(content), .bytes = content.size()};
  artifact.content = std::move(content);
  return artifact;
}

RawRead found_with(std::string content) {
  RawRead read;
  read.seen = Seen::found;
  read.content = std::move(content);
  read.version = "v1";
  return read;
}

Observation seen(const ArtifactIntent& artifact, RawRead read) {
  return observe(artifact, 3, Level::serving, std::move(read), WallTime{Duration{77}});
}

TEST(Compare, V1_equal_bytes_have_the_identity_of_what_was_meant) {
  const auto artifact = meant("hello\n");
  const Observation o = seen(artifact, found_with("hello\n"));
  EXPECT_EQ(judge(artifact, o), Verdict::match);
  EXPECT_EQ(o.id.sha256, sha256("hello\n"));
  EXPECT_EQ(o.artifact, 3U);
  EXPECT_EQ(o.level, Level::serving);
  EXPECT_EQ(o.version, "v1");
  EXPECT_EQ(o.read_at, WallTime{Duration{77}});
  EXPECT_TRUE(o.detail.empty());
  EXPECT_FALSE(o.proper_prefix);
}

TEST(Compare, V1_one_byte_differs) {
  const auto artifact = meant("hello world");
  const Observation o = seen(artifact, found_with("hello_world"));
  EXPECT_EQ(judge(artifact, o), Verdict::mismatch);
  EXPECT_EQ(o.detail, "at byte 5: meant \" world\", found \"_world\"");
  EXPECT_EQ(o.id.bytes, 11U);
}

TEST(Compare, V2_a_torn_piece_is_a_proper_prefix) {
  const auto artifact = meant("hello world");
  const Observation o = seen(artifact, found_with("hello"));
  EXPECT_TRUE(o.proper_prefix);
  EXPECT_EQ(o.detail, "ends after 5 of 11 bytes");
  EXPECT_FALSE(seen(artifact, found_with("")).proper_prefix);
  EXPECT_EQ(seen(artifact, found_with("")).id.sha256, sha256(""));
  EXPECT_FALSE(seen(artifact, found_with("jello")).proper_prefix);
  const Observation longer = seen(artifact, found_with("hello world!!"));
  EXPECT_FALSE(longer.proper_prefix);
  EXPECT_EQ(longer.detail, "goes on after byte 11 with \"!!\"");
}

TEST(Compare, V3_unreadable_keeps_its_reason_and_is_no_mismatch) {
  const auto artifact = meant("x");
  RawRead read;
  read.detail = "connection refused\n";
  const Observation o = seen(artifact, read);
  EXPECT_EQ(judge(artifact, o), Verdict::unreadable);
  EXPECT_EQ(o.detail, "connection refused\\n");
}

TEST(Compare, V1_absence) {
  auto artifact = meant("");
  RawRead nothing;
  nothing.seen = Seen::absent;
  EXPECT_EQ(judge(artifact, seen(artifact, nothing)), Verdict::mismatch);
  EXPECT_EQ(judge(artifact, seen(artifact, found_with(""))), Verdict::match);
  artifact.absent = true;
  EXPECT_EQ(judge(artifact, seen(artifact, nothing)), Verdict::match);
  const Observation still = seen(artifact, found_with(""));
  EXPECT_EQ(judge(artifact, still), Verdict::mismatch);
  EXPECT_FALSE(still.proper_prefix);
  EXPECT_EQ(still.detail, "should be absent; begins with \"\"");
}

TEST(Compare, V1_excerpts_show_whole_characters_and_escape_the_rest) {
  const auto artifact = meant("größe");
  EXPECT_EQ(seen(artifact, found_with("gr\xc3\xa4\xc3\x9f"
                                      "e"))
                .detail,
            "at byte 3: meant \"öße\", found \"äße\"");
  EXPECT_EQ(seen(artifact, found_with(std::string("g\0\x1b\xff\xc2\x85", 6))).detail,
            "at byte 1: meant \"röße\", found \"\\x00\\x1b\\xff\\xc2\\x85\"");
}

RC_GTEST_PROP(Compare, V1_observation_agrees_with_the_bytes, (std::string want, std::string got)) {
  const auto artifact = meant(want);
  RawRead read = found_with(got);
  read.served_by = got;
  const Observation o = seen(artifact, read);
  RC_ASSERT((judge(artifact, o) == Verdict::match) == (want == got));
  RC_ASSERT(o.id.bytes == got.size());
  RC_ASSERT(o.id.sha256 == sha256(got));
  RC_ASSERT(o.detail.size() <= 120U);
  RC_ASSERT(utf8_valid(o.detail));
  RC_ASSERT(utf8_valid(o.served_by));
}

TEST(Compare, V1_printable_is_bounded_and_marks_the_cut) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abc…");
  EXPECT_EQ(printable("\n\n\n\n", 8), "\\n\\n\\n\\n");
  EXPECT_EQ(printable("ab", 1), "");
}

TEST(Compare, V6_paths_that_are_fine) {
  for (const std::string path : {"a", "guide/start.md", "a b/c.txt", "ü/ß.md", "..a/b..", "...",
                                 "a.b/.hidden", "%2e%2e/x", "--upload-pack=x", "C:x"}) {
    EXPECT_EQ(check_relative_path(path), "") << path;
  }
  EXPECT_EQ(check_relative_path(std::string(1024, 'a')), "");
}

TEST(Compare, V6_paths_that_are_refused) {
  for (const std::string& path : std::vector<std::string>{"",
                                                          "/",
                                                          "/etc/passwd",
                                                          "a//b",
                                                          "a/",
                                                          "./a",
                                                          "a/./b",
                                                          "..",
                                                          "../a",
                                                          "a/../b",
                                                          "a/..",
                                                          "a\\b",
                                                          "..\\a",
                                                          "a\nb",
                                                          std::string("a\0b", 3),
                                                          "a\x7f",
                                                          "a\xc2\x85",
                                                          "\xff\xfe",
                                                          "\xc0\xae\xc0\xae/x",
                                                          std::string(1025, 'a'),
                                                          std::string(4096, 'x')}) {
    EXPECT_NE(check_relative_path(path), "") << path;
  }
}

TEST(Compare, V6_names_that_mean_the_git_directory) {
  for (const char* name : {".git", ".GIT", ".Git", "git~1", "GIT~1", ".git.", ".git ", ".git. .",
                           ".git::$INDEX_ALLOCATION", ".g\u200cit", "\ufeff.GIT", ".git\u200f",
                           ".\u202agi\u202et", "\u206a.gi\u206ft", ".g\u200d\u200eIt. "}) {
    EXPECT_TRUE(names_git_directory(name)) << name;
  }
  for (const char* name :
       {"git", ".gitignore", ".github", "a.git", "git~2", ".gi", "", ".g\u200bit", ".g\u2029it",
        ".g\u202fit", ".g\u2069it", ".g\u2070it", "\u200c", ".github\u200c"}) {
    EXPECT_FALSE(names_git_directory(name)) << name;
  }
}

ArtifactIntent meant_subset(std::string canonical) {
  ArtifactIntent artifact = meant(std::move(canonical));
  artifact.comparison = Comparison::json_subset;
  return artifact;
}

TEST(Compare, V4_a_document_that_holds_what_was_meant_matches) {
  const auto artifact = meant_subset(R"({"amount":1200,"items":[{"sku":"a"}],"status":"ok"})");
  const Observation o =
      seen(artifact,
           found_with("{ \"id\": 12345678901234567890, \"status\": \"ok\", \"amount\": 1200.0,\n"
                      "\"items\": [{\"sku\": \"a\", \"n\": 2}] }"));
  EXPECT_EQ(judge(artifact, o), Verdict::match) << o.detail;
  EXPECT_EQ(o.id, artifact.id);
  EXPECT_EQ(o.detail, "");
}

TEST(Compare, V4_the_first_member_that_differs_is_named) {
  const auto artifact = meant_subset(R"({"amount":1200,"status":"succeeded"})");
  Observation o = seen(artifact, found_with(R"({"status":"pending","amount":1200})"));
  EXPECT_EQ(judge(artifact, o), Verdict::mismatch);
  EXPECT_EQ(o.detail, R"(/status: meant "succeeded", found "pending")");
  EXPECT_FALSE(o.proper_prefix);
  o = seen(artifact, found_with(R"({"status":"succeeded"})"));
  EXPECT_EQ(o.detail, "/amount: meant 1200, found nothing");
  o = seen(artifact, found_with("[]"));
  EXPECT_EQ(o.detail, "meant an object, found an array of 0");
  const auto number = meant_subset(R"({"n":9007199254740992})");
  EXPECT_EQ(judge(number, seen(number, found_with(R"({"n":9007199254740993})"))),
            Verdict::mismatch);
}

TEST(Compare, V4_what_is_no_json_differs) {
  const auto artifact = meant_subset("{}");
  for (const char* content : {"", "<html>", R"({"a":1)", R"({"a":1,"a":1})"}) {
    const Observation o = seen(artifact, found_with(content));
    EXPECT_EQ(judge(artifact, o), Verdict::mismatch) << content;
    EXPECT_TRUE(o.detail.starts_with("no JSON: ")) << o.detail;
    EXPECT_EQ(o.id.sha256, sha256(content));
    EXPECT_LE(o.detail.size(), 120U);
  }
  RawRead absent;
  absent.seen = Seen::absent;
  EXPECT_EQ(judge(artifact, seen(artifact, absent)), Verdict::mismatch);
}

TEST(Compare, V1_a_digest_alone_decides_where_nothing_else_was_declared) {
  ArtifactIntent artifact;
  artifact.name = "a.bin";
  artifact.id.sha256 = sha256("content");
  EXPECT_EQ(judge(artifact, seen(artifact, found_with("content"))), Verdict::match);
  const Observation o = seen(artifact, found_with("other"));
  EXPECT_EQ(judge(artifact, o), Verdict::mismatch);
  EXPECT_EQ(o.id.bytes, 5U);
  EXPECT_TRUE(o.detail.starts_with("meant sha256 ed7002b439e9, found d9298a10d1b0 of 5 bytes"))
      << o.detail;
  EXPECT_EQ(judge(artifact, seen(artifact, found_with(""))), Verdict::mismatch);
}

}  // namespace
}  // namespace trued
