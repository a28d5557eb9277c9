#include <atomic>
#include <chrono>
#include <string>
#include <vector>
#include <zlib.h>

#include <gtest/gtest.h>

#include "io/counting_server_test.h"
#include "io/http_client.h"
#include "io/inflate.h"

namespace trued::io {
namespace {

using Clock = std::chrono::steady_clock;

bool answer_ok(const SeenRequest& request, Peer& peer) {
  peer.answer("200 OK", request.method + " " + request.target + " " + request.body);
  return true;
}

std::string packed(const std::string& content, int window_bits) {
  z_stream state{};
  EXPECT_EQ(::deflateInit2(&state, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&state, content.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  state.avail_in = static_cast<uInt>(content.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&state, Z_FINISH), Z_STREAM_END);
  out.resize(state.total_out);
  ::deflateEnd(&state);
  return out;
}

constexpr int kGzip = 31;
constexpr int kZlib = 15;
constexpr int kRaw = -15;

TEST(Inflate, V1_every_form_in_use_is_undone) {
  const std::string content = std::string(100'000, 'a') + "end";
  EXPECT_EQ(inflate_content("gzip", packed(content, kGzip), 1 << 20).value(), content);
  EXPECT_EQ(inflate_content("X-GZip", packed(content, kGzip), 1 << 20).value(), content);
  EXPECT_EQ(inflate_content("deflate", packed(content, kZlib), 1 << 20).value(), content);
  EXPECT_EQ(inflate_content("deflate", packed(content, kRaw), 1 << 20).value(), content);
  EXPECT_EQ(inflate_content("gzip", packed("one ", kGzip) + packed("two", kGzip), 1 << 20).value(),
            "one two");
  EXPECT_EQ(inflate_content("gzip", packed(content, kGzip), content.size()).value(), content);
}

TEST(Inflate, what_is_broken_or_too_large_is_refused) {
  const std::string bomb = packed(std::string(50'000'000, '\0'), kGzip);
  EXPECT_LT(bomb.size(), 100'000U);
  EXPECT_EQ(inflate_content("gzip", bomb, 1 << 20).error().code, ErrorCode::too_large);
  const std::string whole = packed("some content", kGzip);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(inflate_content("gzip", whole.substr(0, size), 1 << 20).error().code,
              ErrorCode::corrupt)
        << size;
  }
  EXPECT_EQ(inflate_content("gzip", "no gzip", 100).error().code, ErrorCode::corrupt);
  EXPECT_EQ(inflate_content("deflate", "\xff\xff\xff", 100).error().code, ErrorCode::corrupt);
  EXPECT_EQ(inflate_content("gzip", whole + "garbage", 100).error().code, ErrorCode::corrupt);
  EXPECT_EQ(inflate_content("br", "x", 100).error().code, ErrorCode::unsupported);
}

TEST(ClientUnpacks, what_it_asked_for_and_within_the_bound) {
  const std::string bomb = packed(std::string(50'000'000, 'x'), kGzip);
  CountingServer server([&](const SeenRequest& request, Peer& peer) {
    EXPECT_EQ(request.header("Accept-Encoding"), "gzip, deflate");
    if (request.target == "/bomb")
      return peer.answer("200 OK", bomb, "Content-Encoding: gzip\r\n"), true;
    if (request.target == "/bad")
      return peer.answer("200 OK", "x", "Content-Encoding: gzip\r\n"), true;
    if (request.target == "/none")
      return peer.answer("204 No Content", "", "Content-Encoding: gzip\r\n"), true;
    peer.answer("200 OK", packed("hello", kGzip), "Content-Encoding: gzip\r\n");
    return true;
  });
  HttpClient client({.response_bytes_max = 1 << 20, .unpack = true});
  const auto fine = client.call({.url = server.url("/")});
  ASSERT_TRUE(fine.has_value()) << fine.error().message;
  EXPECT_EQ(fine->body, "hello");
  EXPECT_EQ(fine->find("Content-Encoding"), nullptr);
  EXPECT_EQ(client.call({.url = server.url("/none")})->body, "");
  const auto large = client.call({.method = "POST", .url = server.url("/bomb")});
  EXPECT_EQ(large.error().code, ErrorCode::too_large);
  EXPECT_EQ(large.error().happened, Happened::yes) << "the answer was 200, and whole";
  const auto bad = client.ask({.url = server.url("/bad")});
  ASSERT_TRUE(bad.has_value());
  EXPECT_EQ(bad->body, BodyState::undecodable);
  EXPECT_EQ(bad->response.body, "x");
}

TEST(ClientPool, connections_are_used_again_until_they_rest_too_long) {
  CountingServer server(answer_ok);
  HttpClient client({.idle_timeout = Duration{100}});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.call({.url = server.url("/")}).has_value());
  EXPECT_EQ(server.connections(), 1);
  const auto until = Clock::now() + Duration{150};
  while (Clock::now() < until) std::this_thread::yield();
  ASSERT_TRUE(client.call({.url = server.url("/")}).has_value());
  EXPECT_EQ(server.connections(), 2);
}

TEST(ClientPool, what_the_server_says_of_keeping_is_honoured) {
  CountingServer server([](const SeenRequest&, Peer& peer) {
    return peer.answer("200 OK", "", "Keep-Alive: timeout=1\r\n"), true;
  });
  HttpClient client({});
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(client.call({.url = server.url("/")}).has_value());
  EXPECT_EQ(server.connections(), 2) << "within its last second nothing is sent on it";
}

TEST(ClientPool, T1_an_effect_goes_out_on_its_own_connection_unless_allowed) {
  CountingServer server(answer_ok);
  HttpClient client({});
  const ClientRequest post{.method = "POST", .url = server.url("/"), .body = "x"};
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.call(post).has_value());
  EXPECT_EQ(server.connections(), 3);
  ClientRequest pooled = post;
  pooled.fresh_connection = false;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.call(pooled).has_value());
  EXPECT_EQ(server.connections(), 3);
}

TEST(ClientPool, T1_a_connection_that_died_at_rest_is_noticed_before_an_effect) {
  for (const bool reset : {false, true}) {
    CountingServer server(answer_ok);
    HttpClient client({});
    const ClientRequest post{
        .method = "POST", .url = server.url("/"), .body = "x", .fresh_connection = false};
    ASSERT_TRUE(client.call(post).has_value());
    server.drop_connections(reset);
    const auto until = Clock::now() + Duration{50};
    while (Clock::now() < until) std::this_thread::yield();
    const auto again = client.call(post);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(server.requests().size(), 2U);
    EXPECT_EQ(server.connections(), 2);
  }
}

// What libcurl does with a POST here is to send it again by itself.
TEST(ClientPool,
     T1_T5_a_reused_connection_that_dies_is_maybe_for_an_effect_and_asked_again_for_a_read) {
  for (const bool reset : {false, true}) {
    for (const char* method : {"POST", "PUT", "DELETE", "GET"}) {
      std::atomic<int> executed{0};
      CountingServer server([&](const SeenRequest& request, Peer& peer) {
        ++executed;
        if (request.connection == 1 && executed == 2) {
          if (reset) peer.reset();
          return false;
        }
        return answer_ok(request, peer);
      });
      HttpClient client({});
      const ClientRequest request{
          .method = method, .url = server.url("/"), .fresh_connection = false};
      ASSERT_TRUE(client.call(request).has_value());
      const auto second = client.call(request);
      if (std::string(method) == "GET") {
        EXPECT_TRUE(second.has_value());
        EXPECT_EQ(executed, 3);
      } else {
        ASSERT_FALSE(second.has_value());
        EXPECT_EQ(second.error().happened, Happened::maybe) << second.error().message;
        EXPECT_EQ(executed, 2) << method << ": the second was executed, and once";
      }
    }
  }
}

TEST(ClientTimes, T1_each_stage_has_its_own) {
  CountingServer server([](const SeenRequest& request, Peer& peer) {
    if (request.target == "/silent") return peer.hang(), false;
    if (request.target == "/interim") {
      for (int i = 0; i < 10 && !peer.gone_within(20); ++i)
        peer.send("HTTP/1.1 102 Processing\r\n\r\n");
      return peer.hang(), false;
    }
    if (request.target == "/head") return peer.send("HTTP/1.1 200 OK\r\nX: "), peer.hang(), false;
    peer.answer_head("200 OK", 1'000'000);
    while (!peer.gone_within(10)) peer.send("x");
    return false;
  });
  HttpClient client({.first_byte_timeout = Duration{150}, .total_timeout = Duration{600}});
  const std::pair<const char*, const char*> cases[] = {
      {"/silent", "no answer came in time"},
      {"/interim", "no answer came in time"},
      {"/head", "the head of the answer did not end in time"}};
  for (const auto& [path, message] : cases) {
    const auto begun = Clock::now();
    const auto answer = client.ask({.method = "POST", .url = server.url(path)});
    ASSERT_FALSE(answer.has_value()) << path;
    EXPECT_EQ(answer.error().code, ErrorCode::timeout);
    EXPECT_EQ(answer.error().happened, Happened::maybe);
    EXPECT_NE(answer.error().message.find(message), std::string::npos) << answer.error().message;
    EXPECT_LT(Clock::now() - begun, Duration{2'000}) << path;
  }
  const auto drip = client.ask({.method = "POST", .url = server.url("/drip")});
  ASSERT_TRUE(drip.has_value());
  EXPECT_EQ(drip->body, BodyState::late);
  EXPECT_EQ(drip->response.status, 200);
  EXPECT_EQ(client.call({.url = server.url("/drip")}).error().code, ErrorCode::timeout);
}

TEST(ClientTimes, T1_no_connection_in_time_is_no) {
  HttpClient client(
      {.connect_timeout = Duration{100}, .resolver = [](const std::string&, Duration timeout) {
         const auto until = Clock::now() + timeout;
         while (Clock::now() < until) std::this_thread::yield();
         return Result<std::vector<IpAddress>>(
             Error{.code = ErrorCode::timeout, .message = "no answer in time"});
       }});
  const auto begun = Clock::now();
  const auto answer = client.call({.method = "POST", .url = "http://slow.example/"});
  EXPECT_EQ(answer.error().happened, Happened::no);
  EXPECT_LT(Clock::now() - begun, Duration{1'000});
  EXPECT_EQ(client.call({.url = "http://x/", .total_timeout = Duration{0}}).error().happened,
            Happened::no);
}

TEST(ClientAnswers, T1_what_is_no_answer_is_maybe) {
  const std::string answers[] = {
      "SSH-2.0-OpenSSH_9.2\r\n",
      "HTTP/1.1 abc OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
      "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n",
      std::string("\0\0\0\0", 4),
  };
  for (const std::string& bytes : answers) {
    CountingServer server([&](const SeenRequest&, Peer& peer) { return peer.send(bytes), false; });
    HttpClient client({});
    const auto answer = client.ask({.method = "POST", .url = server.url("/")});
    ASSERT_FALSE(answer.has_value()) << bytes.substr(0, 40);
    EXPECT_EQ(answer.error().happened, Happened::maybe);
    EXPECT_EQ(server.requests().size(), 1U);
  }
}

TEST(ClientAnswers, T1_a_status_is_kept_when_its_body_breaks) {
  const std::string head = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& body : {std::string("5\r\nab"), std::string("5\r\nabcde\r\nZZ\r\n"),
                                  std::string("5\r\nabcde\r\n"), std::string()}) {
    CountingServer server(
        [&](const SeenRequest&, Peer& peer) { return peer.send(head + body), false; });
    HttpClient client({});
    const auto answer = client.ask({.method = "POST", .url = server.url("/")});
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_EQ(answer->response.status, 201);
    EXPECT_EQ(answer->body, BodyState::broken) << body;
    const auto call = client.call({.method = "POST", .url = server.url("/")});
    EXPECT_EQ(call.error().happened, Happened::maybe);
  }
}

TEST(ClientAnswers, T1_an_early_refusal_of_a_large_request_is_heard) {
  CountingServer server(answer_ok, [](int fd) {
    // Reads the head alone, answers, and goes.
    class Impatient final : public Wire {
     public:
      using Wire::Wire;
      bool open() override {
        char buffer[1'000];
        (void)::recv(fd_, buffer, sizeof buffer, 0);
        const std::string_view answer =
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
        (void)Wire::write(answer.data(), answer.size());
        ::shutdown(fd_, SHUT_WR);
        while (::recv(fd_, buffer, sizeof buffer, 0) > 0) {
        }
        return false;
      }
    };
    return std::make_unique<Impatient>(fd);
  });
  HttpClient client({});
  const auto answer =
      client.call({.method = "POST", .url = server.url("/"), .body = std::string(5'000'000, 'x')});
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->status, 413);
}

}  // namespace
}  // namespace trued::io
