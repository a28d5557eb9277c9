// schema.h: the tables of the SQLite ledger and how they came to be.
//
//   operation  one row an operation: columns to find it by, and `body`, its fold (codec.h);
//              `last` is the sequence of its newest record
//   intent     its canonical input, written once
//   record     the log: the events of one operation in one batch. `sequence` is that of its first
//              event; `previous` the operation's record before (0 = none). A retired operation's
//              records keep their digest only.
//   batch      one row a commit: the hash over its records and the batch before
//   tombstone  identities past retention
//   base       one row: where the chain begins, once retired prefixes were dropped (in the log
//              as well), a hash over the marks dropped with them, and how often the file was opened
//
// `identity` is the first 16 bytes of identity_digest(): 128 bits of SHA-256.
#pragma once

#include "base/result.h"
#include "ledger/sqlite/connection.h"

namespace trued::sqlite {

/// The schema this program writes.
inline constexpr int kSchemaVersion = 2;

/// Brings the schema forward, in one transaction. A newer one is `unsupported`; nothing happened.
[[nodiscard]] Result<void> migrate(Connection& connection);

/// The version found; 0 for an empty file.
[[nodiscard]] Result<int> schema_version(Connection& connection);

}  // namespace trued::sqlite
