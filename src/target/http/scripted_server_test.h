// scripted_server_test.h: an HTTP server that answers, byte for byte, what a test says.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "io/listening_test.h"

namespace trued {

/// One thread, one connection at a time, one request on each. Answers by request target; an unknown
/// one gets 404. An answer of kHang is never given; an empty one closes the connection.
class ScriptedServer {
 public:
  static constexpr const char* kHang = "hang";

  ScriptedServer() {
    const io::Listening listening = io::listen_on_loopback(16);
    socket_ = listening.socket;
    port_ = listening.port;
    thread_ = std::thread([this] { run(); });
  }
  ~ScriptedServer() { stop(); }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  void answer(const std::string& target, std::string bytes) {
    const std::lock_guard lock(mutex_);
    answers_[target] = std::move(bytes);
  }
  /// A whole answer, closing the connection.
  void answer(const std::string& target, const std::string& status, const std::string& headers,
              const std::string& body) {
    answer(target, "HTTP/1.1 " + status + "\r\n" + headers + "Connection: close\r\n" +
                       "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  /// Heads of all requests so far.
  [[nodiscard]] std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  void stop() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    for (const int held : held_) ::close(held);
    ::close(socket_);
  }

 private:
  void run() {
    while (!stopping_) {
      const int connection = ::accept(socket_, nullptr, nullptr);
      if (connection < 0) return;
      if (!serve(connection)) {
        held_.push_back(connection);
        continue;
      }
      ::shutdown(connection, SHUT_WR);
      ::close(connection);
    }
  }

  // False if the connection is to stay open without an answer.
  bool serve(int connection) {
    std::string head;
    char c = 0;
    while (!head.ends_with("\r\n\r\n") && ::recv(connection, &c, 1, 0) == 1) head += c;
    const std::size_t start = head.find(' ') + 1;
    const std::string target = head.substr(start, head.find(' ', start) - start);
    std::string bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(head);
      const auto known = answers_.find(target);
      if (known != answers_.end()) bytes = known->second;
    }
    if (bytes == kHang) return false;
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const ssize_t sent = ::send(connection, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::map<std::string, std::string> answers_;
  std::vector<std::string> requests_;
  std::vector<int> held_;
  std::thread thread_;
};

}  // namespace trued
