// schema.h: the tables of the PostgreSQL ledger and how they came to be.
//
//   head       one row: `epoch` and `holder`, who may commit; where the log ends (`batch`,
//              `sequence` of the next event, `operation`, `hash`); `settled` counts how often an
//              outcome in doubt was settled. Every commit is conditional on all of these
//   holder     one row: the same epoch and holder, and `beat`, which the holder raises as long as
//              it lives. Apart from head, so that a renewal never waits for a commit
//   node       one row for each process that serves the ledger, acting or not, and what it says of
//              itself (nodes.h)
//   tenure     one row for each epoch (history.h): who took it, and where the chain stood (`batch`,
//              `hash` of the head). What follows, up to the next epoch's batch, that node wrote
//   operation, intent, record, batch, tombstone, base: as in the SQLite ledger (sqlite/schema.h),
//              bodies packed (codec.h); all that others wrote is bytea, whatever it holds
//
//   copying    only while they are an unfinished copy of another ledger (unfinished.h)
//
// `version` is what the tables are; `oldest` the oldest program's version that may still use them:
// a change that only adds raises the first alone, so that nodes can be replaced one by one.
#pragma once

#include <functional>

#include "base/result.h"
#include "ledger/postgres/link.h"

namespace trued::postgres {

/// How far tables of an older version are brought forward: by the node that holds the ledger all
/// the way; by others as far as every program that can use them now still can.
enum class Bring : std::uint8_t { forward, additions };

/// Creates the tables if there are none, under a lock. `unsupported`: a newer program wrote them.
[[nodiscard]] Result<void> ensure_schema(Link& link, Bring older);

/// Creates the tables and runs `more` in the same transaction. `conflict`: there are some already.
[[nodiscard]] Result<void> create_schema(Link& link, const std::function<Result<void>()>& more);

/// The version found; `not_found` if there is no ledger, `unsupported` if it is too new,
/// `invalid_argument` if it is an unfinished copy (unfinished.h).
[[nodiscard]] Result<int> schema_version(Link& link);

}  // namespace trued::postgres
