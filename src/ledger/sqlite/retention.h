// retention.h: how the beginning of the log is let go. Private.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/log_base.h"

namespace trued::sqlite {

/// One transaction: tombstones for what expired, its records reduced to their digests, and the
/// beginning of the log dropped as far as nothing in it is needed any more. Moves `ends` on. After
/// a failure a transaction may be open; `happened` is maybe if the commit itself failed.
[[nodiscard]] Result<std::uint32_t> retire(Connection& connection, Ends& ends, WallTime now,
                                           std::uint32_t limit);

}  // namespace trued::sqlite
