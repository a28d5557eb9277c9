// command.h: one command, run to its end within bounds of time and output.
//
//   begun ──► ends by itself ─────────────────────────────► exited, killed
//     └ its time is over, or all are stopped ──► TERM to its group
//          ├ ends within the grace ──────────────────────► timed_out, stopped
//          └ does not ──► KILL to its group ─────────────► timed_out, stopped
//
// Whatever of its group is left once the command has ended is killed (a part in the background
// could still have effects, after the end was judged); what left the group on purpose (setsid) is
// not known here. Output is read to the end of the command and no longer, whoever else holds the
// pipe; beyond its bound it is dropped.
//
// Any thread, several at once; run_command() blocks until the command has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "target/spawn.h"

namespace trued {

struct CommandPlan {
  SpawnPlan program;  ///< without streams
  /// What it reads; nothing: an empty input. A file, so that a command that does not read it is no
  /// trouble to anybody.
  std::optional<std::string> input;
  Duration timeout{};  ///< then it is asked to end
  Duration grace{};    ///< after that it is ended
  std::size_t output_bytes_max = 0;
};

struct CommandEnd {
  enum class How : std::uint8_t {
    exited,
    killed,
    timed_out,
    stopped,    ///< by stop_commands()
    lost,       ///< it ended, and how is not known
    never_ran,  ///< nothing of it was executed
  } how = How::never_ran;
  int number = 0;        ///< exit code or signal
  SpawnTrouble trouble;  ///< never_ran; error 0: commands are being stopped
  std::string output;
  bool truncated = false;
  std::string errors;  ///< the end of what it wrote to standard error
};

[[nodiscard]] CommandEnd run_command(CommandPlan plan);

/// Ends all commands of this process, those that ignore being asked after `grace`; from now on none
/// begins. Returns when none is left.
void stop_commands(Duration grace);

/// Ends the commands that are under way now, as stop_commands() does; others may begin afterwards.
/// For who runs one at a time.
void end_commands(Duration grace);

}  // namespace trued
