// file_connector.h: a directory as a target. Each artifact is a regular file below it.
//
// An artifact is replaced whole or not at all: temporary file in the same directory, fsync, rename,
// fsync of the directory. Of several artifacts all temporaries are complete on disk before the
// first rename, so only a crash or a failing disk between two renames lands a part of them.
//
// No path leaves the directory: every one is resolved by openat2(2) with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS, and only regular files are read, replaced or removed. A file with several
// hard links is replaced, never written through. Missing parent directories are created; a file
// that is to go where a directory is to come is removed first, with everything new complete beside
// it.
//
// What is read back is on disk, not only in memory: the file and the directories that lead to it
// are synced before it counts as found, or as absent. So nothing that a crash could take back is
// ever called confirmed. A file whose sync failed once stays unreadable until it is written anew.
//
// A directory has no versions and no history: `base` is refused, and version() is empty.
//
// Any thread. Two effects on one artifact at a time are the caller's to prevent: the last rename
// wins. Calls block on the disk; their timeout cannot cut a disk access short.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "target/file/doubts.h"
#include "target/target.h"

namespace trued {

struct FileOptions {
  std::string directory;  ///< must exist; may itself be reached by a symbolic link
  std::uint64_t read_bytes_max = 64ULL << 20U;  ///< a larger file is unreadable, not a mismatch
  /// Called with the artifact's name before it is renamed or removed; for tests of partial landing.
  std::function<void(const std::string& name)> before_change = {};
  /// Stands in for fsync(2) of what is read or already holds; for tests of disks that fail.
  std::function<int(int fd)> sync = {};
};

class FileConnector final : public Connector {
 public:
  /// Opens the directory and removes temporary files that a dead process left there. Errors:
  /// not_found, permission_denied, invalid_argument (not a directory), unsupported (no openat2:
  /// Linux before 5.6, or forbidden by a sandbox). Nothing happened then.
  [[nodiscard]] static Result<std::unique_ptr<FileConnector>> open(FileOptions options);

  [[nodiscard]] Capabilities capabilities() const override;
  /// acknowledged: every artifact is durable, `changed` tells whether any differed. A failure
  /// before the first rename is a rejection (nothing but empty directories happened); after it,
  /// unknown.
  [[nodiscard]] EffectResult perform(const EffectRequest& request) override;
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;
  /// Never known.
  [[nodiscard]] History history(const HistoryRequest& request) override;
  /// Always empty.
  [[nodiscard]] Result<std::string> version() override;
  [[nodiscard]] std::string check_name(const std::string& name) const override;

 private:
  explicit FileConnector(FileOptions options) : options_(std::move(options)) {}

  const FileOptions options_;
  file::Doubts doubts_;
};

}  // namespace trued
