// proxy_test.h: a wire between a client and a PostgreSQL server that a test can cut.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace trued::pg {

enum class Cut : std::uint8_t {
  none,
  refuse,         ///< nobody listens, and every connection is closed
  drop_before,    ///< the message is not passed on, and both sides are closed
  drop_after,     ///< the server answers it; the client hears nothing but the end
  hold,           ///< the message is kept until release()
  hang_after,     ///< the server answers it; the client hears nothing
  garbage_after,  ///< the server answers it; the client hears nonsense
};

class Proxy {
 public:
  explicit Proxy(int to) : to_(to) {
    listener_ = listen_at(0);
    sockaddr_in address{};
    socklen_t length = sizeof address;
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Proxy() {
    stop_ = true;
    thread_.join();
    for (const Wire& wire : wires_) close_both(wire);
    if (listener_ >= 0) ::close(listener_);
  }
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  [[nodiscard]] int port() const { return port_; }

  /// What happens to the next messages that hold `text`, on every connection. Those that went
  /// wrong before are closed.
  void cut(Cut how, std::string text = "; COMMIT") {
    const std::lock_guard lock(mutex_);
    how_ = how;
    text_ = std::move(text);
    std::erase_if(wires_, [&](const Wire& wire) {
      const bool gone = wire.fate != Cut::none || how == Cut::refuse;
      if (gone) close_both(wire);
      return gone;
    });
    if (how == Cut::refuse && listener_ >= 0) {
      ::close(std::exchange(listener_, -1));
    } else if (how != Cut::refuse && listener_ < 0) {
      listener_ = listen_at(port_);
    }
  }
  /// Passes on what was held.
  void release() {
    const std::lock_guard lock(mutex_);
    how_ = Cut::none;
    for (Wire& wire : wires_) {
      if (wire.fate != Cut::hold) continue;
      send_all(wire.server, wire.held);
      wire.fate = Cut::none;
    }
  }
  /// How many messages were cut.
  [[nodiscard]] int cuts() const { return cuts_; }

 private:
  struct Wire {
    int client = -1;
    int server = -1;
    Cut fate = Cut::none;
    std::string held;
  };

  static int listen_at(int port) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    EXPECT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener, 64), 0);
    return listener;
  }
  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
  }
  static void close_both(const Wire& wire) {
    ::close(wire.client);
    ::close(wire.server);
  }
  static void send_all(int to, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  void run() {
    while (!stop_) {
      std::vector<pollfd> all;
      {
        const std::lock_guard lock(mutex_);
        if (listener_ >= 0) all.push_back({listener_, POLLIN, 0});
        for (const Wire& wire : wires_) {
          all.push_back({wire.client, POLLIN, 0});
          all.push_back({wire.server, POLLIN, 0});
        }
      }
      if (::poll(all.data(), all.size(), 5) <= 0) continue;
      const std::lock_guard lock(mutex_);
      for (const pollfd& one : all) {
        if (one.revents != 0) serve(one.fd);
      }
    }
  }

  void serve(int fd) {
    if (fd == listener_) return accept_one();
    for (auto wire = wires_.begin(); wire != wires_.end(); ++wire) {
      if (fd != wire->client && fd != wire->server) continue;
      char bytes[16'384];
      const ssize_t got = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
      if (got < 0) return;  // the poll was about one that is gone
      const std::string_view text(bytes, static_cast<std::size_t>(got));
      const bool keep = got > 0 && (fd == wire->client ? up(*wire, text) : down(*wire, text));
      if (keep) return;
      close_both(*wire);
      wires_.erase(wire);
      return;
    }
  }

  void accept_one() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(to_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      ::close(client);
      ::close(server);
      return;
    }
    wires_.push_back({client, server, Cut::none, {}});
  }

  bool up(Wire& wire, std::string_view text) {
    if (wire.fate == Cut::hold) {
      wire.held += text;
      return true;
    }
    if (how_ != Cut::none && wire.fate == Cut::none && text.find(text_) != std::string::npos) {
      ++cuts_;
      wire.fate = how_;
      if (how_ == Cut::drop_before) return false;
      if (how_ == Cut::hold) {
        wire.held = text;
        return true;
      }
    }
    send_all(wire.server, text);
    return true;
  }

  bool down(Wire& wire, std::string_view text) {
    if (wire.fate == Cut::drop_after) return false;
    if (wire.fate == Cut::hang_after) return true;
    // A type that no message has, and a length that is none.
    send_all(wire.client, wire.fate == Cut::garbage_after
                              ? std::string_view("\x7f\x7f\x7f\x7f\x7f garbage\n")
                              : text);
    return true;
  }

  const int to_;
  int port_ = 0;
  std::mutex mutex_;
  int listener_ = -1;
  std::list<Wire> wires_;
  Cut how_ = Cut::none;
  std::string text_;
  std::atomic<int> cuts_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace trued::pg
