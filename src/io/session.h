// session.h: one connection of the server. Private to src/io.
//
//   Waiting ──first byte──► Header ──► Body ──► Handling ──answer──► Writing ──► Waiting | Closed
//
// An answer in pieces (stream) writes its head, then one piece after another: the next one is made
// when the one before it has been taken, so a slow client costs one piece of memory.
//
// Everything runs on the loop's thread, except Mailbox::put(). A session lives as long as an
// operation of it is pending or the server holds it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "io/http_server.h"
#include "io/request_parser.h"

namespace trued::io {

/// Brings what sessions are to do from any thread to the loop's; many at once cause one wake-up.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  explicit Mailbox(boost::asio::io_context& context) : context_(context) {}
  using Letter = std::move_only_function<void(const std::shared_ptr<Session>&)>;
  void put(std::weak_ptr<Session> session, Letter letter);

 private:
  void deliver();

  boost::asio::io_context& context_;
  std::mutex mutex_;
  std::vector<std::pair<std::weak_ptr<Session>, Letter>> letters_;
};

/// What a session needs of its server.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const HttpServer::Options& options() const = 0;
  virtual HttpServer::Handler& handler() = 0;
  virtual std::shared_ptr<Mailbox> mailbox() = 0;
  virtual bool stopping() const = 0;
  virtual void gone(const std::shared_ptr<Session>& session) = 0;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(boost::asio::ip::tcp::socket socket, std::shared_ptr<SessionHost> host);

  void start();
  void answer(HttpResponse response);
  void stream(HttpResponse head, std::move_only_function<Piece()> next);
  /// Sends the next piece, if an answer is under way and can go on.
  void send_piece();
  /// Sets `gone` when the client goes while its request is under way.
  void watch(std::shared_ptr<std::atomic<bool>> gone);
  /// Ends it if no request is under way; otherwise after the answer.
  void end_when_idle();
  void close();

 private:
  using Failure = boost::beast::error_code;

  void wait_for_request();
  void read_header();
  void on_header(Failure failure);
  void read_body();
  void on_body(Failure failure);
  void handle();
  void refuse(int status, std::string_view name, std::string_view title, std::string_view detail);
  void refuse_malformed(Failure failure);
  void write(HttpResponse response);
  void begin_head(const HttpResponse& response);
  void end_head();
  void write_out();
  void on_written(Failure failure);
  void linger();
  void look_for_the_end();

  boost::beast::tcp_stream stream_;
  std::shared_ptr<SessionHost> host_;
  boost::beast::flat_buffer buffer_;
  std::optional<RequestParser> parser_;
  std::string out_;
  std::move_only_function<Piece()> pieces_;  ///< of an answer under way
  std::shared_ptr<std::atomic<bool>> gone_;  ///< of who watches the request under way
  std::string peer_;
  bool handling_ = false;
  bool writing_ = false;
  bool keep_alive_ = true;
  bool head_ = false;
  bool http_1_0_ = false;  ///< no chunks: the end of the connection is that of the answer
  bool closed_ = false;
};

}  // namespace trued::io
