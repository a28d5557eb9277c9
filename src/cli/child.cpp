#include "cli/child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/clock.h"

namespace trued::cli {
namespace {

constexpr int kNeverBegan = 127;

// Signals that we handle otherwise than we found them; a child gets them back.
struct Found {
  bool broken_pipes_ignored = false;
  bool children_ignored = false;
};
Found& found() {
  static Found at_start;
  return at_start;
}

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }
  [[nodiscard]] int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void reset(int fd) {
    close();
    fd_ = fd;
  }

 private:
  int fd_;
};

struct Pipe {
  Fd out, in;
  [[nodiscard]] bool open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    out.reset(ends[0]);
    in.reset(ends[1]);
    return true;
  }
};

ChildEnd never_ran(const std::string& why, int error) {
  // What another moment may bring; everything else needs somebody to change something.
  constexpr std::array kPassing{EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY, EINTR};
  return {.how = ChildEnd::How::never_ran,
          .number = 0,
          .why = why + ": " + std::generic_category().message(error),
          .passing = std::ranges::find(kPassing, error) != kPassing.end()};
}

// ---- In the child, between fork and exec: only what is safe there ------------------------------

// What a child that never ran says of it.
struct Trouble {
  bool entering = false;  ///< its directory
  int error = 0;
};

void redirect(ChildOptions::Output output) {
  if (output == ChildOptions::Output::to_stderr) ::dup2(STDERR_FILENO, STDOUT_FILENO);
  if (output != ChildOptions::Output::none) return;
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0) return;
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(null, STDERR_FILENO);
}

[[noreturn]] void become(const std::vector<char*>& argv, const std::vector<char*>& environment,
                         const ChildOptions& options, const Pipe& gate, const Pipe& report,
                         pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kNeverBegan);  // it died before it could be heard of
  char go = 0;
  if (::read(gate.out.get(), &go, 1) != 1) ::_exit(kNeverBegan);
  redirect(options.output);
  ::signal(SIGPIPE, found().broken_pipes_ignored ? SIG_IGN : SIG_DFL);
  ::signal(SIGCHLD, found().children_ignored ? SIG_IGN : SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  Trouble trouble{.entering = true, .error = 0};
  if (options.directory.empty() || ::chdir(options.directory.c_str()) == 0) {
    trouble.entering = false;
    ::execvpe(argv.front(), argv.data(), environment.data());
  }
  trouble.error = errno;
  (void)!::write(report.in.get(), &trouble, sizeof trouble);
  ::_exit(kNeverBegan);
}

// ---- The terminal ------------------------------------------------------------------------------

void put_in_front(int terminal, pid_t group) {
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
  const Fd terminal_;
  bool lent_ = false;
  bool parked_ = false;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  return out;
}

// What is inherited, but for what is added.
std::vector<char*> environment_with(std::vector<std::string>& added) {
  std::vector<char*> out = pointers(added);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool replaced =
        std::ranges::any_of(added, [&](const std::string& each) { return each.starts_with(name); });
    if (!replaced || name.empty()) out.push_back(*variable);
  }
  out.push_back(nullptr);
  return out;
}

// Where we are already we may not be able to go, and under the name it has in PWD it stays known.
void go_to_directory(ChildOptions& options) {
  std::error_code gone;
  if (options.directory == std::filesystem::current_path(gone)) options.directory.clear();
  if (!options.directory.empty()) options.added.push_back("PWD=" + options.directory);
}

// False when its status is not to be had.
bool reap(pid_t child, int& status) {
  pid_t reaped = 0;
  do {
    reaped = ::waitpid(child, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  return reaped == child;
}

// What exec failed with; error 0 when it did not.
Trouble reported(const Pipe& report) {
  Trouble trouble;
  ssize_t size = 0;
  do {
    size = ::read(report.out.get(), &trouble, sizeof trouble);
  } while (size < 0 && errno == EINTR);
  return size == sizeof trouble ? trouble : Trouble{};
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
  const std::string name = options.argv.front();
  go_to_directory(options);
  std::vector<char*> argv = pointers(options.argv);
  argv.push_back(nullptr);
  const std::vector<char*> environment = environment_with(options.added);
  Pipe gate;
  Pipe report;
  if (!gate.open() || !report.open()) return never_ran("no pipe to '" + name + "'", errno);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    gate.in.close();
    become(argv, environment, options, gate, report, parent);
  }
  if (child < 0) return never_ran("cannot fork for '" + name + "'", errno);
  ::setpgid(child, child);  // both do it: whoever comes first
  report.in.close();
  const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  const int no_handle = handle.get() < 0 ? errno : 0;
  if (no_handle != 0 || !begin(child, options.front)) {
    gate.in.close();  // it ends without having begun
    int status = 0;
    (void)reap(child, status);
    if (no_handle != 0) return never_ran("'" + name + "' could not be bounded in time", no_handle);
    return never_ran("'" + name + "' was not begun", EINTR);
  }
  Trouble trouble;
  bool in_time = true;
  {
    Lent terminal(child, options.front);
    (void)!::write(gate.in.get(), "", 1);
    trouble = reported(report);
    in_time = wait_for(child, handle.get(), options.timeout, terminal);
  }
  const ChildEnd end = end_of(child, in_time, options.front);
  if (trouble.entering) {
    return never_ran("cannot run '" + name + "' in '" + options.directory + "'", trouble.error);
  }
  if (trouble.error != 0) return never_ran("cannot run '" + name + "'", trouble.error);
  return end;
}

ChildEnd Children::end_of(pid_t child, bool in_time, bool front) {
  {
    // From here on the number may be another process's, so nothing is sent to it any more.
    const std::scoped_lock lock(mutex_);
    group_ = 0;
  }
  int status = 0;
  const bool reaped = reap(child, status);
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
  const std::scoped_lock lock(mutex_);
  if (front && interrupted_) {
    turned_away_ = true;
    return false;
  }
  group_ = child;
  return true;
}

}  // namespace trued::cli
