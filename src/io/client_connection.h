// client_connection.h: one connection of the client, driven synchronously. Private to src/io.
//
// Whatever fails in open() happened before a byte of the request was sent. exchange() sends once;
// what it knows afterwards is in Exchange.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "base/result.h"
#include "base/time.h"
#include "io/http_client.h"
#include "io/http_types.h"
#include "io/http_url.h"
#include "io/resolver.h"

namespace trued::io {

using Deadline = std::chrono::steady_clock::time_point;

/// How a connection is made.
struct Route {
  Origin origin;
  const Proxy* proxy = nullptr;  ///< null: straight to the origin
  const AddressRules* addresses = nullptr;
  const Resolver* resolver = nullptr;
  boost::asio::ssl::context* tls = nullptr;
  std::string user_agent;
};

struct ExchangeLimits {
  Duration send{};
  Duration first_byte{};
  Deadline total_by{};
  std::size_t bytes_max = 0;
};

struct Exchange {
  /// The head of an answer came whole; the body as far as `ClientAnswer::body` says.
  std::optional<ClientAnswer> answer;
  Error failure;                 ///< where there is no answer
  bool answered_partly = false;  ///< some byte of an answer had come
  bool reusable = false;
};

class ClientConnection {
 public:
  using Message = boost::beast::http::request<boost::beast::http::string_body>;

  [[nodiscard]] static Result<std::unique_ptr<ClientConnection>> open(const Route& route,
                                                                      Deadline by);

  /// Sends once and reads the answer.
  [[nodiscard]] Exchange exchange(Message& message, const ExchangeLimits& limits);

  /// False if the other side has closed it, or sent what nobody asked for.
  [[nodiscard]] bool looks_alive();

 private:
  using Parser = boost::beast::http::response_parser<boost::beast::http::string_body>;

  ClientConnection() = default;
  Result<void> connect(const Route& route, Deadline by);
  Result<void> reach(const Origin& place, const Route& route, Deadline by);
  Result<void> tunnel(const Route& route, Deadline by);
  Result<void> secure(const Route& route, Deadline by);
  bool send(Message& message, const ExchangeLimits& limits, Exchange& exchange);
  bool await_head(std::optional<Parser>& parser, bool head_only, const ExchangeLimits& limits,
                  Exchange& exchange);
  void read_body(Parser& parser, Exchange& exchange);
  void read_some(Parser& parser);
  boost::beast::tcp_stream& lowest();
  void run();

  boost::asio::io_context context_{1};
  std::optional<boost::beast::tcp_stream> plain_;
  std::optional<boost::beast::ssl_stream<boost::beast::tcp_stream>> secure_;
  /// Bounded: a trailer, or the extension of a chunk, is taken as a whole, and may never end.
  boost::beast::flat_buffer buffer_{std::size_t{256} << 10U};
  boost::beast::error_code failure_;       ///< of the last step
  boost::beast::error_code send_failure_;  ///< of the request that is under way
  std::size_t moved_ = 0;                  ///< bytes of the last step
};

}  // namespace trued::io
