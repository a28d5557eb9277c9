// listening_test.h: a socket that listens on a free loopback port, for servers of tests.
#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

namespace trued::io {

struct Listening {
  int socket = -1;  ///< the caller's to close
  std::uint16_t port = 0;
};

inline Listening listen_on_loopback(int backlog) {
  Listening out;
  out.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(::bind(out.socket, reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(::listen(out.socket, backlog), 0);
  EXPECT_EQ(::getsockname(out.socket, reinterpret_cast<sockaddr*>(&address), &length), 0);
  out.port = ntohs(address.sin_port);
  return out;
}

}  // namespace trued::io
