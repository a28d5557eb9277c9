#include "target/exec/command.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <fcntl.h>
#include <limits>
#include <mutex>
#include <poll.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/clock.h"

namespace trued {
namespace {

using Instant = std::chrono::nanoseconds;

constexpr std::size_t kErrorsKept = std::size_t{4} << 10U;
// What a pipe may hold at most without privileges: all that a command can have left in it.
constexpr std::size_t kPipeBytesMax = std::size_t{1} << 20U;

// A group whose leader has not been collected, so that its number is nobody else's.
void signal_group(pid_t leader, int signal) {
  if (::kill(-leader, signal) != 0) ::kill(leader, signal);  // not a leader yet
}

/// The commands under way in this process.
class UnderWay {
 public:
  /// False once all are being stopped.
  bool add(pid_t leader) {
    TRUED_ASSERT(leader > 1);  // others are no group of a child of ours
    const std::scoped_lock lock(mutex_);
    if (stopping_) return false;
    leaders_.push_back(leader);
    return true;
  }
  /// Before the leader is collected.
  void remove(pid_t leader) {
    const std::scoped_lock lock(mutex_);
    const std::size_t erased = std::erase(leaders_, leader);
    TRUED_ASSERT(erased == 1);  // added once, and removed before its number may be another's
    changed_.notify_all();
  }
  [[nodiscard]] bool stopping() const {
    const std::scoped_lock lock(mutex_);
    return stopping_;
  }
  void stop(Duration grace, bool for_good) {
    std::unique_lock lock(mutex_);
    stopping_ = stopping_ || for_good;
    for (const pid_t leader : leaders_) signal_group(leader, SIGTERM);
    const auto none = [this] { return leaders_.empty(); };
    if (changed_.wait_for(lock, grace, none)) return;
    for (const pid_t leader : leaders_) signal_group(leader, SIGKILL);
    changed_.wait(lock, none);
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<pid_t> leaders_;
  bool stopping_ = false;
};

UnderWay& under_way() {
  static UnderWay commands;
  return commands;
}

CommandEnd never_ran(SpawnTrouble trouble) {
  CommandEnd end;
  end.trouble = trouble;
  return end;
}

CommandEnd never_ran_now() { return never_ran({.at = SpawnTrouble::At::pipes, .error = errno}); }

// A file without a name that holds `text`, to be read from its beginning.
OwnedFd file_of(std::string_view text) {
  OwnedFd file(::memfd_create("stdin", MFD_CLOEXEC));
  while (file && !text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return OwnedFd();
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (file && ::lseek(file.get(), 0, SEEK_SET) != 0) return OwnedFd();
  return file;
}

OwnedFd input_of(const std::optional<std::string>& input) {
  OwnedFd fd =
      input ? file_of(*input) : OwnedFd(::open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (fd && !fd.move_up()) fd.close();
  return fd;
}

/// One stream of a command as it arrives.
class Stream {
 public:
  enum class Keep : std::uint8_t { beginning, end };
  Stream(Keep keep, std::size_t bytes_max) : keep_(keep), bytes_max_(bytes_max) {}

  [[nodiscard]] bool open(OwnedPipe& pipe) {
    if (!pipe.open()) return false;
    from_ = std::move(pipe.out);
    return ::fcntl(from_.get(), F_SETFL, O_NONBLOCK) == 0;
  }
  [[nodiscard]] int fd() const { return from_.get(); }  ///< -1 once it has ended

  /// Takes what is there, up to `bytes_max` of it; false when there is nothing more now.
  bool take(std::size_t bytes_max) {
    std::array<char, std::size_t{64} << 10U> buffer{};
    std::size_t taken = 0;
    while (from_ && taken < bytes_max) {
      const ssize_t size = ::read(from_.get(), buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
      if (size <= 0) {
        from_.close();
        return false;
      }
      taken += static_cast<std::size_t>(size);
      add({buffer.data(), static_cast<std::size_t>(size)});
    }
    return true;
  }
  [[nodiscard]] bool dropped() const { return dropped_; }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  void add(std::string_view bytes) {
    if (keep_ == Keep::beginning) {
      const std::size_t room = bytes_max_ - text_.size();
      dropped_ = dropped_ || bytes.size() > room;
      text_ += bytes.substr(0, room);
      TRUED_ASSERT(text_.size() <= bytes_max_);
      return;
    }
    text_ += bytes;
    if (text_.size() > bytes_max_) text_.erase(0, text_.size() - bytes_max_);
  }

  Keep keep_;
  std::size_t bytes_max_;
  OwnedFd from_;
  std::string text_;
  bool dropped_ = false;
};

/// A command that has been let begin.
class Watch {
 public:
  Watch(Spawned& child, Stream& output, Stream& errors, const CommandPlan& plan)
      : child_(child),
        output_(output),
        errors_(errors),
        term_at_(clock_.monotonic() + bounded(plan.timeout)),
        kill_at_(term_at_ + bounded(plan.grace)) {}

  /// Until it has ended; true if it did so without being asked to.
  bool wait() {
    while (!step()) {
    }
    return !asked_;
  }

 private:
  // Far beyond any bound, and countable in nanoseconds.
  static Duration bounded(Duration duration) {
    return std::clamp<Duration>(duration, Duration{0}, std::chrono::years{1});
  }

  // True once it has ended.
  bool step() {
    std::array<pollfd, 3> on{pollfd{.fd = child_.handle(), .events = POLLIN, .revents = 0},
                             pollfd{.fd = output_.fd(), .events = POLLIN, .revents = 0},
                             pollfd{.fd = errors_.fd(), .events = POLLIN, .revents = 0}};
    const int ready = ::poll(on.data(), on.size(), patience());
    if (ready > 0) {
      if (on[0].revents != 0) return true;
      constexpr std::size_t kAtATime = std::size_t{256} << 10U;  // one that floods is timed as well
      if (on[1].revents != 0) output_.take(kAtATime);
      if (on[2].revents != 0) errors_.take(kAtATime);
    }
    const Instant now = clock_.monotonic();
    TRUED_ASSERT(!ended_ || asked_);
    if (!asked_ && now >= term_at_) {
      asked_ = true;
      signal_group(child_.pid(), SIGTERM);
    } else if (asked_ && !ended_ && now >= kill_at_) {
      ended_ = true;
      signal_group(child_.pid(), SIGKILL);
    }
    return false;
  }

  int patience() {
    if (ended_) return -1;  // nothing withstands it
    const Instant until = asked_ ? kill_at_ : term_at_;
    const auto left = std::chrono::ceil<Duration>(until - clock_.monotonic());
    constexpr std::int64_t kMost = 3'600'000;
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, kMost));
  }

  SystemClock clock_;
  Spawned& child_;
  Stream& output_;
  Stream& errors_;
  Instant term_at_;
  Instant kill_at_;
  bool asked_ = false;
  bool ended_ = false;
};

CommandEnd::How how_ended(bool by_itself, bool stopping, bool known, int status) {
  if (!by_itself) return CommandEnd::How::timed_out;
  if (stopping) return CommandEnd::How::stopped;
  if (!known) return CommandEnd::How::lost;
  return WIFEXITED(status) ? CommandEnd::How::exited : CommandEnd::How::killed;
}

}  // namespace

CommandEnd run_command(CommandPlan plan) {
  TRUED_ASSERT(!plan.program.files.empty() && !plan.program.argv.empty());
  const OwnedFd input = input_of(plan.input);
  if (!input) return never_ran_now();
  OwnedPipe output_pipe;
  OwnedPipe errors_pipe;
  Stream output(Stream::Keep::beginning, plan.output_bytes_max);
  Stream errors(Stream::Keep::end, kErrorsKept);
  if (!output.open(output_pipe) || !errors.open(errors_pipe)) return never_ran_now();
  plan.program.in = input.get();
  plan.program.out = output_pipe.in.get();
  plan.program.err = errors_pipe.in.get();
  plan.program.only_streams = true;
  plan.program.session = true;
  SpawnTrouble trouble;
  std::optional<Spawned> child = Spawned::hold(std::move(plan.program), trouble);
  if (!child) return never_ran(trouble);
  const pid_t leader = child->pid();
  if (!under_way().add(leader)) return never_ran({});
  output_pipe.in.close();
  errors_pipe.in.close();
  Watch watch(*child, output, errors, plan);
  child->go();
  const bool by_itself = watch.wait();
  const bool there = child->wait_ended();
  if (there) signal_group(leader, SIGKILL);  // what it left behind; the number is still its own
  const bool stopping = under_way().stopping();
  under_way().remove(leader);
  CommandEnd end;
  end.trouble = child->trouble(true);
  output.take(kPipeBytesMax);
  errors.take(kPipeBytesMax);
  int status = 0;
  const bool known = child->reap(status) && there;
  end.how = end.trouble.error != 0 ? CommandEnd::How::never_ran
                                   : how_ended(by_itself, stopping, known, status);
  end.number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  end.output = std::move(output).text();
  end.errors = std::move(errors).text();
  end.truncated = output.dropped();
  TRUED_ASSERT(end.output.size() <= plan.output_bytes_max && end.errors.size() <= kErrorsKept);
  return end;
}

void stop_commands(Duration grace) { under_way().stop(grace, true); }

void end_commands(Duration grace) { under_way().stop(grace, false); }

}  // namespace trued
