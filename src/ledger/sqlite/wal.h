// wal.h: whether a write-ahead log ends the way a crash leaves it. Private.
//
// SQLite takes the first frame that does not fit its checksum for the end of the log, and drops
// what follows without a word: right for a transaction that was being written when the power went,
// wrong for a byte that changed later. The two can be told apart, because with synchronous=FULL a
// transaction begins only when the one before is on the disk: two transactions that are whole, one
// after the other, behind a frame that is not, prove that this one had been synced.
//
// What a changed byte does to the last transaction looks like a crash, and so does one in the
// log's own header; neither is found. Format: SQLite, "WAL-mode File Format".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace trued::sqlite {

struct WalDamage {
  std::uint64_t frame = 0;    ///< the first that is not whole, from 1
  std::uint64_t commits = 0;  ///< whole transactions behind it, at least
};

/// Of the ledger's log, which nobody has open; nothing if there is none, or if it ends well. Fails
/// with `io`.
[[nodiscard]] Result<std::optional<WalDamage>> find_wal_damage(const std::string& ledger);

/// The same as an error (`corrupt`) with the next step.
[[nodiscard]] Result<void> refuse_wal_damage(const std::string& ledger);

}  // namespace trued::sqlite
