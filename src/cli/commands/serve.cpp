// The server: ledger, targets, engine, HTTP, put together and taken down in order.
#include <algorithm>
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
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return asked_; });
  }
  /// True if it came within that time.
  bool wait_for(Duration span) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, span, [this] { return asked_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool asked_ = false;
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

void announce(const Common& common, const config::Config& config, std::uint16_t port,
              std::uint64_t recovered, const std::string& ledger) {
  const bool v6 = config.address.find(':') != std::string::npos;
  const std::string address =
      (v6 ? "[" + config.address + "]" : config.address) + ":" + std::to_string(port);
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

api::AuthOptions auth_of(const config::Config& config) {
  api::AuthOptions auth;
  auth.port = config.port;
  auth.address = config.address;
  auth.allowed_hosts = config.allowed_hosts;
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
  std::unique_ptr<PostgresTenure> tenure;  ///< of a ledger that others may act on
  std::unique_ptr<Ledger> ledger;
  Targets targets;
  std::unique_ptr<define::Registry> types;
  std::unique_ptr<ThreadRunner> runner;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<io::BlockingPool> pool;
  std::unique_ptr<ReplicaReads> replicas;
  std::unique_ptr<api::Service> service;
  std::unique_ptr<EnginePump> pump;
  std::unique_ptr<io::HttpServer> server;
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

Result<void> start(const config::Config& config, const std::string& ledger_path,
                   const std::string& state, Running& r) {
  TRUED_TRY_VOID(open_ledger(config, ledger_path, r));
  TRUED_TRY(r.targets, build_targets(config, state));
  TRUED_TRY_VOID(know_definitions(config, r));
  r.runner = std::make_unique<ThreadRunner>(config.runner_threads);
  r.engine = std::make_unique<Engine>(
      EnginePorts{*r.ledger, r.targets, *r.runner, r.clock, r.random, r.types.get(),
                  r.tenure.get()},
      EngineOptions{.open_max = config.open_max,
                    .jobs_per_target_max = jobs_per_target(config.runner_threads)});
  TRUED_TRY_VOID(r.engine->recover());
  TRUED_TRY_VOID(warn_of_missing_targets(r));
  TRUED_TRY_VOID(apply_file(config, r));
  TRUED_TRY(auto reader, r.ledger->open_reader());
  if (r.loop == nullptr) r.loop = std::make_unique<io::Loop>();
  r.pool = std::make_unique<io::BlockingPool>(kReadThreads, kReadsWaitingMax);
  const config::SharedLedger shared = config.shared_ledger.value_or(config::SharedLedger{});
  TRUED_TRY(r.replicas, open_replicas(shared));
  r.service = std::make_unique<api::Service>(
      api::ServicePorts{*r.engine, r.targets, r.clock, *r.pool, std::move(reader), r.types.get(),
                        r.replicas.get()},
      api::ServiceOptions{.auth = auth_of(config),
                          .version = TRUED_VERSION,
                          .durability = r.ledger->durability(),
                          .cares = config.cares,
                          .source = config.shared_ledger ? "primary" : "file",
                          .replica_wait = shared.replica_wait});
  r.pump = std::make_unique<EnginePump>(*r.engine);
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
                                     r.service->handle(std::move(request), std::move(responder));
                                   }));
  r.service->set_port(r.server->port());
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

// Waits for its turn where others may act on the ledger. False: it was told to stop meanwhile.
Result<bool> take_ledger(const Common& common, const config::Config& config, Running& r,
                         std::optional<StopSignal>& stop) {
  if (!config.shared_ledger) return true;
  // Who stands by must be able to stop; it may take as long as the other lives.
  r.loop = std::make_unique<io::Loop>();
  stop.emplace(*r.loop);
  bool stopped = false;
  TRUED_TRY(r.tenure, stand_by(common, *config.shared_ledger, [&](Duration pause) {
              // To a supervisor it is up: it may stand by for months.
              notify_systemd("READY=1\nSTATUS=standing by: another node acts on the ledger");
              stopped = stop->wait_for(pause);
              return stopped;
            }));
  return !stopped;
}

// True if it was told to stop; false if another node took the ledger over.
bool wait_for_end(Running& r, StopSignal& stop) {
  constexpr Duration kLook{100};
  if (r.tenure == nullptr) {
    stop.wait();
    return true;
  }
  while (!stop.wait_for(kLook)) {
    if (r.engine->fenced() || r.tenure->lost()) return false;
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
  std::optional<StopSignal> stop;
  const auto taken = take_ledger(common, config, running, stop);
  if (!taken.has_value()) {
    return complain(common, exit_code_of_start(taken.error()), taken.error().message);
  }
  if (!*taken) return kOk;
  auto started = start(config, *file, *state, running);
  if (!started.has_value()) {
    // Without an engine nothing was begun.
    if (running.tenure && running.engine == nullptr) running.tenure->release();
    return complain(common, exit_code_of_start(started.error()), started.error().message);
  }
  if (!stop) stop.emplace(*running.loop);
  const std::uint64_t open = running.engine->stats().open;
  announce(common, config, running.server->port(), open, ledger);
  notify_systemd("READY=1\nSTATUS=acting");
  if (!wait_for_end(running, *stop)) stand_aside(common, running);
  return stop_serving(config, running);
}

}  // namespace trued::cli
