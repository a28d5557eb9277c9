// What a client may write to the server's socket: requests one after another, whole, cut off or
// none at all. The real server answers or hangs up, and goes on serving others.
#include <arpa/inet.h>
#include <cstring>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "api/service.h"
#include "base/assert.h"
#include "engine/pump.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "ledger/memory/memory_ledger.h"
#include "target/memory/memory_connector.h"

namespace {

using namespace trued;  // NOLINT: this file is nothing but their caller

constexpr int kPatienceMs = 20'000;
constexpr int kRequestsOfOneServer = 5'000;  // it keeps what it accepts

class Served {
 public:
  Served() {
    Policy policy;
    policy.retry.attempts_max = 1;
    targets_.emplace("docs", make_target("docs", "memory", std::make_unique<MemoryConnector>(),
                                         nullptr, "", policy));
    engine_.emplace(EnginePorts{ledger_, targets_, runner_, clock_, random_}, EngineOptions{});
    TRUED_ASSERT(engine_->recover().has_value());
    service_.emplace(
        api::ServicePorts{&*engine_, targets_, clock_, pool_, ledger_.open_reader().value()},
        api::ServiceOptions{.auth = {}, .version = "fuzz", .durability = "memory", .cares = {}});
    io::HttpServer::Options options;
    options.body_bytes_max = std::size_t{1} << 20;
    auto server = io::HttpServer::listen(
        loop_, std::move(options), [this](io::HttpRequest&& request, io::Responder responder) {
          service_->handle(std::move(request), std::move(responder));
        });
    TRUED_ASSERT(server.has_value());
    server_ = std::move(server).value();
    service_->set_port(server_->port());
    pump_.emplace(*engine_);
  }
  ~Served() {
    pump_->stop(Duration{2'000});
    server_->stop(Duration{1'000});
  }
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

 private:
  SystemClock clock_;
  SystemRandom random_;
  MemoryLedger ledger_;
  Targets targets_;
  io::Loop loop_;
  io::BlockingPool pool_{1, 100};
  ThreadRunner runner_{1};
  std::optional<Engine> engine_;
  std::optional<api::Service> service_;
  std::unique_ptr<io::HttpServer> server_;
  std::optional<EnginePump> pump_;
};

std::uint16_t port_of_server() {
  static std::optional<Served> served;
  static int requests = 0;
  if (!served || ++requests > kRequestsOfOneServer) {
    served.reset();
    served.emplace();
    requests = 0;
  }
  return served->port();
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  TRUED_ASSERT(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  // No port of this side is left waiting.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return fd;
}

// Everything that comes until the server hangs up; it must do so once we have.
std::string read_to_end(int fd) {
  std::string answer;
  char piece[4'096];
  while (true) {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    TRUED_ASSERT(::poll(&wait, 1, kPatienceMs) == 1);
    const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
    if (got <= 0) return answer;
    answer.append(piece, static_cast<std::size_t>(got));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  // The host that a corpus cannot know.
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::uint16_t port = port_of_server();
  constexpr std::string_view kHost = "HOST";
  for (std::size_t at = 0; (at = bytes.find(kHost, at)) != std::string::npos;) {
    const std::string host = "127.0.0.1:" + std::to_string(port);
    bytes.replace(at, kHost.size(), host);
    at += host.size();
  }
  const int fd = connect_to(port);
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;  // it has hung up on us
    sent += static_cast<std::size_t>(n);
  }
  ::shutdown(fd, SHUT_WR);
  const std::string answer = read_to_end(fd);
  TRUED_ASSERT(answer.empty() || answer.starts_with("HTTP/1.1 "));
  ::close(fd);
  return 0;
}
