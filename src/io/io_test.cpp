#include <arpa/inet.h>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "io/blocking_pool.h"
#include "io/http_client.h"
#include "io/http_server.h"

namespace trued::io {
namespace {

/// A raw connection, for what no well-behaved client would send.
class Raw {
 public:
  explicit Raw(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Raw() { ::close(fd_); }
  void send(std::string_view text) const {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  /// Everything until the other side closes, or `enough` stands in it.
  std::string read(std::string_view enough = "\x01") const {
    std::string all;
    char buffer[4096];
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    while (all.find(enough) == std::string::npos && ::poll(&waiting, 1, 10'000) == 1) {
      const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
      if (size <= 0) break;
      all.append(buffer, static_cast<std::size_t>(size));
    }
    return all;
  }

 private:
  int fd_;
};

class ServerTest : public testing::Test {
 protected:
  void start(HttpServer::Options options = {}) {
    auto listening = HttpServer::listen(
        loop_, std::move(options), [this](HttpRequest&& request, Responder responder) {
          ++executed_;
          if (request.path == "/drop") return;
          HttpResponse response;
          if (request.path == "/pieces") {
            waker_ = responder.stream(std::move(response), [this] { return next_piece(); });
            return;
          }
          if (request.path == "/empty") response.status = 204;
          if (request.path == "/echo") response.headers.push_back({"X-Echo", request.body});
          response.body =
              request.method + " " + request.path + "?" + request.query + " " + request.body;
          if (request.path == "/names") {
            response.body.clear();
            for (const Header& header : request.headers) response.body += header.name + " ";
          }
          if (request.path != "/slow") return responder.send(std::move(response));
          const std::scoped_lock lock(mutex_);
          held_.emplace(std::move(responder));
          arrived_.notify_all();
        });
    ASSERT_TRUE(listening.has_value()) << listening.error().message;
    server_ = std::move(listening).value();
  }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + path;
  }
  Piece next_piece() {
    const std::scoped_lock lock(mutex_);
    Piece piece{.text = std::exchange(piece_, {}), .last = last_};
    ++asked_;
    return piece;
  }
  void say(const std::string& text, bool last) {
    {
      const std::scoped_lock lock(mutex_);
      piece_ += text;
      last_ = last;
    }
    waker_.wake();
  }
  std::string exchange(std::string_view request) const {
    const Raw raw(server_->port());
    raw.send(request);
    return raw.read();
  }

  Loop loop_;
  std::unique_ptr<HttpServer> server_;
  std::atomic<int> executed_{0};
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::optional<Responder> held_;
  Waker waker_;
  std::string piece_;
  bool last_ = false;
  int asked_ = 0;
};

TEST_F(ServerTest, answers_on_one_connection_in_order_also_when_pipelined) {
  start();
  const Raw raw(server_->port());
  raw.send(
      "GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\n"
      "Content-Length: 2\r\n\r\nhiGET /c HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string text = raw.read("GET /c?");
  EXPECT_LT(text.find("GET /a?x=1"), text.find("POST /b? hi"));
  EXPECT_LT(text.find("POST /b? hi"), text.find("GET /c?"));
}

TEST_F(ServerTest, refuses_what_could_be_smuggled) {
  start();
  for (const char* bad :
       {"GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nX: a\r\n Content-Length: 2\r\n\r\nhi",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\t\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n"}) {
    const std::string text = exchange(bad);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 400")) << bad << " -> " << text;
    EXPECT_NE(text.find("urn:trued:problem:malformed"), std::string::npos);
  }
  EXPECT_EQ(executed_, 0);
}

TEST_F(ServerTest, S11_lines_are_whole_and_trailers_are_no_headers) {
  start();
  const std::string head = "POST /names HTTP/1.1\r\nConnection: close\r\nX:\r\nY: \t\r\nZ:a b \r\n";
  EXPECT_TRUE(exchange(head + "\r\n").ends_with("\r\n\r\nConnection X Y Z "));
  EXPECT_TRUE(exchange(head + "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: evil\r\n\r\n")
                  .ends_with("\r\n\r\nConnection X Y Z Transfer-Encoding "));
}

TEST_F(ServerTest, bounds_bodies_headers_and_targets) {
  start({.body_bytes_max = 10});
  EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n")
                  .starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "b\r\n01234567890\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(exchange("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n")
                  .starts_with("HTTP/1.1 431"));
  EXPECT_TRUE(exchange("GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n")
                  .starts_with("HTTP/1.1 414"));
  EXPECT_EQ(executed_, 0);
}

TEST_F(ServerTest, S4_trailers_and_extensions_of_chunks_are_bounded) {
  start();
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_TRUE(exchange(head + "0\r\nX: " + std::string(300'000, 'x')).starts_with("HTTP/1.1 431"));
  EXPECT_TRUE(exchange(head + "1;x=" + std::string(300'000, 'x')).starts_with("HTTP/1.1 431"));
  EXPECT_EQ(executed_, 0);
}

TEST_F(ServerTest, a_body_that_is_expected_is_asked_for) {
  start();
  const Raw raw(server_->port());
  raw.send("POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(raw.read("\r\n\r\n").starts_with("HTTP/1.1 100"));
  raw.send("hi");
  EXPECT_NE(raw.read("hi").find("POST /e? hi"), std::string::npos);
}

TEST_F(ServerTest, a_header_that_never_ends_ends_the_connection) {
  start({.header_timeout = Duration{50}});
  const Raw raw(server_->port());
  raw.send("GET / HTTP/1.1\r\nHost: h\r\nX: ");
  EXPECT_EQ(raw.read(), "");
}

TEST_F(ServerTest, head_has_no_body_and_a_dropped_request_is_answered) {
  start();
  const std::string head = exchange("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_TRUE(exchange("GET /drop HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 500"));
}

TEST_F(ServerTest, S8_its_own_answers_have_the_headers_of_safety) {
  start({.body_bytes_max = 10});
  for (const std::string& request :
       {std::string("GARBAGE\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n",
        "GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n",
        std::string("GET /drop HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")}) {
    const std::string text = exchange(request);
    for (const char* header :
         {"X-Content-Type-Options: nosniff\r\n", "Cache-Control: no-store\r\n",
          "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"}) {
      EXPECT_NE(text.find(header), std::string::npos) << header << text;
    }
  }
}

TEST_F(ServerTest, S8_a_header_value_never_breaks_its_line) {
  start();
  const std::string value = std::string("a\r\nX-Evil: 1\r\n\r\nbody\0", 21);
  const std::string text =
      exchange("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " +
               std::to_string(value.size()) + "\r\n\r\n" + value);
  const std::string head = text.substr(0, text.find("\r\n\r\n"));
  EXPECT_NE(head.find("X-Echo: a  X-Evil: 1    body"), std::string::npos) << text;
  EXPECT_EQ(head.find("\r\nX-Evil"), std::string::npos) << text;
}

TEST_F(ServerTest, a_client_of_http_1_0_keeps_its_connection_if_it_asks_to) {
  start();
  {
    const Raw raw(server_->port());
    raw.send("GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(raw.read("GET /a? ").find("Connection: keep-alive\r\n"), std::string::npos);
    raw.send("GET /b HTTP/1.0\r\nHost: h\r\n\r\n");
    EXPECT_NE(raw.read().find("Connection: close\r\n"), std::string::npos);
  }
  const std::string interim = exchange(
      "POST /e HTTP/1.0\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi");
  EXPECT_TRUE(interim.starts_with("HTTP/1.1 200")) << interim;
}

TEST_F(ServerTest, an_answer_without_content_has_no_length) {
  start();
  const std::string text =
      exchange("OPTIONS /empty HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 204")) << text;
  EXPECT_EQ(text.find("Content-Length"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\r\n\r\n")) << text;
}

TEST_F(ServerTest, T1_an_answer_in_pieces_is_sent_as_it_becomes_known) {
  start();
  piece_ = "one\n";
  const Raw raw(server_->port());
  raw.send("GET /pieces HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string head = raw.read("4\r\none\n\r\n");
  EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("Content-Length"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n4\r\none\n\r\n")) << head;
  say("two and three\n", false);
  EXPECT_EQ(raw.read("three\n\r\n"), "e\r\ntwo and three\n\r\n");
  say("", true);
  const std::string rest = raw.read("GET /next?");
  EXPECT_TRUE(rest.starts_with("0\r\n\r\nHTTP/1.1 200")) << rest;
  waker_.wake();  // too late, and no harm
}

TEST_F(ServerTest, an_answer_in_pieces_to_http_1_0_ends_with_the_connection) {
  start();
  piece_ = "all";
  last_ = true;
  const std::string text =
      exchange("GET /pieces HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(text.find("Connection: close\r\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("chunked"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\r\n\r\nall")) << text;
}

TEST_F(ServerTest, a_client_that_leaves_an_answer_in_pieces_does_no_harm) {
  start();
  piece_ = "one";
  {
    const Raw raw(server_->port());
    raw.send("GET /pieces HTTP/1.1\r\nHost: h\r\n\r\n");
    raw.read("one\r\n");
  }
  for (int i = 0; i < 100; ++i) say("more", false);
  EXPECT_NE(exchange("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").find("GET /a?"),
            std::string::npos);
  server_->stop(Duration{100});
}

TEST(Query, T1_escapes_that_mean_nothing_are_noticed) {
  for (const char* fine : {"", "a=b", "a=%41&b=+", "key=%E2%82%AC", "&&"}) {
    EXPECT_FALSE(find_query_fault(fine)) << fine;
  }
  const auto fault = [](const char* query) {
    const auto found = find_query_fault(query);
    if (!found) return std::string("none");
    return found->parameter + (found->wrong == QueryWrong::utf8 ? " utf8" : " escape");
  };
  EXPECT_EQ(fault("a=1&key=%zz"), "key escape");
  EXPECT_EQ(fault("%"), "% escape");
  EXPECT_EQ(fault("a=%4"), "a escape");
  EXPECT_EQ(fault("%61=%ff&b=%"), "a utf8");
  EXPECT_EQ(fault("%G0=1"), "%G0 escape");
  EXPECT_EQ(fault("%C3=%A9"), "\xC3 utf8");
}

TEST_F(ServerTest, stop_lets_a_request_under_way_be_answered) {
  start();
  const Raw raw(server_->port());
  raw.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return held_.has_value(); });
  }
  std::thread answerer([this] {
    HttpResponse response;
    response.body = "late";
    held_->send(std::move(response));
  });
  server_->stop(Duration{5'000});
  answerer.join();
  EXPECT_NE(raw.read().find("late"), std::string::npos);
}

TEST_F(ServerTest, the_client_reads_answers_and_reuses_connections) {
  start();
  HttpClient client({});
  for (int i = 0; i < 3; ++i) {
    auto answer = client.call({.url = url("/hello?n=" + std::to_string(i))});
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_EQ(answer->body, "GET /hello?n=" + std::to_string(i) + " ");
  }
  auto answer = client.call({.method = "POST", .url = url("/p"), .body = "data"});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->body, "POST /p? data");
}

TEST(HttpClient, T1_nothing_happened_where_nothing_could_be_sent) {
  HttpClient client({.connect_timeout = Duration{1'000}});
  for (const char* url : {"http://127.0.0.1:1/", "http://no-such-name.invalid/", "ftp://x/",
                          "http://u:p@127.0.0.1/", "http:///", "http://127.0.0.1:x/"}) {
    auto answer = client.call({.method = "POST", .url = url, .body = "x"});
    ASSERT_FALSE(answer.has_value()) << url;
    EXPECT_EQ(answer.error().happened, Happened::no) << url;
  }
  auto injected = client.call({.url = "http://127.0.0.1:1/", .headers = {{"X", "a\r\nY: b"}}});
  EXPECT_EQ(injected.error().code, ErrorCode::invalid_argument);
}

/// Accepts connections, reads a request, and then does what it likes.
class Rude {
 public:
  explicit Rude(std::string answer, bool hang = false)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), hang_(hang) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 16), 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer)] { serve(answer); });
  }
  ~Rude() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port) + "/"; }
  std::uint16_t port = 0;
  std::atomic<int> requests{0};

 private:
  void serve(const std::string& answer) {
    while (true) {
      const int client = ::accept(fd_, nullptr, nullptr);
      if (client < 0) return;
      char buffer[4096];
      if (::recv(client, buffer, sizeof buffer, 0) > 0) ++requests;
      ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      if (hang_) (void)::recv(client, buffer, sizeof buffer, 0);
      ::close(client);
    }
  }
  int fd_;
  bool hang_;
  std::thread thread_;
};

TEST(HttpClient, T1_T5_an_answer_that_does_not_come_is_maybe_and_is_never_asked_for_twice) {
  for (const char* answer :
       {"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"}) {
    Rude rude(answer);
    HttpClient client({});
    auto reply = client.call({.method = "POST", .url = rude.url(), .body = "charge"});
    ASSERT_FALSE(reply.has_value());
    EXPECT_EQ(reply.error().happened, Happened::maybe) << answer;
    EXPECT_EQ(rude.requests, 1);
  }
}

TEST(HttpClient, T1_a_server_that_hangs_is_maybe) {
  Rude rude("", true);
  HttpClient client({.total_timeout = Duration{100}});
  auto reply = client.call({.method = "POST", .url = rude.url(), .body = "x"});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::timeout);
  EXPECT_EQ(reply.error().happened, Happened::maybe);
}

TEST(HttpClient, V1_an_interim_answer_is_not_the_answer) {
  Rude rude(
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n"
      "\r\nreal");
  HttpClient client({});
  auto reply = client.call({.url = rude.url()});
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "real");
}

TEST_F(ServerTest, a_refusal_after_a_head_request_has_its_body) {
  start({.body_bytes_max = 10});
  const Raw raw(server_->port());
  raw.send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  raw.read("\r\n\r\n");
  raw.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n");
  EXPECT_NE(raw.read().find("urn:trued:problem:too-large"), std::string::npos);
}

TEST(HttpClient, an_answer_beyond_the_bound_is_refused) {
  Rude rude("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + std::string(1'000, 'x'));
  HttpClient client({.response_bytes_max = 100});
  auto reply = client.call({.url = rude.url()});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::too_large);
}

TEST(BlockingPool, takes_no_more_than_its_bound_and_finishes_what_it_took) {
  std::atomic<int> done{0};
  std::mutex gate;
  gate.lock();
  {
    BlockingPool pool(1, 2);
    std::atomic<bool> begun{false};
    ASSERT_TRUE(pool.try_post([&] {
      begun = true;
      const std::scoped_lock lock(gate);
      ++done;
    }));
    while (!begun) std::this_thread::yield();
    EXPECT_TRUE(pool.try_post([&] { ++done; }));
    EXPECT_TRUE(pool.try_post([&] { ++done; }));
    EXPECT_FALSE(pool.try_post([&] { ++done; }));
    gate.unlock();
  }
  EXPECT_EQ(done, 3);
}

}  // namespace
}  // namespace trued::io
