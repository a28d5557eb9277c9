// api_test_support.h: the API over real sockets, on a memory ledger and a memory target.
//
// Included by tests only. A Server is a whole server in the process; Gate holds effects back, so
// that a test decides how long an operation stays open.
#pragma once

#include <arpa/inet.h>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "api/service.h"
#include "base/clock.h"
#include "base/random.h"
#include "engine/pump.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "json/parse.h"
#include "ledger/memory/memory_ledger.h"
#include "target/memory/memory_connector.h"

namespace trued::api {

/// A memory store whose effects wait while the gate is shut. Not inline: they run on a thread.
class Gate final : public Connector {
 public:
  explicit Gate(std::shared_ptr<MemoryConnector> inner) : inner_(std::move(inner)) {}

  void shut() {
    const std::scoped_lock lock(mutex_);
    shut_ = true;
  }
  void open() {
    const std::scoped_lock lock(mutex_);
    shut_ = false;
    moved_.notify_all();
  }

  Capabilities capabilities() const override { return inner_->capabilities(); }
  EffectResult perform(const EffectRequest& request) override {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [this] { return !shut_; });
    lock.unlock();
    return inner_->perform(request);
  }
  std::vector<RawRead> read(const ReadRequest& request) override { return inner_->read(request); }
  History history(const HistoryRequest& request) override { return inner_->history(request); }
  Result<std::string> version() override { return inner_->version(); }
  std::string check_name(const std::string& name) const override {
    return inner_->check_name(name);
  }

 private:
  std::shared_ptr<MemoryConnector> inner_;
  std::mutex mutex_;
  std::condition_variable moved_;
  bool shut_ = false;
};

/// Reads the same store again, as the consumer.
class ServingReader final : public Reader {
 public:
  explicit ServingReader(std::shared_ptr<MemoryConnector> store) : store_(std::move(store)) {}
  std::vector<RawRead> read(const ReadRequest& request) override { return store_->read(request); }

 private:
  std::shared_ptr<MemoryConnector> store_;
};

struct ServerOptions {
  Policy policy;
  EngineOptions engine;
  AuthOptions auth;
  std::size_t pool_queue_max = 1'000;
  std::size_t body_bytes_max = std::size_t{1} << 20;
  std::size_t batch_lines_max = 10'000;
  std::size_t batch_line_bytes_max = 100'000;
  std::size_t batch_in_flight_max = 2'000;
  std::deque<CommitFault> commit_faults;
  config::Cares cares;
  /// Puts in targets besides the three that every server here has.
  std::function<void(Targets&, const Policy&)> more_targets;
  bool definitions = false;  ///< they can be applied
  /// What the ledger says that it promises; null: nobody asks. Asked by hand, and when a commit
  /// went wrong.
  std::function<Result<Durability>()> promise = {};
  DurabilityLevel floor = DurabilityLevel::none;
  ReplicaReads* replicas = nullptr;
};

inline ServerOptions quick() {
  ServerOptions options;
  Policy& policy = options.policy;
  policy.store = {.within = Duration{50}, .reads_max = 2, .first = Duration{1}, .cap = Duration{5}};
  policy.unreadable = policy.store;
  policy.serving = policy.store;
  policy.retry = {.attempts_max = 1, .first = Duration{1}, .factor = 2, .cap = Duration{5}};
  return options;
}

/// An answer with its body parsed where it is JSON.
struct Got {
  io::HttpResponse response;
  json::Value value;

  int status() const { return response.status; }
  std::string header(std::string_view name) const {
    const std::string* found = response.find(name);
    return found == nullptr ? "" : *found;
  }
  /// What stands at "a/b/0"; null if there is nothing.
  const json::Value& at(std::string_view path) const {
    static const json::Value kNothing;
    const json::Value* value_at = &value;
    while (!path.empty()) {
      const std::size_t end = std::min(path.find('/'), path.size());
      const std::string_view name = path.substr(0, end);
      path.remove_prefix(std::min(end + 1, path.size()));
      if (value_at->is_array()) {
        const auto index = static_cast<std::size_t>(name.at(0) - '0');
        if (index >= value_at->items().size()) return kNothing;
        value_at = &value_at->items().at(index);
      } else {
        value_at = value_at->find(name);
        if (value_at == nullptr) return kNothing;
      }
    }
    return *value_at;
  }
  std::string text(std::string_view path) const {
    const json::Value& found = at(path);
    return found.is_string() ? found.as_string() : "";
  }
  std::int64_t number(std::string_view path) const {
    const json::Value& found = at(path);
    return found.is_int() ? found.as_int() : -1;
  }
  /// The problem's name, without its prefix.
  std::string problem() const {
    constexpr std::string_view kPrefix = "urn:trued:problem:";
    const std::string type = text("type");
    return type.starts_with(kPrefix) ? type.substr(kPrefix.size()) : "";
  }
};

class Server {
  SystemClock clock_;
  SystemRandom random_;
  MemoryLedger ledger_;
  Targets targets_;
  std::unique_ptr<define::Registry> types_;
  std::unique_ptr<DurabilityWatch> durability_;

 public:
  explicit Server(ServerOptions options = quick()) : pool_(2, options.pool_queue_max) {
    gate = new Gate(store);
    targets_.emplace("docs", make_target("docs", "memory", std::unique_ptr<Connector>(gate),
                                         nullptr, "", options.policy));
    targets_.emplace("site",
                     make_target("site", "memory", std::make_unique<Gate>(store),
                                 std::make_unique<ServingReader>(store), "memory", options.policy));
    targets_.emplace("still",
                     make_target("still", "memory",
                                 std::make_unique<MemoryConnector>(MemoryOptions{.history = false}),
                                 nullptr, "", options.policy));
    if (options.more_targets) options.more_targets(targets_, options.policy);
    ledger_.inject(std::move(options.commit_faults));
    if (options.definitions) {
      types_ = std::make_unique<define::Registry>(targets_, define::StatusOf());
      targets_.emplace(define::kRegistryTarget, make_registry_target(*types_));
    }
    if (options.promise) {
      durability_ = std::make_unique<DurabilityWatch>(
          DurabilityWatchOptions{
              .floor = options.floor, .every = std::chrono::hours(1), .ask = options.promise},
          clock_);
    }
    engine =
        std::make_unique<Engine>(EnginePorts{ledger_, targets_, runner_, clock_, random_,
                                             types_.get(), nullptr, nullptr, durability_.get()},
                                 options.engine);
    EXPECT_TRUE(engine->recover().has_value());
    service_ = std::make_unique<Service>(
        ServicePorts{.engine = engine.get(),
                     .targets = targets_,
                     .clock = clock_,
                     .pool = pool_,
                     .reader = ledger_.open_reader().value(),
                     .types = types_.get(),
                     .durability = durability_.get(),
                     .replicas = options.replicas},
        ServiceOptions{.auth = options.auth,
                       .version = "1.2.3",
                       .durability = ledger_.durability(),
                       .batch_lines_max = options.batch_lines_max,
                       .batch_line_bytes_max = options.batch_line_bytes_max,
                       .batch_in_flight_max = options.batch_in_flight_max,
                       .cares = options.cares});
    io::HttpServer::Options listen;
    listen.body_bytes_max = options.body_bytes_max;
    listen.body_limit_for = [most = options.body_bytes_max](std::string_view target) {
      return body_limit(target, most);
    };
    auto server = io::HttpServer::listen(
        loop_, std::move(listen), [this](io::HttpRequest&& request, io::Responder responder) {
          service_->handle(std::move(request), std::move(responder));
        });
    EXPECT_TRUE(server.has_value());
    server_ = std::move(server).value();
    service_->set_port(server_->port());
    pump_ = std::make_unique<EnginePump>(*engine);
  }

  ~Server() {
    gate->open();
    pump_->stop(Duration{5'000});
    server_->stop(Duration{1'000});
  }

  std::uint16_t port() const { return server_->port(); }

  Got call(const std::string& method, const std::string& path, const std::string& body = "",
           std::vector<io::Header> headers = {}) {
    const bool typed = io::find_header(headers, "Content-Type") != nullptr;
    if (!body.empty() && !typed) headers.push_back({"Content-Type", "application/json"});
    std::erase_if(headers, [](const io::Header& header) { return header.value.empty(); });
    auto answer = client_.call({.method = method,
                                .url = "http://127.0.0.1:" + std::to_string(port()) + path,
                                .headers = std::move(headers),
                                .body = body,
                                .total_timeout = {}});
    Got got;
    EXPECT_TRUE(answer.has_value()) << (answer.has_value() ? "" : answer.error().message);
    if (!answer.has_value()) return got;
    got.response = std::move(answer).value();
    auto value = json::parse(got.response.body);
    if (value.has_value()) got.value = std::move(value).value();
    return got;
  }

  /// The ledger is asked what it promises.
  void look() { durability_->look(); }

  Got get(const std::string& path, std::vector<io::Header> headers = {}) {
    return call("GET", path, "", std::move(headers));
  }
  Got post(const std::string& path, const std::string& body, std::vector<io::Header> headers = {}) {
    return call("POST", path, body, std::move(headers));
  }
  /// Submits a write of one artifact and waits for it to settle.
  Got write(const std::string& key, const std::string& path, const std::string& content,
            const std::string& target = "docs") {
    return post("/v1/operations", submission(path, content, target),
                {{"Idempotency-Key", key}, {"Prefer", "wait=10"}});
  }
  Got submit(const std::string& key, const std::string& path, const std::string& content) {
    return post("/v1/operations", submission(path, content), {{"Idempotency-Key", key}});
  }

  static std::string submission(const std::string& path, const std::string& content,
                                const std::string& target = "docs") {
    return R"({"type":"write","input":{"target":")" + target + R"(","artifacts":[{"path":")" +
           path + R"(","content":")" + content + R"("}]}})";
  }

  std::shared_ptr<MemoryConnector> store = std::make_shared<MemoryConnector>();
  Gate* gate = nullptr;  ///< of "docs"; owned by its target
  std::unique_ptr<Engine> engine;

 private:
  io::HttpClient client_{{}};
  io::Loop loop_;
  io::BlockingPool pool_;
  ThreadRunner runner_{4};
  std::unique_ptr<Service> service_;
  std::unique_ptr<io::HttpServer> server_;
  std::unique_ptr<EnginePump> pump_;
};

/// A connection on which bytes go as they stand.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  ~RawConnection() { ::close(fd_); }

  void send(const std::string& bytes) const {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Up to and with `end`, byte by byte so that nothing after it is taken; or to the end.
  std::string read_until(const std::string& end) const {
    std::string answer;
    char byte = 0;
    while (!answer.ends_with(end) && ::recv(fd_, &byte, 1, 0) == 1) answer += byte;
    return answer;
  }

 private:
  int fd_;
};

/// Sends bytes as they stand and returns everything that comes back until the end.
[[nodiscard]] inline std::string raw_exchange(std::uint16_t port, const std::string& bytes) {
  const RawConnection connection(port);
  connection.send(bytes);
  return connection.read_until(std::string(1, '\x01'));
}

}  // namespace trued::api
