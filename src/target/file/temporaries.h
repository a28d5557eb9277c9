// temporaries.h: names of temporary files that say whose they are, so that what a dead process
// left can be told from what a living one is about to rename. Private to this folder. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "target/file/beneath.h"

namespace trued::file {

/// Every temporary name begins with this; no artifact may.
inline constexpr std::string_view kTemporaryPrefix = ".trued-";

/// A name nobody else uses: made of boot, process-id namespace, process, its start, and a counter.
[[nodiscard]] std::string temporary_name();

/// Removes temporaries below `root` whose process is certainly gone: of this boot and namespace
/// with no such process; older than this boot; or, made elsewhere (a shared disk, a container),
/// untouched for a day. Best effort, and at most `entries_max` directory entries are looked at.
/// Returns how many were removed.
std::uint32_t remove_left_over(int root, std::uint32_t entries_max);

}  // namespace trued::file
