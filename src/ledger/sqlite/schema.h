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
//              as well), a hash over the marks dropped with them, and `opened`: how often the file
//              was opened for writing. That is a counter and nothing else: writing it is what makes
//              the log begin afresh, nobody reads it, and no audit can say what it should be
//
// `identity` is the first 16 bytes of identity_digest(): 128 bits of SHA-256.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/shape.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::sqlite {

/// The schema this program writes.
inline constexpr int kSchemaVersion = kLedgerSchema;

/// Brings the ledger at `path` forward, in one transaction, after a copy of it as it was is safe
/// beside it (backup.h). A newer one is `unsupported`, one that is not what its version says
/// `corrupt`. Nothing happened on failure. `notice` is told what was done; may be empty.
[[nodiscard]] Result<void> migrate(Connection& connection, const std::string& path,
                                   const std::function<void(const std::string&)>& notice);

/// The version of an unfinished copy (ledger/copy.h): newer than any program knows, so that none
/// uses it, and older ones say something, too.
inline constexpr int kUnfinishedCopy = 2'147'483'647;

/// Makes the tables of a ledger in an empty file and runs `more`, in one transaction; its version
/// is kUnfinishedCopy.
[[nodiscard]] Result<void> create_unfinished(Connection& connection,
                                             const std::function<Result<void>()>& more);

/// The version found; 0 for an empty file.
[[nodiscard]] Result<int> schema_version(Connection& connection);

/// In what the file is not made as that version makes it; nothing if it is.
[[nodiscard]] Result<std::optional<ShapeDifference>> compare_shape(Connection& connection,
                                                                   int version);

/// Who knows how to read a schema before this one, and who waits for the server to bring it
/// forward.
enum class Older : std::uint8_t { read, refuse };

struct ReadOnly {
  std::unique_ptr<Connection> connection;
  int version = 0;
};
/// Opens a ledger to read it. `not_found`; `invalid_argument`: something else is there, or an
/// unfinished copy; `unsupported` names both versions and the next step.
[[nodiscard]] Result<ReadOnly> open_read_only(const std::string& path, Older older);

}  // namespace trued::sqlite
