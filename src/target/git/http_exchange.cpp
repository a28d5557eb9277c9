// STAND-IN until io/http_client.h exists
#include "target/git/http_exchange.h"

#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
namespace trued::git {
namespace {
class X final : public HttpExchange {
 public:
  explicit X(std::string a) : auth_(std::move(a)) {}
  Result<HttpAnswer> call(const HttpQuestion& q) override {
    std::string rest = q.url.substr(7);
    auto slash = rest.find('/');
    std::string host = rest.substr(0, slash), path = rest.substr(slash);
    int port = 0;
    auto colon = host.find(':');
    std::from_chars(host.data() + colon + 1, host.data() + host.size(), port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    timeval tv{q.timeout.count() / 1000, (q.timeout.count() % 1000) * 1000 + 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    sockaddr_in sa{};
    sa.sin_family = AF_INET;
    sa.sin_port = htons((uint16_t)port);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (sockaddr*)&sa, sizeof sa) != 0) {
      ::close(fd);
      return Error{.code = ErrorCode::unavailable,
                   .happened = Happened::no,
                   .retryable = true,
                   .message = "connection refused"};
    }
    std::string m = (q.post ? "POST " : "GET ") + path + " HTTP/1.1\r\nHost: " + host +
                    "\r\nConnection: close\r\n";
    if (!auth_.empty()) m += "Authorization: " + auth_ + "\r\n";
    m += "Accept: " + q.accept + "\r\n";
    if (q.post)
      m += "Content-Type: " + q.content_type +
           "\r\nContent-Length: " + std::to_string(q.body.size()) + "\r\n";
    m += "\r\n" + q.body;
    size_t at = 0;
    while (at < m.size()) {
      auto n = send(fd, m.data() + at, m.size() - at, MSG_NOSIGNAL);
      if (n <= 0) break;
      at += (size_t)n;
    }
    std::string r;
    char buf[65536];
    ssize_t n = 0;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) r.append(buf, (size_t)n);
    int e = errno;
    ::close(fd);
    if (n < 0 || r.find("\r\n\r\n") == std::string::npos)
      return Error{.code = n < 0 && e == EAGAIN ? ErrorCode::timeout : ErrorCode::io,
                   .happened = Happened::maybe,
                   .retryable = true,
                   .message = "no answer"};
    HttpAnswer a;
    std::from_chars(r.data() + 9, r.data() + 12, a.status);
    auto h = r.find("Content-Type: ");
    auto end = r.find("\r\n\r\n");
    if (h < end) a.content_type = r.substr(h + 14, r.find("\r\n", h) - h - 14);
    a.body = r.substr(end + 4);
    return a;
  }
  std::string auth_;
};
}  // namespace
std::unique_ptr<HttpExchange> make_http_exchange(std::string a, std::uint64_t) {
  return std::make_unique<X>(a);
}
}  // namespace trued::git
