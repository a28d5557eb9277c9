#include "io/relay.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "io/counting_server_test.h"
#include "io/http_client.h"

namespace trued::io {
namespace {

constexpr const char* kTurnedAway = "not here";

/// A server that hands everything on to another, and answers 502 with what went wrong.
class Front {
 public:
  explicit Front(int port) : relay_(loop_, {}) {
    auto listening =
        HttpServer::listen(loop_, {}, [this, port](HttpRequest&& request, Responder responder) {
          auto passage = relay_.pass(
              {.host = "127.0.0.1", .port = static_cast<std::uint16_t>(port)},
              std::make_shared<const HttpRequest>(std::move(request)), std::move(responder),
              [](const HttpResponse& response) { return response.body == kTurnedAway; },
              [this](const RelayFailure& failure, Responder back) {
                HttpResponse response;
                response.status = 502;
                response.body = failure.sent ? "maybe" : "no";
                failed_.fetch_add(1);
                back.send(std::move(response));
              });
          const std::scoped_lock lock(mutex_);
          passage_ = std::move(passage);
        });
    server_ = std::move(listening).value();
  }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + path;
  }
  HttpResponse ask(ClientRequest request) {
    request.url = url(request.url);
    auto answer = client_.call(request);
    EXPECT_TRUE(answer.has_value()) << answer.error().message;
    return answer.has_value() ? *answer : HttpResponse{};
  }
  BodyState body_state(const std::string& path) {
    const auto answer = client_.ask({.url = url(path)});
    EXPECT_TRUE(answer.has_value()) << answer.error().message;
    return answer->body;
  }
  void abandon() {
    loop_.post([this] {
      const std::scoped_lock lock(mutex_);
      Relay::abandon(passage_);
    });
  }
  [[nodiscard]] int failed() const { return failed_.load(); }

 private:
  Loop loop_;
  Relay relay_;
  std::mutex mutex_;
  std::shared_ptr<Relay::Passage> passage_;
  std::atomic<int> failed_{0};
  HttpClient client_{ClientOptions{}};
  std::unique_ptr<HttpServer> server_;
};

TEST(Relay, an_answer_comes_back_as_it_was_given) {
  CountingServer server([](const SeenRequest& seen, Peer& peer) {
    EXPECT_EQ(seen.method + " " + seen.target, "POST /a%20b?c=d");
    EXPECT_EQ(seen.header("X-Mine"), "1");
    EXPECT_EQ(seen.header("Connection"), "");
    EXPECT_EQ(seen.header("X-Hop"), "");
    EXPECT_EQ(seen.header("Expect"), "");
    peer.answer("201 Created", "got " + seen.body,
                "Location: /there\r\nConnection: keep-alive, X-Own\r\nX-Own: 1\r\nX-Other: 2\r\n");
    return true;
  });
  Front front(server.port());
  const HttpResponse answer =
      front.ask({.method = "POST",
                 .url = "/a%20b?c=d",
                 .headers = {{"X-Mine", "1"}, {"X-Hop", "1"}, {"Connection", "X-Hop"}},
                 .body = "what was sent"});
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "got what was sent");
  EXPECT_EQ(*answer.find("Location"), "/there");
  EXPECT_EQ(*answer.find("X-Other"), "2");
  EXPECT_EQ(answer.find("X-Own"), nullptr);
}

TEST(Relay, the_same_connection_is_used_again_and_a_closed_one_is_not) {
  std::atomic<int> connection{0};
  CountingServer server([&](const SeenRequest& seen, Peer& peer) {
    connection = seen.connection;
    peer.answer("200 OK", "x");
    return seen.target != "/last";
  });
  Front front(server.port());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(front.ask({.url = "/"}).status, 200);
  EXPECT_EQ(connection.load(), 1);
  EXPECT_EQ(front.ask({.url = "/last"}).status, 200);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(front.ask({.method = "POST", .url = "/"}).status, 200);
  EXPECT_EQ(front.failed(), 0);
}

TEST(Relay, a_long_answer_and_one_of_unknown_length_come_in_pieces) {
  const std::string much(3 << 20, 'y');
  CountingServer server([&](const SeenRequest& seen, Peer& peer) {
    if (seen.target == "/much") {
      peer.answer("200 OK", much);
    } else {
      peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (const char* piece : {"one ", "two ", "three"}) {
        peer.send("5\r\n" + (std::string(piece) + "     ").substr(0, 5) + "\r\n");
      }
      peer.send("0\r\n\r\n");
    }
    return true;
  });
  Front front(server.port());
  EXPECT_EQ(front.ask({.url = "/much"}).body, much);
  EXPECT_EQ(front.ask({.url = "/pieces"}).body, "one  two  three");
  EXPECT_EQ(front.ask({.method = "HEAD", .url = "/much"}).body, "");
}

TEST(Relay, V2_it_says_whether_anything_was_sent) {
  const Listening closed = listen_on_loopback(1);
  ::close(closed.socket);
  Front nowhere(closed.port);
  EXPECT_EQ(nowhere.ask({.method = "POST", .url = "/"}).body, "no");
  CountingServer drops([](const SeenRequest&, Peer&) { return false; });
  Front dropped(drops.port());
  EXPECT_EQ(dropped.ask({.method = "POST", .url = "/"}).body, "maybe");
  CountingServer refuses([](const SeenRequest&, Peer& peer) {
    peer.answer("503 Service Unavailable", kTurnedAway);
    return true;
  });
  Front refused(refuses.port());
  EXPECT_EQ(refused.ask({.method = "POST", .url = "/"}).body, "no");
}

TEST(Relay, V2_an_answer_that_breaks_off_is_seen_to_be_broken) {
  CountingServer server([](const SeenRequest& seen, Peer& peer) {
    if (seen.target == "/short") {
      peer.answer_head("200 OK", 100);
      peer.send("only so much");
    } else if (seen.target == "/chunks") {
      peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    } else {
      peer.answer_head("200 OK", 8 << 20);
      peer.send(std::string(1 << 20, 'z'));
    }
    return false;
  });
  Front front(server.port());
  EXPECT_EQ(front.ask({.url = "/short"}).body, "maybe") << "nothing had been passed on yet";
  EXPECT_EQ(front.body_state("/chunks"), BodyState::broken);
  EXPECT_EQ(front.body_state("/long"), BodyState::broken);
}

TEST(Relay, what_is_given_up_while_it_waits_counts_as_sent) {
  std::atomic<bool> arrived{false};
  CountingServer server([&](const SeenRequest&, Peer& peer) {
    arrived = true;
    peer.hang();
    return false;
  });
  Front front(server.port());
  std::thread gives_up([&] {
    while (!arrived) std::this_thread::yield();
    front.abandon();
  });
  EXPECT_EQ(front.ask({.method = "POST", .url = "/"}).body, "maybe");
  gives_up.join();
}

TEST(Relay, a_client_that_goes_while_it_is_answered_ends_the_other_side_too) {
  std::atomic<bool> gone{false};
  std::atomic<bool> ended{false};
  CountingServer server([&](const SeenRequest&, Peer& peer) {
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1'000 && !gone; ++i) {
      peer.send("5\r\nhello\r\n");
      gone = peer.gone_within(10);
    }
    ended = true;
    ended.notify_all();
    return false;
  });
  Front front(server.port());
  HttpClient hasty({.total_timeout = Duration{300}});
  (void)hasty.call({.url = front.url("/")});
  ended.wait(false);
  EXPECT_TRUE(gone);
}

TEST(Relay, addresses_are_read_strictly) {
  EXPECT_EQ(Upstream::parse("http://a.b:80/")->authority(), "a.b:80");
  EXPECT_EQ(Upstream::parse("http://[::1]:7117")->authority(), "[::1]:7117");
  for (const char* wrong : {"", "https://a:1", "http://a", "http://a:0", "http://a:x", "http://:1",
                            "http://u@a:1", "http://a/b:1", "http://a:65536"}) {
    EXPECT_FALSE(Upstream::parse(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace trued::io
