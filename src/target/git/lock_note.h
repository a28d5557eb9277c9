// lock_note.h: lets a reference's lock that a killed process of ours left behind be told from a
// lock that somebody holds. Private to src/target/git.
//
// git's lock of a reference is a file, and a process that is killed while it holds it leaves it for
// ever: every later move would be turned away. So a note with our process and the reference is
// written into the repository before its lock is taken, and removed afterwards. A lock is broken
// only if all of this holds:
//   (1) a note names the reference and a process that is gone (number and start time);
//   (2) the lock was made after the note, within the time a move waits for a lock;
//   (3) it has stood unchanged for kStaleAfter: whoever lives holds it for milliseconds.
#pragma once

#include <string>

namespace trued::git {

class LockNote {
 public:
  /// Writes the note; a note that cannot be written is no reason not to move.
  LockNote(std::string directory, const std::string& reference);
  ~LockNote();
  LockNote(const LockNote&) = delete;
  LockNote& operator=(const LockNote&) = delete;

 private:
  std::string path_;
};

/// Removes the lock of `reference` in the repository's `directory` if it is one of a dead process
/// of ours; may wait until it has stood long enough. True if it was removed.
[[nodiscard]] bool break_stale_lock(const std::string& directory, const std::string& reference);

}  // namespace trued::git
