#include "target/spawn.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "base/assert.h"

namespace trued {
namespace {

constexpr int kNeverBegan = 127;
// In a child that gets its streams only: 0 to 2, and then these two until exec.
constexpr int kGate = 3;
constexpr int kReport = 4;
constexpr int kFirstOther = 5;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// All that a child needs, made before it is there: it may not allocate.
struct Prepared {
  explicit Prepared(SpawnPlan& plan)
      : files(pointers(plan.files)),
        argv(pointers(plan.argv)),
        environment(pointers(plan.environment)),
        by_shell(argv) {
    // "sh FILE ARGUMENTS…"
    by_shell.insert(by_shell.begin(), shell.data());
    TRUED_ASSERT(argv.back() == nullptr && environment.back() == nullptr);
  }
  std::string shell = "/bin/sh";
  std::vector<char*> files, argv, environment, by_shell;
};

// ---- in the child, between fork and exec: only what is safe there -------------------------------

void close_others(int first) {
  if (::syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  rlimit limit{};
  constexpr rlim_t kMost = 1U << 20U;
  const rlim_t end = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::min(limit.rlim_cur, kMost) : 0;
  for (int fd = first; fd < static_cast<int>(end); ++fd) ::close(fd);
}

// The descriptors of the two pipes; what is taken over lies beyond them (OwnedPipe).
struct Ends {
  int gate;
  int report;
};

Ends place_streams(const SpawnPlan& plan, Ends ends) {
  if (plan.in >= 0) ::dup2(plan.in, STDIN_FILENO);
  if (plan.out >= 0) ::dup2(plan.out, STDOUT_FILENO);
  if (plan.err >= 0) ::dup2(plan.err, STDERR_FILENO);
  if (!plan.only_streams) return ends;
  ::dup2(ends.gate, kGate);
  ::dup2(ends.report, kReport);
  ::fcntl(kGate, F_SETFD, FD_CLOEXEC);
  ::fcntl(kReport, F_SETFD, FD_CLOEXEC);
  close_others(kFirstOther);
  return {.gate = kGate, .report = kReport};
}

void set_signals(const SpawnPlan& plan) {
  for (int signal = 1; signal < NSIG; ++signal) {
    bool ignored = false;
    for (const int each : plan.ignored) ignored = ignored || each == signal;
    ::signal(signal, ignored ? SIG_IGN : SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// Only returns with the reason why nothing could be executed.
int execute(const SpawnPlan& plan, Prepared& prepared) {
  int error = ENOENT;
  for (char* file : prepared.files) {
    if (file == nullptr) break;
    ::execve(file, prepared.argv.data(), prepared.environment.data());
    const int now = errno;
    if (now == ENOEXEC && plan.scripts_without_interpreter) {
      prepared.by_shell[1] = file;  // where the command's name stood
      ::execve(prepared.shell.c_str(), prepared.by_shell.data(), prepared.environment.data());
    }
    if (now == ENOENT || now == ENOTDIR) continue;
    if (now != EACCES) return now;
    error = EACCES;  // there may be another one further on
  }
  return error;
}

[[noreturn]] void become(const SpawnPlan& plan, Prepared& prepared, Ends ends, pid_t parent) {
  plan.session ? (void)::setsid() : (void)::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kNeverBegan);  // it died before it could be heard of
  ends = place_streams(plan, ends);
  char go = 0;
  if (::read(ends.gate, &go, 1) != 1) ::_exit(kNeverBegan);
  set_signals(plan);
  if (plan.mask) ::umask(*plan.mask);
  SpawnTrouble trouble;
  if (plan.directory.empty() || ::chdir(plan.directory.c_str()) == 0) {
    trouble = {.at = SpawnTrouble::At::program, .error = execute(plan, prepared)};
  } else {
    trouble = {.at = SpawnTrouble::At::directory, .error = errno};
  }
  (void)!::write(ends.report, &trouble, sizeof trouble);
  ::_exit(kNeverBegan);
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.release();
  }
  return *this;
}

int OwnedFd::release() { return std::exchange(fd_, -1); }

void OwnedFd::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool OwnedFd::move_up() {
  if (fd_ >= kFirstOther) return true;
  const int moved = ::fcntl(fd_, F_DUPFD_CLOEXEC, kFirstOther);
  if (moved < 0) {
    if (errno == EINVAL) errno = EMFILE;  // the limit is even lower than that
    return false;
  }
  *this = OwnedFd(moved);
  return true;
}

bool OwnedPipe::open() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  out = OwnedFd(ends[0]);
  in = OwnedFd(ends[1]);
  return out.move_up() && in.move_up();
}

std::optional<Spawned> Spawned::hold(SpawnPlan plan, SpawnTrouble& trouble) {
  const auto failed = [&](SpawnTrouble::At at) {
    trouble = {.at = at, .error = errno};
    return std::nullopt;
  };
  TRUED_ASSERT(!plan.argv.empty());
  TRUED_ASSERT(!plan.only_streams ||
               (plan.in >= kFirstOther && plan.out >= kFirstOther && plan.err >= kFirstOther));
  OwnedPipe gate;
  OwnedPipe report;
  if (!gate.open() || !report.open()) return failed(SpawnTrouble::At::pipes);
  Prepared prepared(plan);
  const pid_t parent = ::getpid();
  // Until it has set its own, a child would run our handlers, which tell this process.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(gate.in.get());
    become(plan, prepared, {.gate = gate.out.get(), .report = report.in.get()}, parent);
  }
  const int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = fork_error;
  if (child < 0) return failed(SpawnTrouble::At::fork);
  if (!plan.session) ::setpgid(child, child);  // both do it: whoever comes first
  std::optional<Spawned> held(std::in_place);
  held->pid_ = child;
  held->gate_ = std::move(gate);
  held->report_ = std::move(report.out);
  held->handle_ = OwnedFd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!held->handle_) return failed(SpawnTrouble::At::handle);
  return held;
}

Spawned::Spawned(Spawned&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      handle_(std::move(other.handle_)),
      gate_(std::move(other.gate_)),
      report_(std::move(other.report_)) {}

Spawned::~Spawned() {
  let_go();
  int status = 0;
  if (pid_ != 0) (void)reap(status);
}

void Spawned::go() {
  TRUED_ASSERT(pid_ > 0 && gate_.in);  // once
  (void)!::write(gate_.in.get(), "", 1);
  let_go();
}

void Spawned::let_go() {
  gate_.in.close();
  gate_.out.close();
}

SpawnTrouble Spawned::trouble(bool has_ended) {
  SpawnTrouble trouble;
  // Somebody who forked meanwhile may still hold the other end.
  if (has_ended) ::fcntl(report_.get(), F_SETFL, O_NONBLOCK);
  ssize_t size = 0;
  do {
    size = ::read(report_.get(), &trouble, sizeof trouble);
  } while (size < 0 && errno == EINTR);
  report_.close();
  return size == sizeof trouble ? trouble : SpawnTrouble{};
}

bool Spawned::wait_ended() const {
  TRUED_ASSERT(pid_ > 0);
  siginfo_t info{};
  int answer = 0;
  do {
    answer = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  } while (answer != 0 && errno == EINTR);
  return answer == 0;
}

bool Spawned::reap(int& status) {
  TRUED_ASSERT(pid_ > 0);  // or it would wait for just any child
  const pid_t child = std::exchange(pid_, 0);
  pid_t reaped = 0;
  do {
    reaped = ::waitpid(child, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  return reaped == child;
}

}  // namespace trued
