#include "io/client_connection.h"

#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <openssl/ssl.h>

namespace trued::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

constexpr int kInterimMax = 16;  // interim answers before the one that counts

Error not_connected(const Origin& origin, const beast::error_code& why) {
  return {.code = why == beast::error::timeout ? ErrorCode::timeout : ErrorCode::unavailable,
          .happened = Happened::no,
          .retryable = true,
          .message = "cannot connect to " + origin.host + ":" + origin.port + ": " + why.message()};
}

Error broke_off(const char* where, const beast::error_code& why) {
  return {.code = why == beast::error::timeout ? ErrorCode::timeout : ErrorCode::unavailable,
          .happened = Happened::maybe,
          .retryable = true,
          .message = std::string("the connection broke while ") + where + ": " + why.message()};
}

HttpResponse to_response(http::response<http::string_body> message) {
  HttpResponse response;
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    response.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  response.body = std::move(message.body());
  return response;
}

}  // namespace

void ClientConnection::run() {
  context_.restart();
  context_.run();
}

beast::tcp_stream& ClientConnection::lowest() {
  return secure_ ? beast::get_lowest_layer(*secure_) : *plain_;
}

Result<std::unique_ptr<ClientConnection>> ClientConnection::open(const Origin& origin,
                                                                 asio::ssl::context& tls,
                                                                 Duration timeout) {
  std::unique_ptr<ClientConnection> connection(new ClientConnection());
  TRUED_TRY_VOID(connection->connect(origin, tls, timeout));
  return connection;
}

Result<void> ClientConnection::connect(const Origin& origin, asio::ssl::context& tls,
                                       Duration timeout) {
  if (origin.tls) {
    secure_.emplace(context_, tls);
    if (SSL_set_tlsext_host_name(secure_->native_handle(), origin.host.c_str()) != 1) {
      return Error{.code = ErrorCode::internal, .message = "cannot set the TLS server name"};
    }
    secure_->set_verify_callback(asio::ssl::host_name_verification(origin.host));
  } else {
    plain_.emplace(context_);
  }
  beast::error_code failure = asio::error::timed_out;
  tcp::resolver resolver(context_);
  tcp::resolver::results_type addresses;
  resolver.async_resolve(origin.host, origin.port,
                         [&](const beast::error_code& why, tcp::resolver::results_type found) {
                           failure = why;
                           addresses = std::move(found);
                         });
  run();
  if (failure) return not_connected(origin, failure);
  lowest().expires_after(timeout);
  lowest().async_connect(
      addresses, [&](const beast::error_code& why, const tcp::endpoint&) { failure = why; });
  run();
  if (failure) return not_connected(origin, failure);
  beast::error_code ignored;
  lowest().socket().set_option(tcp::no_delay(true), ignored);
  if (!secure_) return {};
  secure_->async_handshake(asio::ssl::stream_base::client,
                           [&](const beast::error_code& why) { failure = why; });
  run();
  if (failure) return not_connected(origin, failure);
  return {};
}

Exchange ClientConnection::exchange(Message& message, Duration timeout, std::size_t bytes_max) {
  beast::error_code failure;
  const auto note = [&](const beast::error_code& why, std::size_t) { failure = why; };
  lowest().expires_after(timeout);
  secure_ ? http::async_write(*secure_, message, note) : http::async_write(*plain_, message, note);
  run();
  // A server may answer before it has read everything; so a failed write is not the last word.
  const beast::error_code write_failure = failure;
  std::optional<http::response_parser<http::string_body>> reading;
  bool got_some = false;
  // Interim answers (1xx) come before the one that counts (RFC 9110, section 15.2).
  for (int interim = 0; interim <= kInterimMax; ++interim) {
    reading.emplace();
    reading->body_limit(bytes_max);
    reading->skip(message.method() == http::verb::head);
    secure_ ? http::async_read(*secure_, buffer_, *reading, note)
            : http::async_read(*plain_, buffer_, *reading, note);
    run();
    got_some = got_some || reading->got_some();
    const bool is_interim = !failure && reading->get().result_int() < 200;
    if (!is_interim) break;
    if (interim == kInterimMax) failure = http::error::bad_status;
  }
  auto& parser = *reading;
  Exchange exchange{.result = Error{}, .answered_partly = got_some, .reusable = false};
  if (!failure) {
    exchange.reusable = parser.keep_alive() && !write_failure && buffer_.size() == 0;
    exchange.result = to_response(parser.release());
  } else if (failure == http::error::body_limit) {
    exchange.result =
        Error{.code = ErrorCode::too_large,
              .happened = Happened::maybe,
              .retryable = false,
              .message = "the answer is larger than " + std::to_string(bytes_max) + " bytes"};
  } else if (write_failure) {
    exchange.result = broke_off("the request was sent", write_failure);
  } else {
    exchange.result = broke_off("the answer was awaited", failure);
  }
  lowest().expires_never();
  return exchange;
}

bool ClientConnection::looks_alive() {
  beast::error_code failure;
  tcp::socket& socket = lowest().socket();
  if (!socket.is_open()) return false;
  socket.non_blocking(true, failure);
  char byte = 0;
  socket.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, failure);
  // Nothing to read is what a connection at rest has; an end or a stray byte is not.
  return failure == asio::error::would_block || failure == asio::error::try_again;
}

}  // namespace trued::io
