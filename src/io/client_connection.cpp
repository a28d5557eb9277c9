#include "io/client_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/assert.h"

namespace trued::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using std::chrono::steady_clock;

constexpr int kInterimMax = 16;  // interim answers before the one that counts
constexpr std::uint32_t kHeadBytesMax = 64U << 10U;

Error not_connected(const Origin& origin, ErrorCode code, const std::string& why) {
  return {.code = code,
          .happened = Happened::no,
          .retryable = true,
          .message = "cannot connect to " + origin.authority() + ": " + why};
}

Error not_connected(const Origin& origin, const beast::error_code& why) {
  const bool late = why == beast::error::timeout;
  return not_connected(origin, late ? ErrorCode::timeout : ErrorCode::unavailable,
                       late ? "no connection in time" : why.message());
}

Error broke_off(const std::string& what, const beast::error_code& why) {
  const bool late = why == beast::error::timeout;
  return {.code = late ? ErrorCode::timeout : ErrorCode::unavailable,
          .happened = Happened::maybe,
          .retryable = true,
          .message = what + (late ? "" : ": " + why.message())};
}

HttpResponse to_response(http::response<http::string_body>&& message) {
  HttpResponse response;
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    response.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  response.body = std::move(message.body());
  return response;
}

bool is_garbage(const beast::error_code& why) {
  const beast::error_code ended = http::error::end_of_stream;
  return why.category() == ended.category() && why != ended && why != http::error::partial_message;
}

tcp::endpoint endpoint_of(const IpAddress& address, std::uint16_t port) {
  if (address.v6) {
    return {asio::ip::address_v6(address.bytes), port};
  }
  asio::ip::address_v4::bytes_type bytes;
  std::copy_n(address.bytes.begin(), bytes.size(), bytes.begin());
  return {asio::ip::address_v4(bytes), port};
}

Duration left(Deadline by) {
  return std::max(Duration{0}, std::chrono::ceil<Duration>(by - steady_clock::now()));
}

// What OpenSSL has against a certificate says more than "certificate verify failed".
std::string tls_reason(SSL* ssl, const beast::error_code& why) {
  const long verdict = ::SSL_get_verify_result(ssl);
  if (verdict == X509_V_OK) return "TLS: " + why.message();
  return std::string("TLS: the certificate is not trusted: ") +
         ::X509_verify_cert_error_string(verdict);
}

// The name or address that the certificate must be for.
bool expect_host(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* wanted = ::SSL_get0_param(ssl);
  if (parse_ip(host)) return ::X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1;
  ::X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  // An address is no server name (RFC 6066, section 3).
  return ::SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 &&
         ::X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size()) == 1;
}

}  // namespace

void ClientConnection::run() {
  context_.restart();
  context_.run();
}

beast::tcp_stream& ClientConnection::lowest() {
  TRUED_ASSERT(secure_.has_value() != plain_.has_value());
  return secure_ ? beast::get_lowest_layer(*secure_) : *plain_;
}

Result<std::unique_ptr<ClientConnection>> ClientConnection::open(const Route& route, Deadline by) {
  try {
    std::unique_ptr<ClientConnection> connection(new ClientConnection());
    TRUED_TRY_VOID(connection->connect(route, by));
    return connection;
  } catch (const std::exception& e) {
    // Out of descriptors, or of memory.
    return not_connected(route.origin, ErrorCode::unavailable, e.what());
  }
}

Result<void> ClientConnection::connect(const Route& route, Deadline by) {
  TRUED_ASSERT(route.addresses != nullptr && route.resolver != nullptr);
  TRUED_ASSERT(!route.origin.tls || route.tls != nullptr);
  TRUED_ASSERT(!secure_ && !plain_);  // a connection is made once
  if (route.origin.tls) {
    secure_.emplace(context_, *route.tls);
  } else {
    plain_.emplace(context_);
  }
  if (route.proxy == nullptr) {
    TRUED_TRY_VOID(reach(route.origin, route, by));
  } else {
    TRUED_TRY_VOID(reach(route.proxy->origin, route, by));
    if (route.origin.tls) TRUED_TRY_VOID(tunnel(route, by));
  }
  beast::error_code ignored;
  lowest().socket().set_option(tcp::no_delay(true), ignored);
  if (secure_) return secure(route, by);
  return {};
}

// Connects to the first address of `place` that may be connected to and answers.
Result<void> ClientConnection::reach(const Origin& place, const Route& route, Deadline by) {
  TRUED_TRY(const auto addresses, (*route.resolver)(place.host, left(by)));
  const std::uint16_t port = place.port_number();
  Error why = not_connected(place, ErrorCode::unavailable, "it has no address");
  bool tried = false;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const IpAddress address = unmapped(addresses.at(i));
    // A proxy is named by the configuration alone, and leads nowhere by itself.
    const std::string wrong = route.proxy == nullptr ? refused(*route.addresses, address) : "";
    if (!wrong.empty()) {
      if (!tried) why = not_connected(place, ErrorCode::permission_denied, wrong);
      continue;
    }
    tried = true;
    // Each gets its share, so that one that swallows everything leaves time for the next.
    const Duration share = left(by) / static_cast<std::int64_t>(addresses.size() - i);
    beast::error_code ignored;
    lowest().socket().close(ignored);
    lowest().expires_after(share);
    lowest().async_connect(endpoint_of(address, port),
                           [&](const beast::error_code& failure) { failure_ = failure; });
    run();
    if (!failure_) return {};
    why = not_connected(place, failure_);
  }
  if (why.code == ErrorCode::permission_denied) why.retryable = false;
  return why;
}

Result<void> ClientConnection::tunnel(const Route& route, Deadline by) {
  TRUED_ASSERT(route.proxy != nullptr && route.origin.tls);
  const auto failed = [&](const std::string& what) {
    return not_connected(route.origin, ErrorCode::unavailable,
                         "the proxy " + route.proxy->origin.authority() + " " + what);
  };
  http::request<http::empty_body> request;
  request.version(11);
  request.method(http::verb::connect);
  request.target(route.origin.authority());
  request.set(http::field::host, route.origin.authority());
  request.set(http::field::user_agent, route.user_agent);
  if (!route.proxy->authorization.empty()) {
    request.set(http::field::proxy_authorization, route.proxy->authorization);
  }
  const auto note = [&](const beast::error_code& why, std::size_t) { failure_ = why; };
  http::response_parser<http::empty_body> parser;
  parser.skip(true);  // a tunnel has no body, whatever its head says (RFC 9110, section 9.3.6)
  lowest().expires_at(by);
  http::async_write(lowest(), request, note);
  run();
  if (!failure_) {
    http::async_read_header(lowest(), buffer_, parser, note);
    run();
  }
  if (failure_) return failed("broke the connection off: " + failure_.message());
  const unsigned status = parser.get().result_int();
  if (status < 200 || status > 299) {
    return failed("refused to connect: status " + std::to_string(status));
  }
  if (buffer_.size() != 0) return failed("said more than it was asked");
  return {};
}

Result<void> ClientConnection::secure(const Route& route, Deadline by) {
  TRUED_ASSERT(secure_.has_value());
  SSL* const ssl = secure_->native_handle();
  if (!expect_host(ssl, route.origin.host)) {
    return not_connected(route.origin, ErrorCode::internal, "TLS: no such server name");
  }
  lowest().expires_at(by);
  secure_->async_handshake(asio::ssl::stream_base::client,
                           [&](const beast::error_code& why) { failure_ = why; });
  run();
  if (!failure_) return {};
  if (failure_ == beast::error::timeout) return not_connected(route.origin, failure_);
  return not_connected(route.origin, ErrorCode::unavailable, tls_reason(ssl, failure_));
}

Exchange ClientConnection::exchange(Message& message, const ExchangeLimits& limits) {
  Exchange exchange;
  std::optional<Parser> parser;
  const bool head_only = message.method() == http::verb::head;
  try {
    if (send(message, limits, exchange) && await_head(parser, head_only, limits, exchange)) {
      read_body(*parser, exchange);
    }
    lowest().expires_never();
  } catch (const std::exception& e) {
    exchange.answer.reset();
    exchange.reusable = false;
    exchange.failure = {.code = ErrorCode::internal,
                        .happened = Happened::maybe,
                        .message = std::string("the exchange broke: ") + e.what()};
  }
  TRUED_ASSERT(exchange.answer || !exchange.failure.message.empty());
  TRUED_ASSERT(exchange.answer || !exchange.reusable);
  return exchange;
}

// False if nothing can come of it.
bool ClientConnection::send(Message& message, const ExchangeLimits& limits, Exchange& exchange) {
  const auto note = [&](const beast::error_code& why, std::size_t bytes) {
    failure_ = why;
    moved_ = bytes;
  };
  lowest().expires_at(std::min(limits.total_by, steady_clock::now() + limits.send));
  secure_ ? http::async_write(*secure_, message, note) : http::async_write(*plain_, message, note);
  run();
  send_failure_ = failure_;
  if (!failure_) return true;
  if (failure_ == beast::error::timeout) {
    exchange.failure = broke_off("the request could not be sent in time", failure_);
  } else {
    exchange.failure = broke_off("the connection broke while the request was sent", failure_);
  }
  if (plain_ && moved_ == 0) {
    exchange.failure.happened = Happened::no;
    exchange.failure.message = "the connection took no byte of the request: " + failure_.message();
    return false;
  }
  // A server may answer before it has read everything (413), and stop reading: its answer counts.
  return failure_ != beast::error::timeout;
}

void ClientConnection::read_some(Parser& parser) {
  const auto note = [&](const beast::error_code& why, std::size_t) { failure_ = why; };
  secure_ ? http::async_read_some(*secure_, buffer_, parser, note)
          : http::async_read_some(*plain_, buffer_, parser, note);
  run();
}

// Reads up to the end of the head that counts; false if none came.
bool ClientConnection::await_head(std::optional<Parser>& parser, bool head_only,
                                  const ExchangeLimits& limits, Exchange& exchange) {
  const Deadline first_by = std::min(limits.total_by, steady_clock::now() + limits.first_byte);
  const auto fail = [&](Error error) {
    // What broke the sending says more than that nothing came afterwards.
    if (!send_failure_) exchange.failure = std::move(error);
    return false;
  };
  for (int interim = 0; interim <= kInterimMax; ++interim) {
    parser.emplace();
    parser->header_limit(kHeadBytesMax);
    parser->body_limit(limits.bytes_max);
    parser->skip(head_only);
    lowest().expires_at(first_by);
    while (!parser->is_header_done()) {
      read_some(*parser);
      exchange.answered_partly = exchange.answered_partly || parser->got_some();
      if (parser->is_header_done()) break;
      if (failure_ == beast::error::timeout) {
        return fail(broke_off(parser->got_some() ? "the head of the answer did not end in time"
                                                 : "no answer came in time",
                              failure_));
      }
      if (is_garbage(failure_)) return fail(broke_off("what came is no HTTP answer", failure_));
      if (failure_)
        return fail(broke_off("the connection broke while the answer was awaited", failure_));
      if (parser->got_some()) lowest().expires_at(limits.total_by);
    }
    const unsigned status = parser->get().result_int();
    // Interim answers (1xx) come before the one that counts (RFC 9110, section 15.2). Nobody asked
    // for another protocol (101).
    if (status >= 200 || status == 101) break;
    if (interim == kInterimMax) {
      return fail(broke_off("only interim answers came", http::error::bad_status));
    }
  }
  TRUED_ASSERT(parser.has_value() && parser->is_header_done());
  lowest().expires_at(limits.total_by);
  return true;
}

void ClientConnection::read_body(Parser& parser, Exchange& exchange) {
  TRUED_ASSERT(parser.is_header_done() && !exchange.answer);
  while (!parser.is_done() && !failure_) read_some(parser);
  ClientAnswer answer;
  if (!parser.is_done()) {
    if (failure_ == http::error::body_limit) {
      answer.body = BodyState::too_large;
      answer.body_detail = "it is larger than allowed";
    } else if (failure_ == beast::error::timeout) {
      answer.body = BodyState::late;
      answer.body_detail = "it did not end in time";
    } else {
      answer.body = BodyState::broken;
      answer.body_detail = failure_.message();
    }
  }
  exchange.reusable = parser.is_done() && parser.keep_alive() && !send_failure_ &&
                      buffer_.size() == 0 && parser.get().result_int() != 101;
  answer.response = to_response(parser.release());
  exchange.answer = std::move(answer);
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
