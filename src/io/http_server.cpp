#include "io/http_server.h"

#include <chrono>
#include <condition_variable>
#include <unordered_set>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/assert.h"
#include "io/loop_impl.h"
#include "io/session.h"

namespace trued::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::milliseconds kAcceptPause{100};  // when descriptors have run out

}  // namespace

Responder::Responder(std::shared_ptr<Mailbox> mailbox, std::weak_ptr<Session> session)
    : mailbox_(std::move(mailbox)), session_(std::move(session)) {
  TRUED_ASSERT(mailbox_ != nullptr);
}

Responder::~Responder() {
  if (mailbox_ == nullptr) return;
  HttpResponse response;
  response.status = 500;
  response.headers.push_back({"Content-Type", "application/problem+json"});
  response.body =
      R"({"type":"urn:trued:problem:internal","title":"Something went wrong here","status":500,)"
      R"("detail":"the request was dropped without an answer; repeat it under the same key"})";
  add_safety_headers(response);
  send(std::move(response));
}

void Responder::send(HttpResponse response) {
  send_made([response = std::move(response)]() mutable { return std::move(response); });
}

void Responder::send_made(std::move_only_function<HttpResponse()> make) {
  TRUED_ASSERT(mailbox_ != nullptr && make != nullptr);
  const auto mailbox = std::exchange(mailbox_, nullptr);
  mailbox->put(std::move(session_),
               [make = std::move(make)](const std::shared_ptr<Session>& session) mutable {
                 session->answer(make());
               });
}

std::shared_ptr<const std::atomic<bool>> Responder::watch() {
  TRUED_ASSERT(mailbox_ != nullptr);
  auto gone = std::make_shared<std::atomic<bool>>(false);
  mailbox_->put(session_,
                [gone](const std::shared_ptr<Session>& session) { session->watch(gone); });
  return gone;
}

Waker Responder::stream(HttpResponse head, std::move_only_function<Piece()> next) {
  TRUED_ASSERT(mailbox_ != nullptr);
  const auto mailbox = std::exchange(mailbox_, nullptr);
  Waker waker(mailbox, session_);
  mailbox->put(std::move(session_), [head = std::move(head), next = std::move(next)](
                                        const std::shared_ptr<Session>& session) mutable {
    session->stream(std::move(head), std::move(next));
  });
  return waker;
}

Waker::Waker(std::shared_ptr<Mailbox> mailbox, std::weak_ptr<Session> session)
    : mailbox_(std::move(mailbox)), session_(std::move(session)) {}

void Waker::wake() const {
  if (mailbox_ != nullptr)
    mailbox_->put(session_, [](const std::shared_ptr<Session>& session) { session->send_piece(); });
}

class HttpServer::Impl final : public SessionHost,
                               public std::enable_shared_from_this<HttpServer::Impl> {
 public:
  Impl(Loop& loop, Options options, Handler handler)
      : context_(loop.impl().context),
        options_(std::move(options)),
        handler_(std::move(handler)),
        acceptor_(context_),
        pause_(context_),
        mailbox_(std::make_shared<Mailbox>(context_)) {
    TRUED_ASSERT(handler_ != nullptr);
  }

  Result<void> open();
  std::uint16_t port() const { return port_; }
  void stop(Duration grace);

  const Options& options() const override { return options_; }
  Handler& handler() override { return handler_; }
  std::shared_ptr<Mailbox> mailbox() override { return mailbox_; }
  bool stopping() const override { return stopping_; }
  void gone(const std::shared_ptr<Session>& session) override;

 private:
  void accept();
  void on_accept(const boost::system::error_code& failure, tcp::socket socket);
  void begin_stop();
  void end_all();

  asio::io_context& context_;
  const Options options_;
  Handler handler_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::shared_ptr<Mailbox> mailbox_;
  std::unordered_set<std::shared_ptr<Session>> sessions_;
  std::uint16_t port_ = 0;
  bool accepting_ = false;
  bool stopping_ = false;
  std::mutex mutex_;
  std::condition_variable emptied_;
  bool empty_ = false;  ///< guarded by mutex_
};

Result<void> HttpServer::Impl::open() {
  const auto refuse = [&](const boost::system::error_code& why) {
    return Error{.code = ErrorCode::unavailable,
                 .retryable = true,
                 .message = "cannot listen at " + options_.address + ":" +
                            std::to_string(options_.port) + ": " + why.message()};
  };
  boost::system::error_code failure;
  const auto address = asio::ip::make_address(options_.address, failure);
  if (failure) return refuse(failure);
  const tcp::endpoint endpoint(address, options_.port);
  acceptor_.open(endpoint.protocol(), failure);
  if (failure) return refuse(failure);
  acceptor_.set_option(tcp::acceptor::reuse_address(true), failure);
  acceptor_.bind(endpoint, failure);
  if (failure) return refuse(failure);
  acceptor_.listen(asio::socket_base::max_listen_connections, failure);
  if (failure) return refuse(failure);
  port_ = acceptor_.local_endpoint(failure).port();
  if (failure) return refuse(failure);
  asio::post(context_, [self = shared_from_this()] { self->accept(); });
  return {};
}

void HttpServer::Impl::accept() {
  if (stopping_ || accepting_ || sessions_.size() >= options_.connections_max) return;
  accepting_ = true;
  acceptor_.async_accept(
      [self = shared_from_this()](const boost::system::error_code& failure, tcp::socket socket) {
        self->on_accept(failure, std::move(socket));
      });
}

void HttpServer::Impl::on_accept(const boost::system::error_code& failure, tcp::socket socket) {
  TRUED_ASSERT(accepting_);
  accepting_ = false;
  if (stopping_) return;
  if (!failure) {
    auto session = std::make_shared<Session>(std::move(socket), shared_from_this());
    sessions_.insert(session);
    TRUED_ASSERT(sessions_.size() <= options_.connections_max);
    session->start();
    return accept();
  }
  // Out of descriptors, most likely: trying again at once would only spin.
  pause_.expires_after(kAcceptPause);
  pause_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled) self->accept();
  });
}

void HttpServer::Impl::gone(const std::shared_ptr<Session>& session) {
  const std::size_t erased = sessions_.erase(session);
  TRUED_ASSERT(erased == 1);  // a session goes once
  if (stopping_ && sessions_.empty()) {
    const std::scoped_lock lock(mutex_);
    empty_ = true;
    emptied_.notify_all();
  }
  accept();
}

void HttpServer::Impl::begin_stop() {
  stopping_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  const auto sessions = sessions_;
  for (const auto& session : sessions) session->end_when_idle();
  if (sessions_.empty()) {
    const std::scoped_lock lock(mutex_);
    empty_ = true;
    emptied_.notify_all();
  }
}

void HttpServer::Impl::end_all() {
  const auto sessions = sessions_;
  for (const auto& session : sessions) session->close();
}

void HttpServer::Impl::stop(Duration grace) {
  asio::post(context_, [self = shared_from_this()] { self->begin_stop(); });
  std::unique_lock lock(mutex_);
  if (emptied_.wait_for(lock, grace, [this] { return empty_; })) return;
  lock.unlock();
  asio::post(context_, [self = shared_from_this()] { self->end_all(); });
  lock.lock();
  emptied_.wait_for(lock, std::chrono::seconds(1), [this] { return empty_; });
}

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { impl_->stop(Duration{0}); }

Result<std::unique_ptr<HttpServer>> HttpServer::listen(Loop& loop, Options options,
                                                       Handler handler) {
  auto impl = std::make_shared<Impl>(loop, std::move(options), std::move(handler));
  TRUED_TRY_VOID(impl->open());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::uint16_t HttpServer::port() const { return impl_->port(); }

void HttpServer::stop(Duration grace) { impl_->stop(grace); }

}  // namespace trued::io
