// child.h: one child process at a time, bounded, with signals and the terminal passed on.
//
// A child gets a process group of its own, the terminal while it runs (if we are in front of it,
// and stdin or stdout is one), and dies with us (target/spawn.h). It begins only after its bound is
// in place: a child that cannot be waited for with a time is never run. Signals that were ignored
// when we began are ignored in it too (`nohup`).
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/time.h"
#include "target/spawn.h"

namespace trued::cli {

/// For main, first: what every child relies on. Descriptors 0 to 2 are taken, so that nothing else
/// gets their numbers (where one was closed, using it fails as before); a broken pipe is an error
/// and no signal; and children can be waited for, even if who started us ignores theirs.
void prepare_process();

/// True where whoever started us had the signal ignored.
[[nodiscard]] bool ignored(int signal);

struct ChildEnd {
  enum class How : std::uint8_t { exited, killed, timed_out, lost, never_ran } how = How::never_ran;
  int number = 0;        ///< exit status or signal
  std::string why;       ///< never_ran: why
  bool passing = false;  ///< never_ran: for lack of something that may be there later
};

/// "exit status 2", "it was ended by signal 9 (Killed)", …
[[nodiscard]] std::string describe(const ChildEnd& end);

struct ChildOptions {
  enum class Output : std::uint8_t { through, to_stderr, none };

  std::vector<std::string> argv;
  std::vector<std::string> added;  ///< "NAME=VALUE", in place of what is inherited
  std::string directory;           ///< in which it runs; empty: ours
  Duration timeout{};              ///< beyond it the process group is killed
  Output output = Output::through;
  bool front = false;  ///< gets the terminal; is not begun once we were interrupted
};

/// Runs children; pass_on() and the questions from any thread, run() from one at a time.
class Children {
 public:
  [[nodiscard]] ChildEnd run(ChildOptions options);

  /// Sends a signal that was meant for us to the running child's group.
  void pass_on(int signal);

  /// True once a child in front was not begun because of an interruption.
  [[nodiscard]] bool turned_away() const;
  /// True after a signal was passed on, or after one of the terminal ended a child in front.
  [[nodiscard]] bool interrupted() const;
  [[nodiscard]] std::uint32_t signals() const;
  [[nodiscard]] bool running() const;

 private:
  bool begin(pid_t child, bool front);
  ChildEnd end_of(Spawned& child, bool in_time, bool front);

  mutable std::mutex mutex_;
  pid_t group_ = 0;  ///< of the running child; 0: none. Guarded by mutex_, like the rest
  std::uint32_t signals_ = 0;
  bool interrupted_ = false;
  bool turned_away_ = false;
};

}  // namespace trued::cli
