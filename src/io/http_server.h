// http_server.h: an HTTP/1.1 server on a loop.
//
// Strict where leniency would be dangerous: one Content-Length, never together with
// Transfer-Encoding, no obsolete folding; headers, bodies, times and connections are bounded, and
// what exceeds a bound gets its problem (RFC 9457) and the connection ends. Pipelined requests are
// answered in order.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "io/http_types.h"
#include "io/loop.h"

namespace trued::io {

class Session;
class Mailbox;

/// A part of an answer that is made while it is sent. Empty and not the last: nothing is known yet.
struct Piece {
  std::string text;
  bool last = false;
  bool broken = false;  ///< the rest will never come: the connection ends, so that it can be seen
};

/// Tells a session that its answer has more to send. Any thread; nothing if the client is gone.
class Waker {
 public:
  Waker() = default;
  Waker(std::shared_ptr<Mailbox> mailbox, std::weak_ptr<Session> session);
  void wake() const;

 private:
  std::shared_ptr<Mailbox> mailbox_;
  std::weak_ptr<Session> session_;
};

/// The duty to answer one request, from any thread, once. Dropped unanswered it answers 500, so
/// that no client waits for nothing.
class Responder {
 public:
  Responder(std::shared_ptr<Mailbox> mailbox, std::weak_ptr<Session> session);
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&&) noexcept = default;
  ~Responder();

  /// Asserts that it was not called before. The answer is dropped if the client is gone.
  void send(HttpResponse response);
  /// The same; the answer is made on the loop's thread, and only if the client is still there. For
  /// callers who have more urgent things to do.
  void send_made(std::move_only_function<HttpResponse()> make);
  /// Answers with `head` (whose body is not used) at once and then with the pieces of `next`, one
  /// at a time, as the client takes them. `next` runs on the loop's thread; after an empty piece it
  /// is asked again when the waker says so. It is dropped with its last piece or with the client.
  Waker stream(HttpResponse head, std::move_only_function<Piece()> next);
  /// For answers that take long: true as soon as the client is known to have gone. A client that
  /// has sent more meanwhile, or closes only its own side, is not told apart from one that waits or
  /// has gone. Any thread.
  [[nodiscard]] std::shared_ptr<const std::atomic<bool>> watch();

 private:
  std::shared_ptr<Mailbox> mailbox_;  ///< null once answered or moved from
  std::weak_ptr<Session> session_;
};

class HttpServer {
 public:
  struct Options {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0: a free one
    std::size_t body_bytes_max = std::size_t{16} << 20;
    /// A body limit by request target, instead of body_bytes_max.
    std::function<std::size_t(std::string_view target)> body_limit_for = {};
    std::size_t header_bytes_max = std::size_t{32} << 10;
    std::size_t connections_max = 20'000;  ///< beyond it, new ones wait to be accepted
    Duration header_timeout{10'000};       ///< from the first byte of a request
    Duration body_timeout{60'000};
    Duration idle_timeout{75'000};  ///< between requests
    Duration write_timeout{60'000};
  };
  /// Runs on the loop's thread and must not block.
  using Handler = std::move_only_function<void(HttpRequest&&, Responder)>;

  /// Listens. `unavailable` if the address cannot be had (named); nothing happened.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> listen(Loop& loop, Options options,
                                                                  Handler handler);
  /// Stops at once if stop() was not called.
  ~HttpServer();

  [[nodiscard]] std::uint16_t port() const;

  /// Stops accepting, ends idle connections, lets requests under way be answered; after `grace`
  /// ends them too. Blocks; not on the loop's thread.
  void stop(Duration grace);

 private:
  class Impl;
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace trued::io
