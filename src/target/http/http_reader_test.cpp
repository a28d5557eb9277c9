#include "target/http/http_reader.h"

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "target/http/scripted_server_test.h"
#include "target/intents_test.h"
#include "target/outcome.h"

namespace trued {
namespace {

class HttpReaderTest : public testing::Test {
 protected:
  std::vector<RawRead> read(const std::vector<std::string>& names, HttpReaderOptions options = {},
                            Duration timeout = Duration{5'000}) {
    if (options.url.empty()) options.url = server_.url() + "/${artifact.path}";
    auto opened = HttpReader::open(std::move(options));
    EXPECT_TRUE(opened.has_value());
    std::vector<ArtifactIntent> artifacts;
    for (const std::string& name : names) artifacts.push_back(put(name, "meant"));
    ReadRequest request{.intent = effect_of(std::move(artifacts)).intent, .artifacts = {}};
    request.timeout = timeout;
    request.artifacts.resize(names.size());
    std::iota(request.artifacts.begin(), request.artifacts.end(), 0U);
    return (*opened)->read(request);
  }
  RawRead read(const std::string& name) { return read(std::vector{name}).at(0); }

  ScriptedServer server_;
};

TEST_F(HttpReaderTest, V5_found_with_version_and_who_answered) {
  std::string body(5000, '\0');
  std::iota(body.begin(), body.end(), '\0');
  server_.answer("/guide/start.md", "200 OK", "ETag: W/\"v7\"\r\nX-Served-By: edge-3\r\n", body);
  const RawRead read_back = read("guide/start.md");
  ASSERT_EQ(read_back.seen, Seen::found) << read_back.detail;
  EXPECT_TRUE(read_back.content == body);
  EXPECT_EQ(read_back.version, "W/\"v7\"");
  EXPECT_EQ(read_back.served_by, "edge-3");
}

TEST_F(HttpReaderTest, V5_who_answered_by_other_headers) {
  server_.answer("/a", "200 OK", "X-Replica: r2\r\nVia: 1.1 proxy\r\nAge: 3\r\n", "x");
  server_.answer("/b", "200 OK", "Via: 1.1 proxy\r\nAge: 3\r\n", "x");
  server_.answer("/c", "200 OK", "Age: 3\r\n", "x");
  server_.answer("/d", "200 OK", "", "x");
  const auto reads = read(std::vector<std::string>{"a", "b", "c", "d"});
  EXPECT_EQ(reads.at(0).served_by, "r2");
  EXPECT_EQ(reads.at(1).served_by, "1.1 proxy");
  EXPECT_EQ(reads.at(2).served_by, "cache");
  EXPECT_EQ(reads.at(3).served_by, "");
  EXPECT_EQ(reads.at(3).version, "");
}

TEST_F(HttpReaderTest, V5_it_asks_as_a_consumer_does) {
  server_.answer("/a%20b/%C3%BC", "200 OK", "", "x");
  EXPECT_EQ(read("a b/ü").content, "x");
  const std::string head = server_.requests().at(0);
  EXPECT_TRUE(head.starts_with("GET /a%20b/%C3%BC HTTP/1.1\r\n")) << head;
  for (const char* header : {"Cache-Control", "Pragma", "If-None-Match", "Range"}) {
    EXPECT_EQ(head.find(header), std::string::npos) << head;
  }
  server_.answer("/h", "200 OK", "", "x");
  const auto reads =
      read(std::vector<std::string>{"h"}, {.url = {}, .headers = {{"Authorization", "Bearer t"}}});
  EXPECT_EQ(reads.at(0).seen, Seen::found);
  EXPECT_NE(server_.requests().at(1).find("Authorization: Bearer t\r\n"), std::string::npos);
}

TEST_F(HttpReaderTest, V3_absent_is_404_or_410_and_nothing_else) {
  server_.answer("/gone", "410 Gone", "", "");
  EXPECT_EQ(read("never").seen, Seen::absent);
  EXPECT_EQ(read("gone").seen, Seen::absent);
  for (const char* status :
       {"204 No Content", "206 Partial Content", "301 Moved", "304 Not Modified", "400 Bad Request",
        "401 Unauthorized", "403 Forbidden", "429 Too Many Requests", "500 Error",
        "502 Bad Gateway", "503 Unavailable"}) {
    server_.answer("/x", "HTTP/1.1 " + std::string(status) +
                             "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    const RawRead read_back = read("x");
    EXPECT_EQ(read_back.seen, Seen::unreadable) << status;
    EXPECT_NE(read_back.detail.find(std::string(status).substr(0, 3)), std::string::npos)
        << read_back.detail;
  }
}

TEST_F(HttpReaderTest, V3_what_broke_is_unreadable) {
  server_.answer("/cut", "");
  server_.answer("/half", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  server_.answer("/garbage", "ZZZZ nonsense\r\n\r\n");
  server_.answer("/zipped", "200 OK", "Content-Encoding: gzip\r\n", "x");
  for (const char* name : {"cut", "half", "garbage", "zipped"}) {
    const RawRead read_back = read(name);
    EXPECT_EQ(read_back.seen, Seen::unreadable) << name;
    EXPECT_FALSE(read_back.detail.empty()) << name;
  }
}

TEST_F(HttpReaderTest, V3_too_much_is_unreadable) {
  server_.answer("/fits", "200 OK", "", std::string(100, 'x'));
  server_.answer("/big", "200 OK", "", std::string(101, 'x'));
  const auto reads = read(std::vector<std::string>{"fits", "big"},
                          {.url = {}, .headers = {}, .read_bytes_max = 100});
  EXPECT_EQ(reads.at(0).seen, Seen::found) << reads.at(0).detail;
  EXPECT_EQ(reads.at(1).seen, Seen::unreadable);
}

TEST_F(HttpReaderTest, V3_nobody_there_is_unreadable) {
  const std::string url = server_.url() + "/${artifact.path}";
  server_.stop();
  const auto reads = read(std::vector<std::string>{"a", "b"}, {.url = url});
  ASSERT_EQ(reads.size(), 2U);
  EXPECT_EQ(reads.at(0).seen, Seen::unreadable);
  EXPECT_EQ(reads.at(1).seen, Seen::unreadable);
  EXPECT_FALSE(reads.at(0).detail.empty());
}

TEST_F(HttpReaderTest, V7_the_timeout_is_for_all_artifacts_together) {
  server_.answer("/slow", ScriptedServer::kHang);
  Stopwatch watch;
  const auto reads = read(std::vector<std::string>{"slow", "slow", "slow"}, {}, Duration{300});
  ASSERT_EQ(reads.size(), 3U);
  for (const RawRead& one : reads) EXPECT_EQ(one.seen, Seen::unreadable);
  EXPECT_LT(watch.elapsed(), Duration{3'000});
}

TEST_F(HttpReaderTest, V5_only_what_was_asked_is_read_in_order) {
  server_.answer("/b", "200 OK", "", "b");
  server_.answer("/c", "200 OK", "", "c");
  auto opened = HttpReader::open({.url = server_.url() + "/${artifact.path}"});
  ASSERT_TRUE(opened.has_value());
  const auto reads =
      (*opened)->read({.intent = effect_of({put("a", ""), put("b", ""), put("c", "")}).intent,
                       .artifacts = {1, 2}});
  ASSERT_EQ(reads.size(), 2U);
  EXPECT_EQ(reads.at(0).content, "b");
  EXPECT_EQ(reads.at(1).content, "c");
  EXPECT_EQ(server_.requests().size(), 2U);
}

TEST(HttpReader, V5_a_bad_template_is_told_at_once) {
  const auto opened = HttpReader::open({.url = "https://docs.example.com/"});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(HttpReader::open(
                   {.url = "http://h/${artifact.path}", .headers = {{"X-Bad", "a\r\nInjected: 1"}}})
                   .has_value());
  EXPECT_FALSE(
      HttpReader::open({.url = "http://h/${artifact.path}", .headers = {{"Bad Name", "x"}}})
          .has_value());
}

}  // namespace
}  // namespace trued
