#include "io/relay.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <deque>
#include <optional>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/write.hpp>

#include "base/assert.h"
#include "io/loop_impl.h"

namespace trued::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Mono = std::chrono::steady_clock::time_point;

constexpr std::uint32_t kHeaderBytesMax = 64 * 1024;
constexpr std::size_t kReadBytes = 32 * 1024;

bool is_word(std::string_view a, std::string_view b) {
  return beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

// Of one connection alone, or made anew for each.
bool stays_here(std::string_view name) {
  static constexpr std::array<std::string_view, 12> kNames{"connection",
                                                           "keep-alive",
                                                           "proxy-authenticate",
                                                           "proxy-authorization",
                                                           "proxy-connection",
                                                           "te",
                                                           "trailer",
                                                           "transfer-encoding",
                                                           "upgrade",
                                                           "expect",
                                                           "host",
                                                           "content-length"};
  return std::ranges::any_of(kNames, [&](std::string_view one) { return is_word(one, name); });
}

// What Connection names belongs to the connection too.
bool is_named(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view one = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (one.starts_with(' ') || one.starts_with('\t')) one.remove_prefix(1);
    while (one.ends_with(' ') || one.ends_with('\t')) one.remove_suffix(1);
    if (is_word(one, name)) return true;
  }
  return false;
}

}  // namespace

std::optional<Upstream> Upstream::parse(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  std::string_view rest = url;
  if (!rest.starts_with(kScheme)) return std::nullopt;
  rest.remove_prefix(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  Upstream upstream;
  const std::string_view digits = rest.substr(colon + 1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), upstream.port);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || upstream.port == 0) {
    return std::nullopt;
  }
  std::string_view host = rest.substr(0, colon);
  const bool v6 = host.starts_with('[') && host.ends_with(']');
  if (v6) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!v6 && host.find_first_of(":/@?#") != std::string_view::npos)) {
    return std::nullopt;
  }
  upstream.host = host;
  return upstream;
}

std::string Upstream::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

/// Connections that rest, by the server that they lead to; the newest is used first.
class Relay::Idle {
 public:
  explicit Idle(const RelayOptions& options) : options_(options) {}

  std::optional<tcp::socket> take(const std::string& authority) {
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(resting_, [&](const Resting& one) { return one.until < now; });
    for (auto it = resting_.rbegin(); it != resting_.rend(); ++it) {
      if (it->authority != authority) continue;
      tcp::socket socket = std::move(it->socket);
      resting_.erase(std::next(it).base());
      // An end that can be read, or a stray byte: it is of no use.
      char byte = 0;
      const auto bytes = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return socket;
      return take(authority);
    }
    return std::nullopt;
  }
  void put(const std::string& authority, tcp::socket socket) {
    resting_.push_back(
        {authority, std::move(socket), std::chrono::steady_clock::now() + options_.idle_timeout});
    if (resting_.size() > options_.idle_max) resting_.pop_front();
    TRUED_ASSERT(resting_.size() <= options_.idle_max);
  }

 private:
  struct Resting {
    std::string authority;
    tcp::socket socket;
    Mono until;
  };
  const RelayOptions options_;
  std::deque<Resting> resting_;
};

class Relay::Passage : public std::enable_shared_from_this<Relay::Passage> {
 public:
  Passage(asio::io_context& context, const RelayOptions& options, std::shared_ptr<Idle> idle,
          const Upstream& upstream, std::shared_ptr<const HttpRequest> request, Responder responder,
          TurnsAway turns_away, Failed failed)
      : options_(options),
        idle_(std::move(idle)),
        upstream_(upstream),
        request_(std::move(request)),
        responder_(std::move(responder)),
        turns_away_(std::move(turns_away)),
        failed_(std::move(failed)),
        resolver_(context),
        context_(context) {}

  void start();
  void abandon() { fail("it was given up"); }
  [[nodiscard]] bool is_over() const { return over_; }

 private:
  using Failure = beast::error_code;
  /// What has been read of an answer in pieces and waits for the client; shared with its session.
  struct Flow {
    std::string text;
    bool last = false;
    bool broken = false;
    bool paused = false;  ///< the other side is not read from
  };

  void connect();
  void write();
  void read_head();
  void on_head();
  void begin_pieces();
  void read_more();
  void on_more(std::size_t bytes);
  void end();
  void fail(const std::string& why);

  const RelayOptions options_;
  std::shared_ptr<Idle> idle_;
  const Upstream upstream_;
  std::shared_ptr<const HttpRequest> request_;
  std::optional<Responder> responder_;  ///< until it has been answered or given back
  TurnsAway turns_away_;
  Failed failed_;
  tcp::resolver resolver_;
  asio::io_context& context_;
  std::optional<beast::tcp_stream> stream_;
  http::request<http::span_body<const char>> message_;
  beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::buffer_body>> parser_;
  std::array<char, kReadBytes> chunk_{};
  HttpResponse response_;
  std::shared_ptr<Flow> flow_;  ///< null: the answer is collected in response_
  Waker waker_;
  bool sent_ = false;
  bool over_ = false;
};

void Relay::Passage::start() {
  TRUED_ASSERT(responder_.has_value() && !stream_ && !over_);
  if (auto socket = idle_->take(upstream_.authority())) {
    stream_.emplace(std::move(*socket));
    return write();
  }
  stream_.emplace(context_);
  resolver_.async_resolve(
      upstream_.host, std::to_string(upstream_.port),
      [self = shared_from_this()](Failure failure, const tcp::resolver::results_type& found) {
        if (self->over_) return;
        if (failure) return self->fail("its name cannot be looked up: " + failure.message());
        self->stream_->expires_after(self->options_.connect_timeout);
        self->stream_->async_connect(found, [self](Failure refused, const tcp::endpoint&) {
          if (self->over_) return;
          if (refused) return self->fail("it cannot be reached: " + refused.message());
          Failure ignored;
          self->stream_->socket().set_option(tcp::no_delay(true), ignored);
          self->write();
        });
      });
}

void Relay::Passage::write() {
  TRUED_ASSERT(stream_.has_value() && !sent_ && !over_);  // a request is sent at most once
  const bool head = request_->method == "HEAD";           // the session leaves the body out itself
  message_.method_string(head ? std::string("GET") : request_->method);
  message_.target(request_->target);
  message_.version(11);
  message_.set(http::field::host, upstream_.authority());
  const std::string* connection = request_->find("Connection");
  for (const Header& header : request_->headers) {
    const bool named = connection != nullptr && is_named(*connection, header.name);
    if (!named && !stays_here(header.name)) message_.insert(header.name, header.value);
  }
  message_.body() = beast::span<const char>(request_->body.data(), request_->body.size());
  if (!request_->body.empty() || request_->method == "POST") {
    message_.content_length(request_->body.size());
  }
  stream_->expires_after(options_.write_timeout);
  http::async_write(*stream_, message_, [self = shared_from_this()](Failure failure, std::size_t) {
    if (self->over_) return;
    if (failure) return self->fail("the connection was lost");
    self->read_head();
  });
  // From here on it may be read and acted on.
  sent_ = true;
}

void Relay::Passage::read_head() {
  TRUED_ASSERT(sent_ && !parser_);
  parser_.emplace();
  parser_->header_limit(kHeaderBytesMax);
  parser_->body_limit(boost::none);
  stream_->expires_never();  // who waits is the client; it, or whoever knows better, gives up
  http::async_read_header(*stream_, buffer_, *parser_,
                          [self = shared_from_this()](Failure failure, std::size_t) {
                            if (self->over_) return;
                            if (failure) return self->fail("it was lost before it had answered");
                            self->on_head();
                          });
}

void Relay::Passage::on_head() {
  TRUED_ASSERT(responder_.has_value() && !flow_ && parser_->is_header_done());
  const auto& message = parser_->get();
  response_.status = static_cast<int>(message.result_int());
  const beast::string_view named = message[http::field::connection];
  for (const auto& field : message) {
    const std::string name(field.name_string().data(), field.name_string().size());
    if (stays_here(name) || is_named({named.data(), named.size()}, name)) continue;
    response_.headers.push_back({name, std::string(field.value().data(), field.value().size())});
  }
  const auto length = parser_->content_length();
  const bool whole = parser_->is_done() || (length && *length <= options_.whole_bytes_max);
  if (!whole) begin_pieces();
  if (parser_->is_done()) return end();
  read_more();
}

void Relay::Passage::begin_pieces() {
  TRUED_ASSERT(responder_.has_value() && !flow_);
  flow_ = std::make_shared<Flow>();
  // Goes with the last piece, or with the client.
  std::shared_ptr<void> taken(nullptr, [weak = weak_from_this()](void*) {
    if (const auto self = weak.lock()) self->fail("the client has gone");
  });
  waker_ = responder_->stream(
      std::exchange(response_, {}),
      [flow = flow_, weak = weak_from_this(), taken = std::move(taken)]() -> Piece {
        if (flow->broken) return {.text = {}, .last = false, .broken = true};
        Piece piece{.text = std::exchange(flow->text, {}), .last = flow->last, .broken = false};
        if (flow->paused && !piece.text.empty()) {
          flow->paused = false;
          if (const auto self = weak.lock()) self->read_more();
        }
        return piece;
      });
  responder_.reset();
}

void Relay::Passage::read_more() {
  if (over_) return;
  TRUED_ASSERT(!parser_->is_done() && (!flow_ || !flow_->paused));
  auto& body = parser_->get().body();
  body.data = chunk_.data();
  body.size = chunk_.size();
  body.more = true;
  http::async_read_some(*stream_, buffer_, *parser_,
                        [self = shared_from_this()](Failure failure, std::size_t) {
                          if (self->over_) return;
                          if (failure == http::error::need_buffer) failure = {};
                          const auto& rest = self->parser_->get().body();
                          if (failure) return self->fail("it was lost while it answered");
                          self->on_more(self->chunk_.size() - rest.size);
                        });
}

void Relay::Passage::on_more(std::size_t bytes) {
  TRUED_ASSERT(bytes <= chunk_.size());
  TRUED_ASSERT(responder_.has_value() == (flow_ == nullptr));
  const std::string_view text(chunk_.data(), bytes);
  if (parser_->is_done()) {
    (flow_ ? flow_->text : response_.body) += text;
    return end();
  }
  if (!flow_) {
    response_.body += text;
    return read_more();
  }
  flow_->text += text;
  flow_->paused = flow_->text.size() >= options_.ahead_bytes_max;
  waker_.wake();
  if (!flow_->paused) read_more();
}

void Relay::Passage::end() {
  TRUED_ASSERT(!over_ && parser_->is_done());
  TRUED_ASSERT(responder_.has_value() == (flow_ == nullptr));
  over_ = true;
  if (parser_->get().keep_alive() && buffer_.size() == 0) {
    stream_->expires_never();
    idle_->put(upstream_.authority(), stream_->release_socket());
  }
  if (flow_) {
    flow_->last = true;
    return waker_.wake();
  }
  Responder responder = std::move(*responder_);
  responder_.reset();
  if (turns_away_ && turns_away_(response_)) {
    return failed_({.sent = false, .why = "it turned the request away"}, std::move(responder));
  }
  responder.send(std::move(response_));
}

void Relay::Passage::fail(const std::string& why) {
  if (over_) return;
  over_ = true;
  resolver_.cancel();
  Failure ignored;
  stream_->socket().close(ignored);
  if (flow_) {
    flow_->broken = true;
    return waker_.wake();
  }
  TRUED_ASSERT(responder_.has_value());
  Responder responder = std::move(*responder_);
  responder_.reset();
  failed_({.sent = sent_, .why = upstream_.authority() + ": " + why}, std::move(responder));
}

Relay::Relay(Loop& loop, RelayOptions options)
    : loop_(loop), options_(options), idle_(std::make_shared<Idle>(options)) {}

Relay::~Relay() = default;

std::shared_ptr<Relay::Passage> Relay::pass(const Upstream& upstream,
                                            std::shared_ptr<const HttpRequest> request,
                                            Responder responder, TurnsAway turns_away,
                                            Failed failed) {
  TRUED_ASSERT(request != nullptr && failed != nullptr && upstream.port != 0);
  auto passage =
      std::make_shared<Passage>(loop_.impl().context, options_, idle_, upstream, std::move(request),
                                std::move(responder), std::move(turns_away), std::move(failed));
  passage->start();
  return passage;
}

void Relay::abandon(const std::shared_ptr<Passage>& passage) { passage->abandon(); }
bool Relay::is_over(const std::shared_ptr<Passage>& passage) { return passage->is_over(); }

}  // namespace trued::io
