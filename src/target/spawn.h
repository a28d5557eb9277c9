// spawn.h: starts one program as a child, and knows whether it began.
//
//   hold() ──► the child exists and waits ──► go() ──► it becomes the program, or says why not
//                                        └──► let_go(), or the destructor: it ends, never begun
//
// So everything that bounds a child (a handle to wait for it with a time, a place in a list of what
// is to be killed) is in place before its program begins. Whether that began is known from exec
// itself and not from an exit status: a pipe that exec closes carries the error otherwise.
//
// A child leads a process group of its own and is killed when the thread that called hold() ends
// (PR_SET_PDEATHSIG; that reaches the child itself, not what it started), so that thread is to wait
// for it.
//
// Linux. Any thread; one Spawned belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace trued {

/// A descriptor that is closed with its owner.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  ~OwnedFd() { close(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  int release();
  void close();
  /// Gives it a number beyond those of the standard streams and of what hold() needs beside them.
  /// False with errno.
  [[nodiscard]] bool move_up();

 private:
  int fd_;
};

/// Two ends of a pipe, closed on exec, beyond the numbers of the standard streams.
struct OwnedPipe {
  OwnedFd out;  ///< to read from
  OwnedFd in;   ///< to write to
  /// False with errno.
  [[nodiscard]] bool open();
};

struct SpawnPlan {
  /// Tried in turn, as the shell does with its PATH: the first that is there is the program.
  std::vector<std::string> files;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< "NAME=VALUE", all of it
  std::string directory;                 ///< in which it runs; empty: ours
  std::optional<mode_t> mask;            ///< its umask; nothing: ours
  /// What become its standard streams; -1 for ours.
  int in = -1;
  int out = -1;
  int err = -1;
  /// Every other descriptor is closed in it. REQUIRES: those three are given, and moved up.
  bool only_streams = false;
  /// Leads a session as well: no terminal, and no signal from its keys.
  bool session = false;
  /// Signals that are ignored in it; every other does what it does by default.
  std::vector<int> ignored;
  /// Run what is no program by the shell, as execvp(3) does.
  bool scripts_without_interpreter = false;
};

/// Why a program did not begin.
struct SpawnTrouble {
  enum class At : std::uint8_t {
    pipes,
    fork,
    handle,     ///< to wait for it with
    directory,  ///< in which it was to run
    program,
  } at = At::program;
  int error = 0;  ///< errno; 0: none that is known
};

class Spawned {
 public:
  Spawned() = default;
  Spawned(Spawned&& other) noexcept;
  Spawned& operator=(Spawned&&) = delete;
  ~Spawned();

  /// `error` of the trouble is never 0; nothing was begun then.
  [[nodiscard]] static std::optional<Spawned> hold(SpawnPlan plan, SpawnTrouble& trouble);

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable once it has ended (pidfd).
  [[nodiscard]] int handle() const { return handle_.get(); }
  /// Lets it begin.
  void go();
  /// Waits until the program has begun (`error` 0) or could not. Of one that has ended it is known
  /// at once.
  [[nodiscard]] SpawnTrouble trouble(bool has_ended = false);
  /// It ends, if it has not begun.
  void let_go();
  /// Waits until it has ended and leaves it as it is, so that its group is still its own. False if
  /// somebody else has collected it.
  [[nodiscard]] bool wait_ended() const;
  /// Collects it; from here on its number may be another's. False when its status is not to be had.
  [[nodiscard]] bool reap(int& status);

 private:
  pid_t pid_ = 0;  ///< 0: none, or collected
  OwnedFd handle_;
  OwnedPipe gate_;  ///< both ends, so that a child that died at it is no broken pipe
  OwnedFd report_;
};

}  // namespace trued
