// sqlite_copy.h: a ledger in a file as what is copied, and as what a copy becomes (ledger/copy.h).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/copy.h"

namespace trued {

/// Owns the file as long as it lives, and changes nothing in it. `already_exists`: a process uses
/// it. `unsupported`: its schema is older than this program's (a server brings it forward) or
/// newer. Otherwise as audit_sqlite().
[[nodiscard]] Result<std::unique_ptr<CopySource>> open_sqlite_source(const std::string& path);

/// Owns the place, whether there is a file yet or not. `already_exists`: a process uses it.
[[nodiscard]] Result<std::unique_ptr<CopyDestination>> open_sqlite_destination(
    const std::string& path);

}  // namespace trued
