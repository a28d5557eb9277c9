// log_base.h: where the log begins and ends, and the marks of what was retired. Private.
#pragma once

#include <cstdint>
#include <string>

#include "base/digest.h"
#include "base/result.h"
#include "core/identity.h"
#include "ledger/audit_core.h"
#include "ledger/codec.h"
#include "ledger/ledger.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/schema.h"
#include "ledger/stored.h"

namespace trued::sqlite {

/// `version` of the schema that the file has.
[[nodiscard]] Result<Ends> read_ends(Connection& connection, int version = kSchemaVersion);
/// A file is named by the first operation that it ever held: its number stays, as a row or as a
/// tombstone, in every copy.
[[nodiscard]] Result<LedgerPosition> read_position(Connection& connection);
/// `version` of the schema that the file has: the first knew of no hash over dropped marks.
[[nodiscard]] Result<LogBase> read_base(Connection& connection, int version = kSchemaVersion);

/// The columns read_grave() expects, and their table.
inline constexpr const char* kGraves =
    "SELECT id, fingerprint, state, settled_at, retired_at, operation, record, identity "
    "FROM tombstone";
/// From a statement that selected kGraves and stands on a row.
[[nodiscard]] Result<Grave> read_grave(Statement& statement);

/// The hash over the marks of every tombstone whose mark lies in [from, to), added to `tombs`.
[[nodiscard]] Result<Digest> bury_marks(Connection& connection, const Digest& tombs,
                                        std::uint64_t from, std::uint64_t to,
                                        int version = kSchemaVersion);

/// Writes the record that tells where the log begins, as the next of the batch that `next` is.
[[nodiscard]] Result<Digest> write_base(Connection& connection, const LogBase& base, Ends& next,
                                        WallTime at);
/// Writes one record of the batch that `next` is and moves its sequence on; its digest.
[[nodiscard]] Result<Digest> write_record(Connection& connection, std::uint64_t operation,
                                          std::string_view text, Ends& next, WallTime at);
[[nodiscard]] Result<void> write_batch(Connection& connection, const Ends& next, WallTime at,
                                       std::uint64_t records);

/// step() of a statement that gives no rows; `what` for the error.
[[nodiscard]] Result<void> run_one(Connection& connection, Statement& statement,
                                   std::string_view what);

}  // namespace trued::sqlite
