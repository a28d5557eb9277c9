#include "cli/child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/assert.h"
#include "base/clock.h"

namespace trued::cli {
namespace {

// Signals that we handle otherwise than we found them; a child gets them back.
struct Found {
  bool broken_pipes_ignored = false;
  bool children_ignored = false;
};
Found& found() {
  static Found at_start;
  return at_start;
}

ChildEnd never_ran(const std::string& why, int error) {
  // What another moment may bring; everything else needs somebody to change something.
  constexpr std::array kPassing{EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY, EINTR};
  return {.how = ChildEnd::How::never_ran,
          .number = 0,
          .why = why + ": " + std::generic_category().message(error),
          .passing = std::ranges::find(kPassing, error) != kPassing.end()};
}

ChildEnd never_ran(const std::string& name, const std::string& directory, SpawnTrouble trouble) {
  switch (trouble.at) {
    case SpawnTrouble::At::pipes:
      return never_ran("no pipe to '" + name + "'", trouble.error);
    case SpawnTrouble::At::fork:
      return never_ran("cannot fork for '" + name + "'", trouble.error);
    case SpawnTrouble::At::handle:
      return never_ran("'" + name + "' could not be bounded in time", trouble.error);
    case SpawnTrouble::At::directory:
      return never_ran("cannot run '" + name + "' in '" + directory + "'", trouble.error);
    case SpawnTrouble::At::program:
      break;
  }
  return never_ran("cannot run '" + name + "'", trouble.error);
}

// ---- The terminal ------------------------------------------------------------------------------

void put_in_front(int terminal, pid_t group) {
  TRUED_ASSERT(terminal >= 0 && group > 0);
  // Who is not in front is stopped for asking, unless it has this blocked.
  sigset_t asked;
  sigset_t before;
  sigemptyset(&asked);
  sigaddset(&asked, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &asked, &before);
  ::tcsetpgrp(terminal, group);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

/// The terminal, lent to a child in front; comes back at the end.
class Lent {
 public:
  Lent(pid_t child, bool wanted)
      : child_(child), terminal_(wanted && shown_on_one() ? ::open("/dev/tty", kHow) : -1) {
    lent_ = we_are_in_front();
    if (lent_) put_in_front(terminal_.get(), child_);
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  ~Lent() { take_back(); }

  [[nodiscard]] bool lent() const { return lent_; }

  /// Whoever stops the child (Ctrl-Z) wants the shell back: then we stop too, and go on with it.
  void follow() {
    if (parked_) {
      parked_ = false;
      if (we_are_in_front()) put_in_front(terminal_.get(), child_);
      ::kill(-child_, SIGCONT);
      return;
    }
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(child_), &info, WSTOPPED | WNOHANG) != 0) return;
    if (info.si_pid != child_) return;
    take_back();
    parked_ = true;
    ::kill(0, SIGTSTP);
  }

 private:
  static constexpr int kHow = O_RDWR | O_CLOEXEC | O_NOCTTY;

  // Where both go elsewhere, whoever is behind us in a pipeline may want the keys (a pager).
  static bool shown_on_one() { return ::isatty(STDIN_FILENO) == 1 || ::isatty(STDOUT_FILENO) == 1; }
  bool we_are_in_front() const {
    return terminal_.get() >= 0 && ::tcgetpgrp(terminal_.get()) == ::getpgrp();
  }
  void take_back() {
    if (lent_ && ::tcgetpgrp(terminal_.get()) == child_) {
      put_in_front(terminal_.get(), ::getpgrp());
    }
  }

  const pid_t child_;
  const OwnedFd terminal_;
  bool lent_ = false;
  bool parked_ = false;
};

// What is inherited, but for what is added.
std::vector<std::string> environment_with(std::vector<std::string> added) {
  const std::size_t given = added.size();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool replaced =
        std::any_of(added.begin(), added.begin() + static_cast<long>(given),
                    [&](const std::string& each) { return each.starts_with(name); });
    if (!replaced || name.empty()) added.emplace_back(text);
  }
  return added;
}

// Where a command of that name is looked for, as execvp(3) does.
std::vector<std::string> files_of(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos) return {name};
  const char* found = std::getenv("PATH");
  const std::string_view path = found == nullptr ? "/bin:/usr/bin" : found;
  std::vector<std::string> files;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string directory(path.substr(begin, end - begin));
    files.push_back(directory.empty() ? name : directory + "/" + name);
    begin = end + 1;
  }
  return files;
}

// Signals that were ignored when we began.
std::vector<int> ignored_ones() {
  std::vector<int> signals;
  for (int signal = 1; signal < NSIG; ++signal) {
    const bool ignores = signal == SIGPIPE   ? found().broken_pipes_ignored
                         : signal == SIGCHLD ? found().children_ignored
                                             : ignored(signal);
    if (ignores) signals.push_back(signal);
  }
  return signals;
}

// Where we are already we may not be able to go, and under the name it has in PWD it stays known.
void go_to_directory(ChildOptions& options) {
  std::error_code gone;
  if (options.directory == std::filesystem::current_path(gone)) options.directory.clear();
  if (!options.directory.empty()) options.added.push_back("PWD=" + options.directory);
}

// False when the child had to be killed for its time.
bool wait_for(pid_t child, int handle, Duration timeout, Lent& terminal) {
  using std::chrono::milliseconds;
  constexpr Duration kLongest{3'600'000};  // poll() takes an int
  constexpr Duration kLook{200};           // nothing wakes us when a child is only stopped
  constexpr Duration kCountable = std::chrono::years{100};  // in nanoseconds
  SystemClock clock;
  const auto give_up = clock.monotonic() + std::min(timeout, kCountable);
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(give_up - clock.monotonic());
    if (left <= milliseconds{0}) break;
    const auto slice = std::min<milliseconds>(left, terminal.lent() ? kLook : kLongest);
    pollfd waiting{.fd = handle, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(slice.count())) > 0) return true;
    if (terminal.lent()) terminal.follow();
  }
  TRUED_ASSERT(child > 1);  // -1 would be everybody
  ::kill(-child, SIGKILL);
  return false;
}

}  // namespace

void prepare_process() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is this one. The wrong way round, so that using it fails.
    (void)!::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
  found() = {.broken_pipes_ignored = ::signal(SIGPIPE, SIG_IGN) == SIG_IGN,
             .children_ignored = ::signal(SIGCHLD, SIG_DFL) == SIG_IGN};
}

bool ignored(int signal) {
  struct sigaction now{};
  return ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

std::string describe(const ChildEnd& end) {
  switch (end.how) {
    case ChildEnd::How::exited:
      return "exit status " + std::to_string(end.number);
    case ChildEnd::How::killed:
      return "ended by signal " + std::to_string(end.number) + " (" + ::strsignal(end.number) + ")";
    case ChildEnd::How::timed_out:
      return "killed: it was still running when its time was over";
    case ChildEnd::How::lost:
      return "it ended, and how is not known";
    case ChildEnd::How::never_ran:
      return end.why;
  }
  return {};
}

ChildEnd Children::run(ChildOptions options) {
  TRUED_ASSERT(!options.argv.empty());
  const std::string name = options.argv.front();
  go_to_directory(options);
  SpawnPlan plan;
  plan.files = files_of(name);
  plan.argv = std::move(options.argv);
  plan.environment = environment_with(std::move(options.added));
  plan.directory = options.directory;
  plan.ignored = ignored_ones();
  plan.scripts_without_interpreter = true;
  OwnedFd null;
  if (options.output == ChildOptions::Output::to_stderr) plan.out = STDERR_FILENO;
  if (options.output == ChildOptions::Output::none) {
    null = OwnedFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    plan.in = plan.out = plan.err = null.get();
  }
  SpawnTrouble trouble;
  std::optional<Spawned> child = Spawned::hold(std::move(plan), trouble);
  if (!child) return never_ran(name, options.directory, trouble);
  if (!begin(child->pid(), options.front)) {
    return never_ran("'" + name + "' was not begun", EINTR);
  }
  bool in_time = true;
  {
    Lent terminal(child->pid(), options.front);
    child->go();
    trouble = child->trouble();
    in_time = wait_for(child->pid(), child->handle(), options.timeout, terminal);
  }
  const ChildEnd end = end_of(*child, in_time, options.front);
  return trouble.error == 0 ? end : never_ran(name, options.directory, trouble);
}

ChildEnd Children::end_of(Spawned& child, bool in_time, bool front) {
  {
    // From here on the number may be another process's, so nothing is sent to it any more.
    const std::scoped_lock lock(mutex_);
    group_ = 0;
  }
  int status = 0;
  const bool reaped = child.reap(status);
  ChildEnd end;
  if (!reaped && in_time) {
    end.how = ChildEnd::How::lost;
    return end;
  }
  end.how = !in_time            ? ChildEnd::How::timed_out
            : WIFEXITED(status) ? ChildEnd::How::exited
                                : ChildEnd::How::killed;
  end.number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  // A key of the terminal goes to the child in front and not to us; it was meant for both.
  const bool by_key =
      end.how == ChildEnd::How::killed && (end.number == SIGINT || end.number == SIGQUIT);
  if (front && by_key) {
    const std::scoped_lock lock(mutex_);
    interrupted_ = true;
  }
  return end;
}

void Children::pass_on(int signal) {
  const std::scoped_lock lock(mutex_);
  interrupted_ = true;
  ++signals_;
  if (group_ != 0) ::kill(-group_, signal);
}

bool Children::turned_away() const {
  const std::scoped_lock lock(mutex_);
  return turned_away_;
}

bool Children::interrupted() const {
  const std::scoped_lock lock(mutex_);
  return interrupted_;
}

std::uint32_t Children::signals() const {
  const std::scoped_lock lock(mutex_);
  return signals_;
}

bool Children::running() const {
  const std::scoped_lock lock(mutex_);
  return group_ != 0;
}

bool Children::begin(pid_t child, bool front) {
  TRUED_ASSERT(child > 1);
  const std::scoped_lock lock(mutex_);
  if (front && interrupted_) {
    turned_away_ = true;
    return false;
  }
  group_ = child;
  return true;
}

}  // namespace trued::cli
