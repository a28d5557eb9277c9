// counting_server_test.h: an HTTP server on raw sockets for tests, that can fail in every way and
// keeps count of what it executed.
#pragma once

#include <atomic>
#include <charconv>
#include <functional>
#include <memory>
#include <mutex>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/listening_test.h"

namespace trued::io {

/// Moves the bytes of one connection; TLS is another.
class Wire {
 public:
  explicit Wire(int fd) : fd_(fd) {}
  virtual ~Wire() = default;
  virtual bool open() { return true; }
  virtual long read(char* to, std::size_t size) { return ::recv(fd_, to, size, 0); }
  virtual long write(const char* from, std::size_t size) {
    return ::send(fd_, from, size, MSG_NOSIGNAL);
  }

 protected:
  int fd_;
};

struct SeenRequest {
  std::string head;  ///< request line and headers, with the empty line
  std::string method;
  std::string target;
  std::string body;
  int connection = 0;  ///< counts from 1
  [[nodiscard]] std::string header(const std::string& name) const {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

/// What a handler can do to whoever asked.
class Peer {
 public:
  Peer(int fd, Wire& wire, const std::atomic<bool>& stopping)
      : fd_(fd), wire_(wire), stopping_(stopping) {}
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const long sent = wire_.write(bytes.data(), bytes.size());
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void answer(const std::string& status, const std::string& body, const std::string& more = "") {
    send("HTTP/1.1 " + status + "\r\n" + more + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body);
  }
  void answer_head(const std::string& status, std::size_t length, const std::string& more = "") {
    send("HTTP/1.1 " + status + "\r\n" + more + "Content-Length: " + std::to_string(length) +
         "\r\n\r\n");
  }
  /// Says nothing until the other side is gone or the server stops.
  void hang() { (void)gone_within(-1); }
  /// Lets time pass; true if the other side is gone before that.
  bool gone_within(int ms) {
    pollfd waiting{.fd = fd_, .events = POLLRDHUP, .revents = 0};
    return stopping_ || ::poll(&waiting, 1, ms) == 1;
  }
  /// Ends the connection with RST instead of FIN.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  [[nodiscard]] bool stopping() const { return stopping_; }

 private:
  int fd_;
  Wire& wire_;
  const std::atomic<bool>& stopping_;
};

/// One thread for each connection. A handler answers one request; false ends the connection.
class CountingServer {
 public:
  using Handler = std::function<bool(const SeenRequest&, Peer&)>;
  using MakeWire = std::function<std::unique_ptr<Wire>(int)>;

  explicit CountingServer(Handler handler, MakeWire make_wire = {})
      : handler_(std::move(handler)), make_wire_(std::move(make_wire)) {
    const Listening listening = listen_on_loopback(64);
    socket_ = listening.socket;
    port_ = listening.port;
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~CountingServer() {
    stopping_ = true;
    ::shutdown(socket_, SHUT_RDWR);
    acceptor_.join();
    ::close(socket_);
    {
      const std::scoped_lock lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
  }
  CountingServer(const CountingServer&) = delete;
  CountingServer& operator=(const CountingServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& path = "") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  void set_handler(Handler handler) {
    const std::scoped_lock lock(mutex_);
    handler_ = std::move(handler);
  }
  /// Connections are ended before anything is read from them.
  void refuse_to_listen(bool refuse) { deaf_ = refuse; }
  [[nodiscard]] std::vector<SeenRequest> requests() {
    const std::scoped_lock lock(mutex_);
    return seen_;
  }
  [[nodiscard]] int connections() const { return connections_; }
  /// Ends every open connection now, with FIN or RST.
  void drop_connections(bool reset) {
    const std::scoped_lock lock(mutex_);
    for (const int fd : open_) {
      if (reset) {
        const linger now{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      }
      ::shutdown(fd, reset ? SHUT_RD : SHUT_RDWR);
    }
  }

 private:
  void accept_all() {
    while (!stopping_) {
      const int fd = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const int number = ++connections_;
      const std::scoped_lock lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd, number] { serve(fd, number); });
    }
  }

  void serve(int fd, int number) {
    if (!deaf_) {
      const auto wire = make_wire_ ? make_wire_(fd) : std::make_unique<Wire>(fd);
      if (wire->open()) {
        Peer peer(fd, *wire, stopping_);
        SeenRequest request;
        while (read_request(*wire, request)) {
          request.connection = number;
          Handler handler;
          {
            const std::scoped_lock lock(mutex_);
            seen_.push_back(request);
            handler = handler_;
          }
          if (!handler(request, peer)) break;
        }
      }
    }
    {
      const std::scoped_lock lock(mutex_);
      std::erase(open_, fd);
    }
    ::close(fd);
  }

  static bool read_request(Wire& wire, SeenRequest& request) {
    request = {};
    char c = 0;
    while (!request.head.ends_with("\r\n\r\n")) {
      if (wire.read(&c, 1) != 1) return false;
      request.head += c;
    }
    const std::size_t space = request.head.find(' ');
    request.method = request.head.substr(0, space);
    request.target = request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
    const std::string length = request.header("Content-Length");
    std::size_t left = 0;
    std::from_chars(length.data(), length.data() + length.size(), left);
    for (; left > 0; --left) {
      if (wire.read(&c, 1) != 1) return false;
      request.body += c;
    }
    return true;
  }

  std::mutex mutex_;
  Handler handler_;  // guarded by mutex_, as what follows
  std::vector<SeenRequest> seen_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;  // the acceptor's until it has ended
  MakeWire make_wire_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> deaf_{false};
  std::atomic<int> connections_{0};
  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
};

}  // namespace trued::io
