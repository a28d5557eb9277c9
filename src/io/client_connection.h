// client_connection.h: one connection of the client, driven synchronously. Private to src/io.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "base/result.h"
#include "base/time.h"
#include "io/http_types.h"

namespace trued::io {

struct Origin {
  bool tls = false;
  std::string host;
  std::string port;
  [[nodiscard]] std::string key() const { return (tls ? "s:" : "p:") + host + ":" + port; }
};

struct Exchange {
  Result<HttpResponse> result;
  bool answered_partly = false;  ///< some byte of an answer had come
  bool reusable = false;
};

class ClientConnection {
 public:
  using Message = boost::beast::http::request<boost::beast::http::string_body>;

  [[nodiscard]] static Result<std::unique_ptr<ClientConnection>> open(
      const Origin& origin, boost::asio::ssl::context& tls, Duration timeout);

  /// Sends once and reads the answer.
  [[nodiscard]] Exchange exchange(Message& message, Duration timeout, std::size_t bytes_max);

  /// False if the other side has closed it, or sent what nobody asked for.
  [[nodiscard]] bool looks_alive();

 private:
  ClientConnection() = default;
  Result<void> connect(const Origin& origin, boost::asio::ssl::context& tls, Duration timeout);
  boost::beast::tcp_stream& lowest();
  void run();

  boost::asio::io_context context_{1};
  std::optional<boost::beast::tcp_stream> plain_;
  std::optional<boost::beast::ssl_stream<boost::beast::tcp_stream>> secure_;
  boost::beast::flat_buffer buffer_;
};

}  // namespace trued::io
