// process.h: who a process is, written into names and notes that outlive it, so that what a dead
// one left behind can be told from what a living one is about to use. Linux (/proc). Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace trued {

/// Each part is made of hexadecimal or decimal digits only, and never empty.
struct ProcessMark {
  std::string boot;           ///< of the kernel: 12 digits; zeros when it is not known
  std::string pid_namespace;  ///< a container's process ids are not ours
  std::string pid;
  std::string start;  ///< in clock ticks since boot: tells a reused process id

  bool operator==(const ProcessMark&) const = default;
};

enum class Whereabouts : std::uint8_t {
  alive,
  gone,
  elsewhere,  ///< another kernel or namespace: it cannot be asked from here
};

/// Ours; found anew after a fork.
[[nodiscard]] ProcessMark this_process();

/// `gone` only if that is certain.
[[nodiscard]] Whereabouts whereabouts(const ProcessMark& mark);

/// When this kernel was started, in seconds since 1970; 0 if that is not known. What was last
/// touched before, on this machine's own disk, belongs to nobody who still lives.
[[nodiscard]] std::int64_t boot_seconds();

}  // namespace trued
