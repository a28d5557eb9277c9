// What a client may write to the server's socket: requests one after another, whole, cut off or
// none at all. The real server answers or hangs up, and goes on serving others.
//
// There are two: one for everybody, and one with tokens, tenants and narrow limits, for requests
// with an Authorization or an Origin. HOST stands for the address of the server, OPERATION for the
// operation that an answer named last, SESSION for what the last answer said was seen.
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
#include "json/parse.h"
#include "ledger/memory/memory_ledger.h"
#include "target/memory/memory_connector.h"
#include "target/worker/worker_target.h"

namespace {

using namespace trued;  // NOLINT: this file is nothing but their caller

constexpr int kPatienceMs = 20'000;
constexpr int kHurryMs = 50;                 // with what is told to wait
constexpr int kRequestsOfOneServer = 5'000;  // it keeps what it accepts

api::AuthOptions auth_of(bool guarded) {
  if (!guarded) return {};
  config::Rights acme{.scopes = {"acme", "beta"}};
  acme.actions = {true, true, true, false, true};
  config::Rights reads;
  reads.actions = {false, true, false, false, false};
  return {.address = "0.0.0.0",
          .allowed_hosts = {"trued.example", "other.example:80"},
          .allowed_origins = {"http://pages.example"},
          .tokens = {{"ops", sha256("of-ops"), {}},
                     {"acme", sha256("of-acme"), acme},
                     {"reads", sha256("of-reads"), reads}}};
}

class Served {
 public:
  explicit Served(bool guarded) {
    Policy policy;
    policy.retry.attempts_max = 1;
    targets_.emplace("docs", make_target("docs", "memory", std::make_unique<MemoryConnector>(),
                                         nullptr, "", policy));
    if (!guarded) {
      policy.lease = Duration{30'000};
      targets_.emplace(
          "desk",
          make_call_target("desk", "worker", std::make_shared<WorkerTarget>(WorkerSpec{}), policy));
    }
    targets_.emplace(define::kRegistryTarget, make_registry_target(types_));
    add("task", R"({"effect":{"target":"desk","do":"${input.what}"}})");
    add("page", R"({"identity":["slug"],"effect":{"target":"docs"},
                    "artifact":[{"path":"${input.slug}.md","content":"a page"}]})");
    engine_.emplace(EnginePorts{ledger_, targets_, runner_, clock_, random_, &types_},
                    EngineOptions{});
    TRUED_ASSERT(engine_->recover().has_value());
    service_.emplace(api::ServicePorts{&*engine_, targets_, clock_, pool_,
                                       ledger_.open_reader().value(), &types_},
                     api::ServiceOptions{.auth = auth_of(guarded),
                                         .version = "fuzz",
                                         .durability = "memory",
                                         .batch_lines_max = guarded ? std::size_t{6} : 1'000,
                                         .batch_line_bytes_max = guarded ? std::size_t{200} : 9'999,
                                         .batch_in_flight_max = guarded ? std::size_t{2} : 100});
    io::HttpServer::Options options;
    options.body_bytes_max = guarded ? std::size_t{2'048} : std::size_t{1} << 20;
    options.header_bytes_max = std::size_t{12} << 10;
    options.body_limit_for = [most = options.body_bytes_max](std::string_view target) {
      return api::body_limit(target, most);
    };
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
  void add(const std::string& name, std::string_view text) {
    define::Faults faults;
    auto definition = define::parse_definition(name, json::parse(text).value(), faults);
    TRUED_ASSERT(definition != nullptr && faults.empty());
    TRUED_ASSERT(types_.add({.name = name, .number = 1}, std::move(definition)).has_value());
  }

  SystemClock clock_;
  SystemRandom random_;
  MemoryLedger ledger_;
  Targets targets_;
  define::Registry types_{targets_, define::StatusOf()};
  io::Loop loop_;
  io::BlockingPool pool_{1, 100};
  ThreadRunner runner_{1};
  std::optional<Engine> engine_;
  std::optional<api::Service> service_;
  std::unique_ptr<io::HttpServer> server_;
  std::optional<EnginePump> pump_;
};

std::uint16_t port_of_server(bool guarded) {
  static std::optional<Served> served[2];
  static int requests[2];
  if (!served[guarded] || ++requests[guarded] > kRequestsOfOneServer) {
    served[guarded].reset();
    served[guarded].emplace(guarded);
    requests[guarded] = 0;
  }
  return served[guarded]->port();
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

// Everything that comes until the server hangs up; it must do so once we have. Where it may be told
// to wait, we do not.
std::string read_to_end(int fd, bool may_wait) {
  std::string answer;
  char piece[4'096];
  while (true) {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wait, 1, may_wait ? kHurryMs : kPatienceMs);
    TRUED_ASSERT(ready == 1 || may_wait);
    if (ready != 1) return answer;
    const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
    if (got <= 0) return answer;
    answer.append(piece, static_cast<std::size_t>(got));
  }
}

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

// What stands after the last `before`, up to `end`.
std::optional<std::string> text_after(const std::string& text, std::string_view before, char end) {
  const std::size_t found = text.rfind(before);
  if (found == std::string::npos) return std::nullopt;
  const std::size_t begin = found + before.size();
  return text.substr(begin, text.find(end, begin) - begin);
}

bool holds(std::string text, std::string_view word) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text.find(word) != std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static std::string operation = "op_00000000000000000000000000";
  static std::string session = "s1-00000000000000000000000000000000-0";
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const bool guarded = holds(bytes, "authorization") || holds(bytes, "origin");
  const bool may_wait = holds(bytes, "wait") || holds(bytes, "rate");
  const std::uint16_t port = port_of_server(guarded);
  replace_all(bytes, "HOST", "127.0.0.1:" + std::to_string(port));
  replace_all(bytes, "OPERATION", operation);
  replace_all(bytes, "SESSION", session);
  const int fd = connect_to(port);
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;  // it has hung up on us
    sent += static_cast<std::size_t>(n);
  }
  if (!may_wait) ::shutdown(fd, SHUT_WR);
  const std::string answer = read_to_end(fd, may_wait);
  TRUED_ASSERT(answer.empty() || answer.starts_with("HTTP/1.1 "));
  operation = text_after(answer, "{\"id\":\"", '"').value_or(operation);
  session = text_after(answer, "Trued-Session: ", '\r').value_or(session);
  ::close(fd);
  return 0;
}
