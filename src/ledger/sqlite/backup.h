// backup.h: whole copies of a ledger's file. Private.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

namespace trued::sqlite {

/// Saves the ledger as it is to "<path>.v<version>-backup", synced, before its schema is brought
/// forward. Left alone if there is one already. `io`, and nothing is left behind: no space for it.
[[nodiscard]] Result<void> save_before_migration(
    const std::string& path, int version, const std::function<void(const std::string&)>& notice);

/// `io` if the file system that holds `path` has less than `bytes` left for us.
[[nodiscard]] Result<void> check_space(const std::string& path, std::uint64_t bytes);

}  // namespace trued::sqlite
