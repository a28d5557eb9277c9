#include "io/session.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <exception>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

#include "base/assert.h"
#include "base/encoding.h"

namespace trued::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t kTargetBytesMax = 8 * 1024;
constexpr std::size_t kKeepBufferBytes = 64 * 1024;
constexpr Duration kLinger{1'000};
// What is read and not yet taken, besides a head: an extension of a chunk or a trailer is taken as
// a whole, and nothing else bounds them.
constexpr std::size_t kUntakenBytesMax = 128 * 1024;

// A line break within a header would begin another one, or the body: whatever a value was made of,
// it stays one line.
void append_line(std::string& out, std::string_view text) {
  for (const char c : text) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
}

void append(std::string& out, const Header& header) {
  append_line(out, header.name);
  out += ": ";
  append_line(out, header.value);
  out += "\r\n";
}

void append_number(std::string& out, std::size_t number) {
  std::array<char, 24> digits{};
  out.append(digits.data(),
             std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

std::string_view text_of(beast::string_view text) { return {text.data(), text.size()}; }

// Splits the target and decodes its path; says what is wrong with it, or nothing.
std::string_view split_target(HttpRequest& request) {
  const std::size_t question = std::min(request.target.find('?'), request.target.size());
  request.query = request.target.substr(std::min(question + 1, request.target.size()));
  const std::string_view path = std::string_view(request.target).substr(0, question);
  if (!path.starts_with('/')) return "its target is neither a path nor an http:// URL";
  if (!percent_decode(path, false, request.path)) {
    return "the path of its target has a '%' that two hexadecimal digits do not follow";
  }
  if (!utf8_valid(request.path)) return "the path of its target is not valid UTF-8";
  if (request.path.find('\0') != std::string::npos) return "the path of its target holds a NUL";
  return {};
}

// A whole URL as the target, which proxies and some clients send, becomes its path and query; its
// authority then stands instead of the Host header (RFC 9112, section 3.2.2), where everything that
// says which hosts are ours will look for it. A header that is missing or there twice stays so:
// such a request is refused.
void take_url(http::request_header<>& header) {
  const std::string target(text_of(header.target()));
  std::size_t begin = 0;
  for (const beast::string_view scheme : {"http://", "https://"}) {
    if (beast::iequals(beast::string_view(target).substr(0, scheme.size()), scheme)) {
      begin = scheme.size();
    }
  }
  const std::size_t end = std::min(target.find_first_of("/?", begin), target.size());
  if (begin == 0 || begin == end) return;
  header.target((end < target.size() && target[end] == '/' ? "" : "/") + target.substr(end));
  if (header.count(http::field::host) == 1) {
    header.set(http::field::host, target.substr(begin, end - begin));
  }
}

// Lengths that another reader of the same bytes could take differently: two of them, even if they
// agree, a coding whose end only some recognise, or any coding of HTTP/1.0, which knows none
// (RFC 9112, sections 6.1 and 6.3).
bool has_one_clear_length(const http::request_header<>& header) {
  std::size_t lengths = 0;
  for (const auto& field : header) {
    if (field.name() == http::field::content_length) {
      lengths += field.value().find(',') == beast::string_view::npos ? 1 : 2;
    }
    if (field.name() == http::field::transfer_encoding &&
        (header.version() < 11 || !beast::iequals(field.value(), "chunked"))) {
      return false;
    }
  }
  return lengths <= 1 && header.count(http::field::transfer_encoding) <= 1;
}

std::string problem_json(int status, std::string_view name, std::string_view title,
                         std::string_view detail) {
  // Every text here is ours and needs no escaping.
  for (const std::string_view text : {name, title, detail}) {
    TRUED_ASSERT(text.find_first_of("\"\\\n") == std::string_view::npos);
  }
  std::string body = R"({"type":"urn:trued:problem:)";
  body += name;
  body += R"(","title":")";
  body += title;
  body += R"(","status":)" + std::to_string(status) + R"(,"detail":")";
  body += detail;
  body += "\"}";
  return body;
}

}  // namespace

void Mailbox::put(std::weak_ptr<Session> session, Letter letter) {
  TRUED_ASSERT(letter != nullptr);
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    first = letters_.empty();
    letters_.emplace_back(std::move(session), std::move(letter));
  }
  if (first) asio::post(context_, [self = shared_from_this()] { self->deliver(); });
}

void Mailbox::deliver() {
  std::vector<std::pair<std::weak_ptr<Session>, Letter>> letters;
  {
    const std::scoped_lock lock(mutex_);
    letters.swap(letters_);
  }
  TRUED_ASSERT(!letters.empty());  // one wake-up for each time that there were none before
  for (auto& [session, letter] : letters) {
    if (const auto alive = session.lock()) letter(alive);
  }
}

Session::Session(asio::ip::tcp::socket socket, std::shared_ptr<SessionHost> host)
    : stream_(std::move(socket)),
      host_(std::move(host)),
      buffer_(host_->options().header_bytes_max + kUntakenBytesMax) {
  beast::error_code ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto endpoint = stream_.socket().remote_endpoint(ignored);
  peer_ = endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

void Session::start() { wait_for_request(); }

void Session::wait_for_request() {
  if (closed_) return;
  if (host_->stopping() && buffer_.size() == 0) return close();
  if (buffer_.size() > 0) return read_header();
  stream_.expires_after(host_->options().idle_timeout);
  stream_.async_read_some(buffer_.prepare(4'096),
                          [self = shared_from_this()](Failure failure, std::size_t bytes) {
                            if (failure) return self->close();
                            self->buffer_.commit(bytes);
                            self->read_header();
                          });
}

void Session::read_header() {
  TRUED_ASSERT(!handling_ && !writing_ && !pieces_);  // one request after the other
  const HttpServer::Options& options = host_->options();
  parser_.emplace();
  head_ = false;
  http_1_0_ = false;
  parser_->header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
  parser_->body_limit(boost::none);  // set once the target is known
  stream_.expires_after(options.header_timeout);
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](Failure failure, std::size_t) { self->on_header(failure); });
}

void Session::refuse_malformed(Failure failure) {
  if (failure == http::error::header_limit || failure == http::error::buffer_overflow) {
    return refuse(431, "header-too-large", "The request header is too large",
                  "the header exceeds the limit of this server");
  }
  if (failure == http::error::body_limit) {
    return refuse(413, "too-large", "The request is too large",
                  "the body exceeds the limit of this server; split it or raise the limit");
  }
  const bool theirs = failure.category() == make_error_code(http::error::bad_method).category();
  if (!theirs || failure == http::error::end_of_stream || failure == http::error::partial_message) {
    return close();
  }
  refuse(400, "malformed", "The request cannot be read", "it is not well-formed HTTP/1.1");
}

void Session::on_header(Failure failure) {
  if (failure) return refuse_malformed(failure);
  TRUED_ASSERT(parser_.has_value() && !handling_);
  const HttpServer::Options& options = host_->options();
  auto& message = parser_->get();
  head_ = message.method() == http::verb::head;
  http_1_0_ = message.version() < 11;
  if (!has_one_clear_length(message)) {
    return refuse(400, "malformed", "The request cannot be read",
                  "it does not say clearly how long its body is");
  }
  if (message.target().size() > kTargetBytesMax) {
    return refuse(414, "target-too-long", "The request target is too long",
                  "it exceeds 8192 bytes");
  }
  take_url(message);
  const std::size_t limit = options.body_limit_for
                                ? options.body_limit_for(text_of(message.target()))
                                : options.body_bytes_max;
  parser_->body_limit(limit);
  const auto length = parser_->content_length();
  if (length && *length > limit) {
    return refuse(413, "too-large", "The request is too large",
                  "the body exceeds the limit of this server; split it or raise the limit");
  }
  if (parser_->is_done()) return handle();
  const bool asks = beast::iequals(message[http::field::expect], "100-continue");
  if (!asks || http_1_0_) return read_body();
  out_ = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(stream_, asio::buffer(out_),
                    [self = shared_from_this()](Failure write_failure, std::size_t) {
                      if (write_failure) return self->close();
                      self->read_body();
                    });
}

void Session::read_body() {
  stream_.expires_after(host_->options().body_timeout);
  http::async_read(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](Failure failure, std::size_t) { self->on_body(failure); });
}

void Session::on_body(Failure failure) {
  if (failure) return refuse_malformed(failure);
  handle();
}

void Session::handle() {
  TRUED_ASSERT(parser_.has_value() && parser_->is_done());
  TRUED_ASSERT(!handling_ && !writing_ && !pieces_);
  stream_.expires_never();
  auto message = parser_->release();
  parser_.reset();
  keep_alive_ = message.keep_alive();
  HttpRequest request;
  request.method = text_of(message.method_string());
  request.target = text_of(message.target());
  request.peer = peer_;
  for (const auto& field : message) {
    request.headers.push_back(
        {std::string(text_of(field.name_string())), std::string(text_of(field.value()))});
  }
  request.body = std::move(message.body());
  if (const std::string_view wrong = split_target(request); !wrong.empty()) {
    return refuse(400, "malformed", "The request cannot be read", wrong);
  }
  handling_ = true;
  try {
    host_->handler()(std::move(request), Responder(host_->mailbox(), weak_from_this()));
  } catch (const std::exception&) {
    // The responder went with the stack and has answered 500; the server goes on.
  }
}

void Session::refuse(int status, std::string_view name, std::string_view title,
                     std::string_view detail) {
  keep_alive_ = false;
  HttpResponse response;
  response.status = status;
  response.headers.push_back({"Content-Type", "application/problem+json"});
  response.body = problem_json(status, name, title, detail);
  add_safety_headers(response);
  write(std::move(response));
}

void Session::answer(HttpResponse response) {
  if (closed_ || !handling_) return;
  handling_ = false;
  gone_ = nullptr;
  write(std::move(response));
}

void Session::watch(std::shared_ptr<std::atomic<bool>> gone) {
  if (closed_) {
    *gone = true;
    return;
  }
  if (!handling_) return;
  gone_ = std::move(gone);
  look_for_the_end();
}

// Nothing is read while a request is under way: what has come is looked at, and left where it is.
void Session::look_for_the_end() {
  stream_.socket().async_wait(
      asio::ip::tcp::socket::wait_read, [self = shared_from_this(), watched = gone_](Failure) {
        if (self->closed_ || !self->handling_ || self->gone_ != watched) return;
        char byte = 0;
        const auto bytes =
            ::recv(self->stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (bytes > 0) return;  // the next request: there is no telling any more
        const bool waits = bytes < 0 && (errno == EAGAIN || errno == EINTR);
        if (waits) return self->look_for_the_end();
        *watched = true;
      });
}

void Session::stream(HttpResponse head, std::move_only_function<Piece()> next) {
  if (closed_ || !handling_) return;
  TRUED_ASSERT(next != nullptr && !pieces_);
  handling_ = false;
  keep_alive_ = keep_alive_ && !http_1_0_ && !host_->stopping();
  begin_head(head);
  if (!http_1_0_) out_ += "Transfer-Encoding: chunked\r\n";
  end_head();
  if (!head_) pieces_ = std::move(next);
  write_out();
}

void Session::send_piece() {
  if (closed_ || writing_ || !pieces_) return;
  constexpr std::size_t kSizeDigits = 16;
  const Piece piece = pieces_();
  if (piece.broken) return close();
  if (piece.text.empty() && !piece.last) return;
  out_.clear();
  if (http_1_0_) {
    out_ += piece.text;
  } else if (!piece.text.empty()) {
    std::array<char, kSizeDigits> size{};
    out_.append(size.data(),
                std::to_chars(size.data(), size.data() + size.size(), piece.text.size(), 16).ptr);
    out_ += "\r\n";
    out_ += piece.text;
    out_ += "\r\n";
  }
  if (piece.last) {
    pieces_ = nullptr;
    if (!http_1_0_) out_ += "0\r\n\r\n";
  }
  write_out();
}

void Session::begin_head(const HttpResponse& response) {
  TRUED_ASSERT(response.status >= 200 && response.status <= 599);
  out_.clear();
  out_ += "HTTP/1.1 ";
  append_number(out_, static_cast<std::size_t>(response.status));
  out_ += ' ';
  out_ +=
      text_of(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status))));
  out_ += "\r\n";
  for (const Header& header : response.headers) append(out_, header);
}

void Session::end_head() {
  // A client of 1.0 closes unless it is told that the connection stays.
  if (!keep_alive_) out_ += "Connection: close\r\n";
  if (keep_alive_ && http_1_0_) out_ += "Connection: keep-alive\r\n";
  out_ += "\r\n";
}

void Session::write(HttpResponse response) {
  if (host_->stopping()) keep_alive_ = false;
  begin_head(response);
  const bool has_body = response.status != 204 && response.status != 304;
  if (has_body) {
    out_ += "Content-Length: ";
    append_number(out_, response.body.size());
    out_ += "\r\n";
  }
  end_head();
  if (!head_ && has_body) out_ += response.body;
  write_out();
}

void Session::write_out() {
  TRUED_ASSERT(!writing_ && !handling_);
  stream_.expires_after(host_->options().write_timeout);
  writing_ = true;
  parser_.reset();
  asio::async_write(
      stream_, asio::buffer(out_),
      [self = shared_from_this()](Failure failure, std::size_t) { self->on_written(failure); });
}

void Session::on_written(Failure failure) {
  TRUED_ASSERT(writing_);
  writing_ = false;
  if (failure) return close();
  if (pieces_) {
    stream_.expires_never();
    return send_piece();
  }
  if (!keep_alive_) {
    beast::error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    buffer_.clear();
    stream_.expires_after(kLinger);
    return linger();
  }
  if (out_.capacity() > kKeepBufferBytes) out_ = std::string();
  if (buffer_.size() == 0 && buffer_.capacity() > kKeepBufferBytes) buffer_.shrink_to_fit();
  wait_for_request();
}

// Reads what the client still sends, for a moment: closing over unread bytes would reset the
// connection, and the client might never see the answer.
void Session::linger() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(kKeepBufferBytes),
                          [self = shared_from_this()](Failure failure, std::size_t) {
                            failure ? self->close() : self->linger();
                          });
}

void Session::end_when_idle() {
  keep_alive_ = false;
  if (!handling_ && !parser_ && !writing_ && !pieces_) close();
}

void Session::close() {
  if (closed_) return;
  closed_ = true;
  if (gone_) *gone_ = true;
  pieces_ = nullptr;
  beast::error_code ignored;
  stream_.socket().close(ignored);
  host_->gone(shared_from_this());
}

}  // namespace trued::io
