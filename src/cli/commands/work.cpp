// trued work: a worker whose work is a command: leased, run with the payload on its input, kept by
// heartbeats, and told by its exit code (as targets of kind exec have it).
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/assert.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "core/ids.h"
#include "io/loop.h"
#include "json/canonical.h"
#include "json/writer.h"
#include "target/exec/command.h"
#include "target/exec/exec_target.h"

namespace trued::cli {
namespace {

constexpr Duration kGrace{2'000};  ///< for a command whose lease is lost, between TERM and KILL
constexpr Duration kPauseFirst{200};
constexpr Duration kPauseMost{5'000};
constexpr int kPollSeconds = 5;

/// Whether somebody wants us to end, as something to wait for.
class Stop {
 public:
  explicit Stop(io::Loop& loop) {
    loop.on_signals([this](int) {
      const std::scoped_lock lock(mutex_);
      // Asked a second time, the command at hand is ended as well, and told as unknown.
      const bool again = std::exchange(asked_, true);
      if (again && !ender_.joinable()) ender_ = std::thread([] { stop_commands(kGrace); });
      changed_.notify_all();
    });
  }
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;
  /// REQUIRES: the loop has ended.
  ~Stop() {
    if (ender_.joinable()) ender_.join();
  }
  [[nodiscard]] bool asked() const {
    const std::scoped_lock lock(mutex_);
    return asked_;
  }
  void pause(Duration span) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, span, [this] { return asked_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread ender_;
  bool asked_ = false;
};

/// One attempt in our hands.
struct Held {
  std::string id;
  std::int64_t attempt = 1;
  std::string identity;
  std::string traceparent;
  Duration span{};
  json::Value payload;
};

Held held_of(const json::Value& lease) {
  Held held;
  held.id = text_of(lease, "id");
  held.identity = text_of(lease, "identity");
  held.traceparent = text_of(lease, "traceparent");
  if (const auto* attempt = lease.find("attempt"); attempt != nullptr && attempt->is_int()) {
    held.attempt = attempt->as_int();
  }
  const auto* span = lease.find("lease_ms");
  held.span = Duration{span != nullptr && span->is_int() ? span->as_int() : 1'000};
  if (const auto* payload = lease.find("payload")) held.payload = *payload;
  return held;
}

bool is_answer(const Result<RemoteAnswer>& answer) {
  return answer.has_value() && answer->status < 500 && answer->status != 429;
}

/// Heartbeats while the command runs; a lost lease ends it.
class Beats {
 public:
  Beats(const Common& common, const Held& held, const std::string& worker)
      : remote_(common), path_("/v1/leases/" + held.id + "/heartbeat"), span_(held.span) {
    json::Writer out(body_);
    out.begin_object().key("worker").exact(worker);
    out.member("attempt", held.attempt).end_object();
    // Who was paused while the answer was on its way learns here that it is too late.
    lost_ = !beat();
    if (!lost_) thread_ = std::thread([this] { run(); });
  }
  Beats(const Beats&) = delete;
  Beats& operator=(const Beats&) = delete;
  ~Beats() {
    {
      const std::scoped_lock lock(mutex_);
      done_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] bool lost() const {
    const std::scoped_lock lock(mutex_);
    return lost_;
  }

 private:
  // False once the lease is lost; no answer says nothing.
  bool beat() {
    const auto answer = remote_.call("POST", path_, body_);
    return !is_answer(answer) || answer->status == 200;
  }
  void run() {
    constexpr int kInALease = 3;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, span_ / kInALease, [this] { return done_; })) {
      lock.unlock();
      const bool kept = beat();
      lock.lock();
      if (kept) continue;
      lost_ = true;
      const bool ended = done_;
      lock.unlock();
      if (!ended) end_commands(kGrace);
      return;
    }
  }

  Remote remote_;
  const std::string path_;
  const Duration span_;
  std::string body_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  bool lost_ = false;
};

// Everything is inherited: who started us chose it.
ExecSpec spec_of(Duration timeout) {
  ExecSpec spec;
  spec.commands = {"*"};
  std::error_code gone;
  spec.directory = std::filesystem::current_path(gone).string();
  if (spec.directory.empty()) spec.directory = "/";
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text(*variable);
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    const std::string name = text.substr(0, equals);
    const bool ours = name == "TRUED_TOKEN" || name == "PATH";
    if (ours || !wrong_with_variable(name).empty()) continue;
    spec.environment.push_back({.name = name, .value = text.substr(equals + 1), .secret = false});
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (rest.starts_with('/')) spec.path.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  spec.timeout = timeout;
  spec.grace = kGrace;
  return spec;
}

EffectResult carry_out(CallTarget& target, const Held& held,
                       const std::vector<std::string>& command, Duration timeout) {
  json::Value::Array argv;
  for (const std::string& word : command) argv.emplace_back(word);
  json::Value::Object input;
  input.emplace_back("json", held.payload);
  json::Value::Object request;
  request.emplace_back("argv", json::Value(std::move(argv)));
  request.emplace_back("stdin", json::Value(std::move(input)));
  CallContext context;
  if (const auto id = parse_operation_id(held.id)) context.operation = *id;
  context.attempt = AttemptNo(static_cast<std::uint32_t>(held.attempt));
  context.identity = held.identity;
  context.traceparent = held.traceparent;
  context.timeout = timeout + kGrace;
  return target.perform({.context = context, .request = json::Value(std::move(request))});
}

std::string outcome_of(EffectKind kind) {
  if (kind == EffectKind::acknowledged) return "acknowledged";
  return kind == EffectKind::unknown ? "unknown" : "rejected";
}

std::string said_of(const Held& held, const EffectEnded& ended) {
  TRUED_ASSERT(ended.kind != EffectKind::none);
  std::string body;
  json::Writer out(body);
  out.begin_object().member("attempt", held.attempt);
  out.member("outcome", std::string_view(outcome_of(ended.kind)));
  if (ended.kind == EffectKind::acknowledged) {
    if (!ended.result.empty()) out.key("result").raw(ended.result);
  } else {
    out.member("reason", std::string_view(ended.reason));
  }
  const bool again =
      ended.kind == EffectKind::rejected_retryable || ended.kind == EffectKind::not_sent;
  if (again) out.member("retryable", true);
  out.end_object();
  return body;
}

/// What `trued work` is.
class Worker {
 public:
  Worker(const Common& common, const WorkOptions& options, Duration timeout,
         std::shared_ptr<CallTarget> target)
      : common_(common),
        options_(options),
        timeout_(timeout),
        target_(std::move(target)),
        remote_(common),
        stop_(*loop_) {
    TRUED_ASSERT(target_ != nullptr && !options_.command.empty());
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { loop_.reset(); }  // nothing is heard any more

  int run() {
    Duration pause = kPauseFirst;
    while (!stop_.asked()) {
      const auto answer = remote_.call("POST", "/v1/leases", ask());
      if (answer.has_value() && answer->status == 200) {
        pause = kPauseFirst;
        if (const auto code = work_on(answer->value); code && options_.once) return *code;
        continue;
      }
      if (is_answer(answer)) return remote_.show_problem(*answer);
      if (!answer.has_value() && answer.error().code == ErrorCode::invalid_argument) {
        return remote_.show_failure(answer.error());
      }
      say("trued: " + (answer.has_value() ? problem_text(answer->value) : answer.error().message) +
          "; asking again");
      stop_.pause(pause);
      pause = std::min(pause * 2, kPauseMost);
    }
    return options_.once ? kTempFail : kOk;
  }

 private:
  std::string ask() const {
    std::string body;
    json::Writer out(body);
    out.begin_object().key("worker").exact(options_.name);
    out.key("targets").begin_array().exact(options_.target).end_array();
    if (!options_.types.empty()) {
      out.key("types").begin_array();
      for (const std::string& type : options_.types) out.exact(type);
      out.end_array();
    }
    out.member("wait", kPollSeconds).end_object();
    return body;
  }

  // What became of the lease, if there was one.
  std::optional<int> work_on(const json::Value& answer) {
    const json::Value* leases = answer.find("leases");
    if (leases == nullptr || !leases->is_array() || leases->items().empty()) return std::nullopt;
    const Held held = held_of(leases->items().front());
    EffectEnded ended;
    {
      const Beats beats(common_, held, options_.name);
      if (beats.lost()) {
        ended.kind = EffectKind::not_sent;
        ended.reason = "the lease was lost before anything was run";
      } else {
        ended = carry_out(*target_, held, options_.command, timeout_).ended;
      }
      if (beats.lost() && ended.kind == EffectKind::unknown) {
        ended.reason = "the lease was lost; " + ended.reason;
      }
    }
    return tell(held, ended);
  }

  // Worth saying however late: it counts, or it is kept as evidence.
  int tell(const Held& held, const EffectEnded& ended) {
    const std::string body = said_of(held, ended);
    Duration pause = kPauseFirst;
    auto answer = remote_.call("POST", "/v1/leases/" + held.id + "/complete", body);
    while (!is_answer(answer) && !stop_.asked()) {
      stop_.pause(pause);
      pause = std::min(pause * 2, kPauseMost);
      answer = remote_.call("POST", "/v1/leases/" + held.id + "/complete", body);
    }
    show(held, ended, answer);
    if (!is_answer(answer)) return kTempFail;
    // What did not count decided nothing, however the command ended.
    if (answer->status != 200) {
      say("trued: " + (answer->value.is_object()
                           ? problem_text(answer->value)
                           : "the server answered " + std::to_string(answer->status)));
      return exit_code_of_http(answer->status);
    }
    if (!is_true(answer->value, "counted")) {
      say("trued: it did not count: " + shown(answer->value, "detail"));
      return kTempFail;
    }
    switch (ended.kind) {
      case EffectKind::acknowledged:
        return kOk;
      case EffectKind::rejected_final:
        return kFailed;
      case EffectKind::none:
      case EffectKind::unknown:
      case EffectKind::rejected_retryable:
      case EffectKind::not_sent:
      case EffectKind::skipped:
        break;
    }
    return kTempFail;
  }

  void show(const Held& held, const EffectEnded& ended, const Result<RemoteAnswer>& answer) const {
    const bool told = answer.has_value() && answer->value.is_object();
    if (common_.json) {
      std::string line;
      json::Writer out(line);
      out.begin_object().key("id").exact(held.id).key("said").raw(said_of(held, ended));
      out.key("answer");
      told ? out.raw(json::canonical(answer->value)) : out.null();
      out.end_object();
      return print(line);
    }
    std::string line = held.id + " attempt " + std::to_string(held.attempt) + ": " +
                       outcome_of(ended.kind) +
                       (ended.reason.empty() ? "" : " (" + plain(ended.reason) + ")");
    line += told ? "; " + plain(text_of(answer->value, "detail")) : "; the server was not told";
    print(line);
  }

  const Common& common_;
  const WorkOptions& options_;
  const Duration timeout_;
  const std::shared_ptr<CallTarget> target_;
  Remote remote_;
  std::unique_ptr<io::Loop> loop_ = std::make_unique<io::Loop>();
  Stop stop_;
};

// "host.1234", of what a name may hold.
std::string own_name() {
  constexpr std::size_t kHostMax = 50;
  std::string host(kHostMax, '\0');
  if (::gethostname(host.data(), host.size()) != 0) host = "host";
  host = host.substr(0, std::min(host.find('\0'), host.size()));
  std::string name;
  for (const char c : host) name += valid_name(std::string(1, c)) ? c : '-';
  return name + "." + std::to_string(::getpid());
}

}  // namespace

int work(const Common& common, const WorkOptions& given) {
  WorkOptions options = given;
  if (!options.misplaced.empty() || options.command.empty()) {
    return complain(common, kUsage,
                    "the command stands after '--': trued work TARGET -- COMMAND ARGUMENTS…");
  }
  const auto timeout = parse_duration(options.timeout);
  if (!timeout.has_value()) {
    return complain(common, kUsage, "--timeout " + timeout.error().message);
  }
  if (options.name.empty()) options.name = own_name();
  std::string& program = options.command.front();
  std::error_code gone;
  const bool relative = program.find('/') != std::string::npos && !program.starts_with('/');
  if (relative) program = std::filesystem::absolute(program, gone).string();
  auto target = ExecTarget::open(spec_of(*timeout));
  if (!target.has_value()) return complain(common, kUsage, target.error().message);
  return Worker(common, options, *timeout, std::move(target).value()).run();
}

}  // namespace trued::cli
