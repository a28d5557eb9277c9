// schema.h: the tables of the SQLite ledger and how they came to be.
//
//   operation  one row an operation: columns to find it by, and `body`, its fold (codec.h);
//              `last` is the sequence of its newest record
//   intent     its canonical input, written once
//   record     the log: the events of one operation in one batch, or a mark or base (codec.h).
//   `sequence` is that of its first
//              event; `previous` the operation's record before (0 = none). A retired operation's
//              records keep their digest only.
//   batch      one row a commit: the hash over its records and the batch before
//   tombstone  identities past retention
//   base       one row: where the chain begins, once retired prefixes were dropped (in the log
//              as well), a hash over the marks dropped with them, and how often the file was opened
//
// `identity` is the first 16 bytes of identity_digest(): 128 bits of SHA-256.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::sqlite {

/// The schema this program writes.
inline constexpr int kSchemaVersion = kLedgerSchema;

/// Brings the ledger at `path` forward, in one transaction, after a copy of it as it was is safe
/// beside it (backup.h). A newer one is `unsupported`. Nothing happened on failure. `notice` is
/// told what was done; may be empty.
[[nodiscard]] Result<void> migrate(Connection& connection, const std::string& path,
                                   const std::function<void(const std::string&)>& notice);

/// The version found; 0 for an empty file.
[[nodiscard]] Result<int> schema_version(Connection& connection);

/// Who knows how to read a schema before this one, and who waits for the server to bring it
/// forward.
enum class Older : std::uint8_t { read, refuse };

struct ReadOnly {
  std::unique_ptr<Connection> connection;
  int version = 0;
};
/// Opens a ledger to read it. `not_found`; `unsupported` names both versions and the next step.
[[nodiscard]] Result<ReadOnly> open_read_only(const std::string& path, Older older);

}  // namespace trued::sqlite
