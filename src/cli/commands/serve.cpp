// The server: ledger, targets, engine, HTTP, put together and taken down in order.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <map>
#include <mutex>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "api/definitions.h"
#include "api/service.h"
#include "cli/commands.h"
#include "cli/durability.h"
#include "cli/exit_codes.h"
#include "cli/settings.h"
#include "cli/shared_ledger.h"
#include "config/config.h"
#include "embed/build_target.h"
#include "embed/definitions.h"
#include "engine/pump.h"
#include "io/loop.h"
#include "json/writer.h"
#include "ledger/sqlite/sqlite_ledger.h"
#include "target/exec/command.h"

namespace trued::cli {
namespace {

/// Waits for SIGINT or SIGTERM; a second one ends the process at once.
class StopSignal {
 public:
  explicit StopSignal(io::Loop& loop) {
    loop.on_signals([this](int) {
      const std::scoped_lock lock(mutex_);
      if (asked_) {
        stop_commands(Duration{0});
        std::_Exit(kTempFail);
      }
      asked_ = true;
      wake_.notify_all();
    });
  }
  /// Ends a wait_for() that is under way, or the next one. Any thread.
  void nudge() {
    const std::scoped_lock lock(mutex_);
    nudged_ = true;
    wake_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return asked_; });
  }
  /// True if it came within that time.
  bool wait_for(Duration span) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, span, [this] { return asked_ || nudged_; });
    nudged_ = false;
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool asked_ = false;
  bool nudged_ = false;
};

// systemd's protocol: one datagram to $NOTIFY_SOCKET.
void notify_systemd(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  (void)::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), size);
  ::close(fd);
}

Result<Targets> build_targets(const config::Config& config, const std::string& state) {
  Targets targets;
  for (const TargetSpec& spec : config.targets) {
    TRUED_TRY(Target target, build_target(spec, state));
    targets.emplace(spec.name, std::move(target));
  }
  return targets;
}

std::string address_of(const config::Config& config, std::uint16_t port) {
  const bool v6 = config.address.find(':') != std::string::npos;
  return (v6 ? "[" + config.address + "]" : config.address) + ":" + std::to_string(port);
}

void announce(const Common& common, const config::Config& config, std::uint16_t port,
              std::uint64_t recovered, const std::string& ledger) {
  const std::string address = address_of(config, port);
  if (!common.json) {
    print("trued listens at http://" + address + ", ledger " + ledger + ", " +
          std::to_string(config.targets.size()) + " target(s), " + std::to_string(recovered) +
          " open operation(s) taken up");
    return;
  }
  std::string line;
  json::Writer out(line);
  out.begin_object().member("event", "listening").member("address", std::string_view(address));
  out.member("ledger", std::string_view(ledger)).member("recovered", recovered).end_object();
  print(line);
}

void announce_node(const Common& common, const config::Config& config, std::uint16_t port,
                   const std::string& ledger, const std::string& node) {
  const std::string address = address_of(config, port);
  if (!common.json) {
    return print("trued listens at http://" + address + " as node " + node + ", ledger " + ledger);
  }
  std::string line;
  json::Writer out(line);
  out.begin_object().member("event", "listening").member("address", std::string_view(address));
  out.member("ledger", std::string_view(ledger))
      .member("node", std::string_view(node))
      .end_object();
  print(line);
}

void announce_acting(const Common& common, const config::Config& config, std::uint64_t epoch,
                     std::uint64_t recovered) {
  if (!common.json) {
    return print("this node acts, epoch " + std::to_string(epoch) + ": " +
                 std::to_string(config.targets.size()) + " target(s), " +
                 std::to_string(recovered) + " open operation(s) taken up");
  }
  std::string line;
  json::Writer out(line);
  out.begin_object().member("event", "acting").member("epoch", epoch);
  out.member("recovered", recovered).end_object();
  print(line);
}

api::AuthOptions auth_of(const config::Config& config) {
  api::AuthOptions auth;
  auth.port = config.port;
  auth.address = config.address;
  auth.allowed_hosts = config.allowed_hosts;
  // As the other nodes call us.
  constexpr std::string_view kScheme = "http://";
  if (!config.node.advertise.empty()) {
    auth.allowed_hosts.push_back(config.node.advertise.substr(kScheme.size()));
  }
  auth.allowed_origins = config.allowed_origins;
  for (const config::TokenSpec& token : config.tokens) {
    auth.tokens.push_back({token.name, token.sha256, token.rights});
  }
  return auth;
}

/// Everything that runs; members go down in the opposite order. The loop outlives whoever may still
/// hold a request to answer.
struct Running {
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<io::Loop> loop;
  std::unique_ptr<StopSignal> stop;
  std::unique_ptr<Sighting> sighting;      ///< of a ledger that others may act on
  std::unique_ptr<PostgresTenure> tenure;  ///< the same
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<DurabilityWatch> durability;
  std::atomic<bool> unapplied{false};  ///< what the file declares, because of the ledger's floor
  Targets targets;
  std::unique_ptr<define::Registry> types;
  std::unique_ptr<ThreadRunner> runner;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<PostgresNodes> nodes;  ///< as sighting
  std::unique_ptr<ReplicaReads> replicas;
  std::unique_ptr<io::BlockingPool> pool;
  std::shared_ptr<api::Forwarder> forwarder;  ///< as sighting
  std::unique_ptr<DurabilityWatch> promises;  ///< as sighting; for receipts until this node acts
  std::unique_ptr<api::Service> standby;      ///< answers until this node acts
  std::unique_ptr<api::Service> service;
  std::unique_ptr<EnginePump> pump;
  std::atomic<api::Service*> front{nullptr};  ///< who answers now
  std::atomic<Engine*> acting{nullptr};       ///< once this node acts
  std::atomic<std::uint64_t> epoch{0};        ///< of that
  std::unique_ptr<io::HttpServer> server;

  ~Running() {
    if (forwarder) forwarder->stop();
    if (nodes) nodes->end();
  }
};

// One target that hangs leaves a quarter of the threads to the others.
std::size_t jobs_per_target(std::size_t threads) {
  return std::max<std::size_t>(threads - threads / 4, 1);
}

constexpr Duration kPause{20};

constexpr std::size_t kReadThreads = 2;
constexpr std::size_t kReadsWaitingMax = 10'000;

// A slip in the configuration must not go unseen: what is open there waits for its target.
Result<void> warn_of_missing_targets(Running& r) {
  std::map<std::string, std::uint64_t> missing;
  TRUED_TRY_VOID(r.ledger->each_open([&](Operation&& operation) {
    if (!r.targets.contains(operation.target)) ++missing[operation.target];
  }));
  for (const auto& [target, count] : missing) {
    spdlog::warn(
        "{} open operation(s) wait for the target '{}', which is not configured; they go on "
        "when it is, until their deadlines",
        count, target);
  }
  return {};
}

// Every version that the ledger tells of, before anything goes on that began with it.
Result<void> know_definitions(const config::Config& config, Running& r) {
  TRUED_TRY(auto states, r.ledger->open_reader());
  TRUED_TRY(const auto reader, r.ledger->open_reader());
  r.types = std::make_unique<define::Registry>(r.targets, status_by(std::move(states)),
                                               remembers_of(config.targets));
  TRUED_TRY_VOID(load_definitions(*reader, *r.types));
  r.targets.emplace(define::kRegistryTarget, make_registry_target(*r.types));
  return {};
}

// What the file declares otherwise than what is current becomes current, before anybody can ask.
Result<void> apply_file(const config::Config& config, Running& r) {
  std::size_t waiting = 0;
  std::string wrong;
  for (const auto& change : define::plan_changes(*r.types, config.operations, false)) {
    if (change.kind == define::ChangeKind::kept) {
      spdlog::warn(
          "the operation '{}' (version {}) is not in the configuration and stays; "
          "trued apply --prune retires it",
          change.name, change.from);
    }
    if (!api::is_change(change)) continue;
    if (const std::string below = r.durability->below(); !below.empty()) {
      spdlog::warn("the file's operations are applied later: {}", below);
      r.unapplied = true;
      return {};
    }
    ++waiting;
    r.engine->submit(api::submission_of(change, "serve"), Duration{60'000},
                     [&waiting, &wrong, &change](std::variant<Answer, EngineProblem> reply) {
                       --waiting;
                       const auto* answer = std::get_if<Answer>(&reply);
                       const bool stands = answer != nullptr && answer->operation &&
                                           status_of(answer->operation->state) == Status::confirmed;
                       if (stands) return;
                       wrong = "the operation '" + change.name + "' cannot be applied: " +
                               (answer == nullptr ? std::get<EngineProblem>(reply).detail
                                                  : answer->operation->reason);
                     });
    while (waiting > 0) {
      const Turn turn = r.engine->step();
      if (turn.worked) continue;
      // tidy: allow sleep because nobody else steps the engine yet.
      std::this_thread::sleep_for(std::min(turn.next_in.value_or(kPause), kPause));
    }
    if (!wrong.empty()) return Error{.code = ErrorCode::invalid_argument, .message = wrong};
    spdlog::info("the operation '{}' is at version {}", change.name, change.to);
  }
  return {};
}

// The same once the ledger keeps what it must, beside whatever else goes on.
void apply_what_waits(const config::Config& config, Running& r) {
  if (!r.unapplied || !r.durability->below().empty()) return;
  r.unapplied = false;
  for (const auto& change : define::plan_changes(*r.types, config.operations, false)) {
    if (!api::is_change(change)) continue;
    r.engine->submit(api::submission_of(change, "serve"), Duration{60'000},
                     [&r, change](std::variant<Answer, EngineProblem> reply) {
                       const auto* answer = std::get_if<Answer>(&reply);
                       const auto* problem = std::get_if<EngineProblem>(&reply);
                       if (problem != nullptr) {
                         // What stood in the way may pass.
                         if (problem->code != ProblemCode::refused) r.unapplied = true;
                       } else if (!answer->operation ||
                                  status_of(answer->operation->state) != Status::confirmed) {
                         spdlog::error("the operation '{}' was not applied: {}", change.name,
                                       answer->operation ? answer->operation->reason : "");
                       } else {
                         spdlog::info("the operation '{}' is at version {}", change.name,
                                      change.to);
                       }
                     });
  }
}

Result<void> open_ledger(const config::Config& config, const std::string& path, Running& r) {
  if (config.shared_ledger) {
    TRUED_TRY(r.ledger, open_shared(*config.shared_ledger, *r.tenure));
    return {};
  }
  const SqliteOptions ledger{.path = path,
                             .notice = [](const std::string& done) { spdlog::info("{}", done); }};
  TRUED_TRY(r.ledger, naming(SqliteLedger::open(ledger), path));
  return {};
}

api::ServiceOptions service_options(const config::Config& config, const Ledger& ledger) {
  const config::SharedLedger shared = config.shared_ledger.value_or(config::SharedLedger{});
  return {.auth = auth_of(config),
          .version = TRUED_VERSION,
          .durability = ledger.durability(),
          .cares = config.cares,
          .node = config.node.name,
          .source = config.shared_ledger ? "primary" : "file",
          .replica_wait = shared.replica_wait};
}

void answer(Running& r, io::HttpRequest&& request, io::Responder responder) {
  api::Service* front = r.front.load();
  if (front != nullptr) return front->handle(std::move(request), std::move(responder));
  // It has been listening for a moment, and is not ready to hand anything on.
  responder.send(api::respond({.name = "no-acting-node",
                               .detail = "the server starts; send the request again in a moment",
                               .retry_after = Duration{1'000}}));
}

Result<void> listen(const config::Config& config, Running& r) {
  io::HttpServer::Options options;
  options.address = config.address;
  options.port = config.port;
  options.body_bytes_max = config.body_bytes_max;
  options.body_limit_for = [single = config.body_bytes_max](std::string_view target) {
    return api::body_limit(target, single);
  };
  TRUED_TRY(r.server,
            io::HttpServer::listen(*r.loop, std::move(options),
                                   [&r](io::HttpRequest&& request, io::Responder responder) {
                                     answer(r, std::move(request), std::move(responder));
                                   }));
  return {};
}

Result<void> start(const config::Config& config, const std::string& ledger_path,
                   const std::string& state, Running& r) {
  TRUED_TRY_VOID(open_ledger(config, ledger_path, r));
  r.durability = watch_durability(*r.ledger, config, r.clock);
  TRUED_TRY(r.targets, build_targets(config, state));
  TRUED_TRY_VOID(know_definitions(config, r));
  r.runner = std::make_unique<ThreadRunner>(config.runner_threads);
  r.engine = std::make_unique<Engine>(
      EnginePorts{*r.ledger, r.targets, *r.runner, r.clock, r.random, r.types.get(), r.tenure.get(),
                  nullptr, r.durability.get()},
      EngineOptions{.open_max = config.open_max,
                    .jobs_per_target_max = jobs_per_target(config.runner_threads)});
  TRUED_TRY_VOID(r.engine->recover());
  TRUED_TRY_VOID(warn_of_missing_targets(r));
  TRUED_TRY_VOID(apply_file(config, r));
  TRUED_TRY(auto reader, r.ledger->open_reader());
  r.service = std::make_unique<api::Service>(api::ServicePorts{.engine = r.engine.get(),
                                                               .targets = r.targets,
                                                               .clock = r.clock,
                                                               .pool = *r.pool,
                                                               .reader = std::move(reader),
                                                               .types = r.types.get(),
                                                               .nodes = r.nodes.get(),
                                                               .durability = r.durability.get(),
                                                               .replicas = r.replicas.get()},
                                             service_options(config, *r.ledger));
  r.pump = std::make_unique<EnginePump>(*r.engine);
  return {};
}

// A turn frees what it allocated, and the next needs as much again. By default glibc hands the top
// of a thread's heap back to the kernel in between: a third of all time went into page faults.
void keep_freed_memory() {
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, 4 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  tune_sqlite_for_ledger();
}

// Everybody can be asked from here on; who stands by hands on what he is asked.
Result<void> stand_up(const Common& common, config::Config& config, Running& r,
                      const std::string& ledger) {
  constexpr int kLeasesOfPatience = 3;
  constexpr Duration kPatienceMin{5'000};
  constexpr Duration kPatienceMax{60'000};
  // The port is known once it listens, and what answers needs it before the first request.
  TRUED_TRY_VOID(listen(config, r));
  config.node = node_of(config, r.server->port());
  if (config.node.advertise.empty()) {
    spdlog::warn(
        "other nodes cannot hand requests on to this one: it listens at every address; say where "
        "it is reached as advertise = \"http://HOST:PORT\" in the table [node]");
  }
  r.sighting = std::make_unique<Sighting>(config.node);
  const Duration patience =
      std::clamp(kLeasesOfPatience * config.shared_ledger->lease, kPatienceMin, kPatienceMax);
  r.forwarder = std::make_shared<api::Forwarder>(
      *r.loop, r.clock, api::ForwarderOptions{.node = config.node.name, .patience = patience},
      [sighting = r.sighting.get()] { return sighting->acting(); });
  TRUED_TRY(r.nodes,
            PostgresNodes::open(place_of(*config.shared_ledger), {.name = config.node.name,
                                                                  .url = config.node.advertise,
                                                                  .version = TRUED_VERSION}));
  TRUED_TRY(r.replicas, open_replicas(*config.shared_ledger));
  TRUED_TRY(r.promises, watch_promises(*config.shared_ledger, r.clock));
  r.standby = std::make_unique<api::Service>(
      api::ServicePorts{.targets = r.targets,
                        .clock = r.clock,
                        .pool = *r.pool,
                        .reader = nullptr,
                        .forwarder = r.forwarder,
                        .nodes = r.nodes.get(),
                        .durability = r.promises.get(),
                        .replicas = r.replicas.get()},
      api::ServiceOptions{.auth = auth_of(config),
                          .version = TRUED_VERSION,
                          .durability = "unknown",
                          .node = config.node.name,
                          .replica_wait = config.shared_ledger->replica_wait});
  r.standby->set_port(r.server->port());
  r.front = r.standby.get();
  announce_node(common, config, r.server->port(), ledger, config.node.name);
  return {};
}

NodeState state_of(const Running& r, std::uint64_t epoch) {
  const Engine* engine = r.acting.load();
  if (engine == nullptr) return {.role = "standby"};
  return {.role = "acting", .epoch = epoch, .detail = api::holdings(engine->stats())};
}

// Waits for its turn where others may act on the ledger. False: it was told to stop meanwhile.
Result<bool> take_ledger(const Common& common, const config::Config& config, Running& r) {
  bool stopped = false;
  TRUED_TRY(r.tenure,
            stand_by({.common = common,
                      .shared = *config.shared_ledger,
                      .sighting = *r.sighting,
                      .stop =
                          [&](Duration pause) {
                            // To a supervisor it is up: it may stand by for months.
                            notify_systemd(
                                "READY=1\nSTATUS=standing by: another node acts on the ledger");
                            stopped = r.stop->wait_for(pause);
                            return stopped;
                          },
                      .opened = [&]() -> Result<void> {
                        r.nodes->begin([&r] { return state_of(r, r.epoch.load()); },
                                       [&r] { r.stop->nudge(); });
                        return {};
                      }}));
  return !stopped;
}

// What was held while nobody acted is ours now, and so is what comes.
void take_over(Running& r) {
  r.epoch.store(r.tenure->claim().epoch);
  r.acting.store(r.engine.get());
  r.service->set_port(r.server->port());
  r.loop->post([&r] {
    r.front = r.service.get();
    r.forwarder->hand_over([&r](io::HttpRequest&& request, io::Responder responder) {
      r.service->handle(std::move(request), std::move(responder));
    });
  });
}

// True if it was told to stop; false if another node took the ledger over.
bool wait_for_end(const config::Config& config, Running& r) {
  constexpr Duration kLook{100};
  if (r.tenure == nullptr) {
    r.stop->wait();
    return true;
  }
  while (!r.stop->wait_for(kLook)) {
    if (r.engine->fenced() || r.tenure->lost()) return false;
    apply_what_waits(config, r);
  }
  return true;
}

// What it would still carry out or answer is another node's business by now.
[[noreturn]] void stand_aside(const Common& common, Running& r) {
  notify_systemd("STOPPING=1");
  constexpr Duration kShort{1'000};
  (void)r.pump->stop(kShort);
  r.server->stop(kShort);
  stop_commands(Duration{2'000});
  (void)complain(common, kTempFail,
                 "another node took over the ledger: this one was silent for longer than its "
                 "lease, or the ledger was set back; it stops, and stands by when it is started "
                 "again");
  spdlog::default_logger()->flush();
  std::_Exit(kTempFail);
}

int stop_serving(const config::Config& config, Running& r) {
  notify_systemd("STOPPING=1");
  spdlog::info("stopping: draining for at most {}", format_duration(config.drain_grace));
  const bool drained = r.pump->stop(config.drain_grace);
  r.server->stop(Duration{2'000});
  if (drained) {
    // Nothing is under way: the next need not wait for the lease.
    if (r.tenure) r.tenure->release();
    return kOk;
  }
  // Their threads cannot be ended, and everything they lead to is durable or will be found.
  // Commands would outlive this process, or what they started would.
  stop_commands(Duration{2'000});
  spdlog::warn("some effects were still under way; they are resolved at next start");
  spdlog::default_logger()->flush();
  std::_Exit(kOk);
}

int failed(const Common& common, const Error& error) {
  return complain(common, exit_code_of_start(error), error.message);
}

// The code with which it ends already; nothing while it serves.
std::optional<int> run_alone(const Common& common, const config::Config& config,
                             const std::string& file, const std::string& state, Running& r) {
  if (auto started = start(config, file, state, r); !started.has_value()) {
    return failed(common, started.error());
  }
  r.front = r.service.get();
  if (auto up = listen(config, r); !up.has_value()) return failed(common, up.error());
  r.service->set_port(r.server->port());
  announce(common, config, r.server->port(), r.engine->stats().open, file);
  notify_systemd("READY=1\nSTATUS=acting");
  return std::nullopt;
}

// The same of one among several.
std::optional<int> run_node(const Common& common, config::Config& config, const std::string& state,
                            const std::string& ledger, Running& r) {
  if (auto up = stand_up(common, config, r, ledger); !up.has_value()) {
    return failed(common, up.error());
  }
  const auto taken = take_ledger(common, config, r);
  if (!taken.has_value()) return failed(common, taken.error());
  if (!*taken) {
    r.server->stop(Duration{1'000});
    return kOk;
  }
  if (auto started = start(config, "", state, r); !started.has_value()) {
    // Without an engine nothing was begun.
    if (r.engine == nullptr) r.tenure->release();
    return failed(common, started.error());
  }
  take_over(r);
  announce_acting(common, config, r.tenure->claim().epoch, r.engine->stats().open);
  notify_systemd("READY=1\nSTATUS=acting");
  return std::nullopt;
}

}  // namespace

int serve(const Common& common, const ServeOptions& options) {
  keep_freed_memory();
  config::Config config;
  if (const int code = read_settings(common, options, config); code != kOk) return code;
  Common placed = common;
  if (placed.state_dir.empty()) placed.state_dir = config.state_dir;
  const auto state = state_directory(placed);
  if (!state.has_value()) return complain(common, kConfig, state.error().message);
  const auto file = ledger_file(placed, config.ledger);
  if (!file.has_value()) return complain(common, kConfig, file.error().message);
  const std::string ledger = config.shared_ledger ? shown(*config.shared_ledger) : *file;
  spdlog::set_default_logger(spdlog::stderr_logger_mt("trued"));
  Running running;
  running.loop = std::make_unique<io::Loop>();
  running.pool = std::make_unique<io::BlockingPool>(kReadThreads, kReadsWaitingMax);
  // Who stands by must be able to stop; it may take as long as the other lives.
  running.stop = std::make_unique<StopSignal>(*running.loop);
  const auto code = config.shared_ledger ? run_node(common, config, *state, ledger, running)
                                         : run_alone(common, config, *file, *state, running);
  if (code) return *code;
  if (!wait_for_end(config, running)) stand_aside(common, running);
  return stop_serving(config, running);
}

}  // namespace trued::cli
