// read_back.h: what stands below a directory, read so that it stays. Private to this folder.
//
// A rename that is seen may be in memory only: its writer was killed before it synced, and a power
// cut would take back what was read. So a file, and every directory on the way to it, is synced
// after it was looked up and before it counts. Any thread.
#pragma once

#include <vector>

#include "target/file/file_connector.h"

namespace trued::file {

/// One answer for each requested artifact, in order. Each directory is synced once a call.
[[nodiscard]] std::vector<RawRead> read_back(int root, const ReadRequest& request,
                                             const FileOptions& options, Doubts& doubts);

/// True if what stands there was there before `since` (by the inode's change time, which nobody can
/// set, and with a second to spare), if it is what was meant, or if there is nothing. False also
/// where that cannot be told. A clock that was set back in between deceives it.
[[nodiscard]] bool untouched(int root, const ArtifactIntent& artifact, WallTime since,
                             const FileOptions& options);

}  // namespace trued::file
