#include "cli/exec_target.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "json/parse.h"
#include "json/writer.h"

namespace trued::cli {
namespace {

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr int kTempFailure = 75;

struct Ended {
  enum class How : std::uint8_t { exited, killed, timed_out, never_ran } how = How::never_ran;
  int number = 0;  ///< exit status or signal
  std::string why;
};

// In the child, between fork and exec: only what is safe there.
[[noreturn]] void become(const std::vector<char*>& argv, const std::vector<char*>& environment,
                         bool quiet) {
  ::setpgid(0, 0);
  if (quiet) {
    const int null = ::open("/dev/null", O_RDWR);
    if (null >= 0) {
      ::dup2(null, STDOUT_FILENO);
      ::dup2(null, STDERR_FILENO);
    }
  }
  ::execvpe(argv.front(), argv.data(), environment.data());
  ::_exit(errno == ENOENT ? kNotFound : kNotExecutable);
}

Ended wait_for(pid_t child, Duration timeout) {
  Ended ended;
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (handle >= 0) {
    pollfd waiting{.fd = handle, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(timeout.count())) == 0) {
      ended.how = Ended::How::timed_out;
      ::kill(-child, SIGKILL);
    }
    ::close(handle);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (ended.how == Ended::How::timed_out) return ended;
  ended.how = WIFEXITED(status) ? Ended::How::exited : Ended::How::killed;
  ended.number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  return ended;
}

Ended run(std::vector<std::string> argv, std::vector<std::string> added, Duration timeout,
          bool quiet) {
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  for (std::string& variable : added) variables.push_back(variable.data());
  variables.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) become(arguments, variables, quiet);
  if (child < 0)
    return {
        .how = Ended::How::never_ran, .number = 0, .why = std::generic_category().message(errno)};
  return wait_for(child, timeout);
}

std::string describe(const Ended& ended) {
  switch (ended.how) {
    case Ended::How::exited:
      return "exit status " + std::to_string(ended.number);
    case Ended::How::killed:
      return "ended by signal " + std::to_string(ended.number);
    case Ended::How::timed_out:
      return "killed: it was still running when its time was over";
    case Ended::How::never_ran:
      return "could not be started: " + ended.why;
  }
  return {};
}

EffectKind kind_of(const Ended& ended) {
  if (ended.how == Ended::How::never_ran) return EffectKind::not_sent;
  if (ended.how != Ended::How::exited) return EffectKind::unknown;
  if (ended.number == 0) return EffectKind::acknowledged;
  if (ended.number == kTempFailure) return EffectKind::rejected_retryable;
  const bool never_ran = ended.number == kNotFound || ended.number == kNotExecutable;
  return never_ran ? EffectKind::rejected_final : EffectKind::unknown;
}

}  // namespace

std::string encode_command(const ExecCommand& command) {
  std::string text;
  json::Writer out(text);
  out.begin_object().key("argv").begin_array();
  for (const std::string& argument : command.argv) out.string(argument);
  out.end_array().member("verify", std::string_view(command.verify)).end_object();
  return text;
}

std::optional<ExecCommand> decode_command(const std::string& text) {
  auto value = json::parse(text);
  if (!value.has_value()) return std::nullopt;
  ExecCommand command;
  const json::Value* argv = value->find("argv");
  const json::Value* verify = value->find("verify");
  if (argv == nullptr || !argv->is_array() || verify == nullptr || !verify->is_string()) {
    return std::nullopt;
  }
  for (const json::Value& argument : argv->items()) {
    if (!argument.is_string()) return std::nullopt;
    command.argv.push_back(argument.as_string());
  }
  command.verify = verify->as_string();
  return command;
}

Capabilities ExecConnector::capabilities() const {
  return {.idempotent = repeatable_, .deduplicates = false, .history = false};
}

EffectResult ExecConnector::perform(const EffectRequest& request) {
  EffectResult result;
  const auto command = decode_command(request.intent->artifacts.front().content);
  if (!command || command->argv.empty()) {
    result.ended.kind = EffectKind::rejected_final;
    result.ended.reason = "the recorded command cannot be read";
    return result;
  }
  const Ended ended =
      run(command->argv,
          {"TRUED_OPERATION=" + to_string(request.operation), "TRUED_KEY=" + request.key,
           "TRUED_ATTEMPT=" + std::to_string(request.attempt.value())},
          request.timeout, false);
  {
    const std::scoped_lock lock(mutex_);
    last_run_ = describe(ended);
  }
  result.ended.kind = kind_of(ended);
  result.ended.changed = result.ended.kind == EffectKind::acknowledged;
  if (result.ended.kind != EffectKind::acknowledged) result.ended.reason = describe(ended);
  return result;
}

std::vector<RawRead> ExecConnector::read(const ReadRequest& request) {
  RawRead read;
  const ArtifactIntent& meant = request.intent->artifacts.front();
  const auto command = decode_command(meant.content);
  if (!command || command->verify.empty()) {
    const std::scoped_lock lock(mutex_);
    read.detail = last_run_.empty() ? "" : "the command ended with " + last_run_ + "; ";
    read.detail += "nothing was given to verify with";
    return std::vector<RawRead>(request.artifacts.size(), read);
  }
  const Ended ended = run({"/bin/sh", "-c", command->verify}, {}, request.timeout, true);
  if (ended.how == Ended::How::exited && ended.number == 0) {
    read.seen = Seen::found;
    read.content = meant.content;
  } else if (ended.how == Ended::How::exited && ended.number == 1) {
    read.seen = Seen::absent;
  } else {
    read.detail = "the verify command " + describe(ended);
  }
  return std::vector<RawRead>(request.artifacts.size(), read);
}

}  // namespace trued::cli
