// retention.h: the ends of the log, and how its beginning is let go. Private.
#pragma once

#include <cstdint>

#include "base/digest.h"
#include "base/result.h"
#include "ledger/sqlite/connection.h"

namespace trued::sqlite {

/// The newest of each number that is in the file, and the hash the next batch follows.
struct Ends {
  std::uint64_t operation = 0;
  std::uint64_t sequence = 1;  ///< of the next event
  std::uint64_t batch = 0;
  Digest hash{};
};

[[nodiscard]] Result<Ends> read_ends(Connection& connection);

/// One transaction: tombstones for what expired, its records reduced to their digests, and the
/// beginning of the log dropped as far as nothing in it is needed any more. Moves `ends` on.
[[nodiscard]] Result<std::uint32_t> retire(Connection& connection, Ends& ends, WallTime now,
                                           std::uint32_t limit);

}  // namespace trued::sqlite
