// relay.h: hands requests on to another HTTP server and its answers back, without a thread for
// each: many may wait there for a long time.
//
//   Passage: connecting ─► writing ─► waiting ─► whole answer, or in pieces as they come
//                │            │          │
//                └────────────┴──────────┴─► failed, with the responder back; abandoned
//
// A request is sent at most once. Headers that belong to one connection alone are left out in both
// directions (RFC 9110, section 7.6.1). What is given up once an answer has begun ends the client's
// connection: it sees that the answer is not whole.
//
// Everything on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/time.h"
#include "io/http_server.h"
#include "io/http_types.h"
#include "io/loop.h"

namespace trued::io {

struct Upstream {
  std::string host;  ///< a name or an address
  std::uint16_t port = 0;
  /// Of "http://host:port"; nothing for anything else.
  [[nodiscard]] static std::optional<Upstream> parse(const std::string& url);
  [[nodiscard]] std::string authority() const;
};

struct RelayOptions {
  Duration connect_timeout{2'000};  ///< with looking the name up
  Duration write_timeout{60'000};
  Duration idle_timeout{10'000};  ///< a connection that rests longer is not used again
  std::size_t idle_max = 64;
  std::size_t whole_bytes_max = std::size_t{1} << 20;    ///< longer answers are handed on in pieces
  std::size_t ahead_bytes_max = std::size_t{256} << 10;  ///< read and not yet taken by the client
};

/// Why there is no answer.
struct RelayFailure {
  bool sent = true;  ///< false: nothing that could be acted on was sent, or it was turned away
  std::string why;
};

class Relay {
 public:
  /// The request is given back, to be handed on once more or answered.
  using Failed = std::move_only_function<void(RelayFailure, Responder)>;
  /// Of an answer without a body yet to be read apart from `body`: true if it turns the request
  /// away so that it may be handed on elsewhere; it counts as not sent then.
  using TurnsAway = std::function<bool(const HttpResponse&)>;

  class Passage;

  Relay(Loop& loop, RelayOptions options);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// `request` with the headers that are to be sent, but Host and those of the connection.
  std::shared_ptr<Passage> pass(const Upstream& upstream,
                                std::shared_ptr<const HttpRequest> request, Responder responder,
                                TurnsAway turns_away, Failed failed);
  /// Fails it as sent, unless its answer has come; an answer that has begun is cut off.
  static void abandon(const std::shared_ptr<Passage>& passage);
  [[nodiscard]] static bool is_over(const std::shared_ptr<Passage>& passage);

  class Idle;  ///< for src/io/relay.cpp

 private:
  Loop& loop_;
  const RelayOptions options_;
  std::shared_ptr<Idle> idle_;
};

}  // namespace trued::io
