// rows.h: operations, tombstones and the log's ends to and from rows. Private.
#pragma once

#include "base/result.h"
#include "ledger/postgres/values.h"
#include "ledger/stored.h"

namespace trued::postgres {

/// An operation and where it stands in the log.
struct Stored {
  std::uint64_t no = 0;
  std::uint64_t last = 0;  ///< the sequence of its newest record
  Operation operation;
};

/// The columns that read_stored() expects of table o, in its order.
inline constexpr const char* kColumns =
    "o.no, o.last, o.id, o.state, o.created_at, o.scope, o.type, o.key, o.target, o.body";
inline constexpr std::size_t kColumnCount = 10;
[[nodiscard]] Result<Stored> read_stored(Fields& row);

/// The columns read_grave() expects of table t.
inline constexpr const char* kGraveColumns =
    "t.id, t.fingerprint, t.state, t.settled_at, t.retired_at, t.operation, t.record, t.identity";
[[nodiscard]] Result<Grave> read_grave(Fields& row);

/// "batch, sequence, operation, hash" of the head.
[[nodiscard]] Result<Ends> read_ends(Fields& row);
/// "batch, sequence, hash, tombs" of the base.
[[nodiscard]] Result<LogBase> read_base(Fields& row);

}  // namespace trued::postgres
