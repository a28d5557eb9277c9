// lock_note.h: lets a reference's lock that a killed process of ours left behind be told from a
// lock that somebody holds. Private to src/target/git.
//
// git's lock of a reference is a file, and a process that is killed while it holds it leaves it for
// ever: every later move would be turned away. So a note with our process and the reference is
// written into the repository before its lock is taken, and removed afterwards. A lock is broken
// only if all of this holds:
//   (1) a note names the reference and a process that is gone: by number and start within our own
//       boot and process-id namespace; a process of another container or machine counts as alive,
//       unless its note and the lock are older than this boot;
//   (2) the lock was made after the note, within the time a move waits for a lock;
//   (3) it has stood unchanged for kStaleAfter: whoever lives holds it for milliseconds.
// Breakers take turns (flock on the repository's directory), and a lock is first renamed and then
// looked at: one that is not the very file that was judged is put back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "target/process.h"

namespace trued::git {

class LockNote {
 public:
  /// Writes the note; a note that cannot be written is no reason not to move. `maker` is for tests.
  LockNote(std::string directory, const std::string& reference,
           const ProcessMark& maker = this_process());
  ~LockNote();
  LockNote(const LockNote&) = delete;
  LockNote& operator=(const LockNote&) = delete;

 private:
  std::string path_;
};

/// Removes the lock of `reference` in the repository's `directory` if it is one of a dead process
/// of ours; may wait until it has stood long enough. True if it was removed.
[[nodiscard]] bool break_stale_lock(const std::string& directory, const std::string& reference);

/// Tells one file from another that takes its place. Times are in nanoseconds since 1970.
struct FileMark {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t changed_at = 0;  ///< of the content

  bool operator==(const FileMark&) const = default;
};

/// Nothing if no file is there.
[[nodiscard]] std::optional<FileMark> mark_of(const std::string& path);

/// Removes the lock of `reference` if it is still the file that was `judged`; any other is left, or
/// put back, as it is. True if it was removed.
[[nodiscard]] bool remove_judged_lock(const std::string& directory, const std::string& reference,
                                      const FileMark& judged);

}  // namespace trued::git
