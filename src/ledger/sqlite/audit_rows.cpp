// Rows, intents and tombstones against the log.
#include "ledger/sqlite/audit_walk.h"
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/rows.h"

namespace trued::sqlite {
namespace {

// `one` is reset by the next look at it, so that views into it live until then.
Result<std::optional<LogRecord>> read_record(Statement& one, std::uint64_t sequence) {
  one.reset();
  if (one.bind(1, sequence).step() != SQLITE_ROW) return std::optional<LogRecord>();
  LogRecord record{.sequence = sequence,
                   .operation = one.unsigned_integer(0),
                   .previous = one.unsigned_integer(1),
                   .at = one.moment(2),
                   .body = {},
                   .digest = {}};
  if (!one.is_null(3)) record.body = one.bytes(3);
  return std::optional<LogRecord>(record);
}

StoredRow read_row(Statement& row) {
  StoredRow stored{.no = row.unsigned_integer(kColumnNo),
                   .last = row.unsigned_integer(kColumnLast),
                   .operation = read_operation(row),
                   .body = row.text(7),
                   .identity = row.text(10),
                   .expires_at = {}};
  if (!row.is_null(11)) stored.expires_at = row.moment(11);
  return stored;
}

}  // namespace

Result<void> AuditWalk::check_rows() {
  TRUED_TRY(Statement rows,
            connection_.prepare("SELECT " + std::string(kColumns) +
                                ", identity, expires_at FROM operation ORDER BY no"));
  TRUED_TRY(Statement one, connection_.prepare("SELECT operation, previous, at, body FROM record "
                                               "WHERE sequence=?1"));
  TRUED_TRY(Statement intents, connection_.prepare("SELECT body FROM intent WHERE no=?1"));
  const RecordAt record_at = [&](std::uint64_t sequence) { return read_record(one, sequence); };
  int code = SQLITE_ROW;
  while (!core_.found() && (code = rows.step()) == SQLITE_ROW) {
    const StoredRow row = read_row(rows);
    TRUED_TRY_VOID(core_.check_row(row, record_at, [&]() -> Result<std::optional<std::string>> {
      const Scope scope(intents);
      if (intents.bind(1, row.no).step() != SQLITE_ROW) return std::optional<std::string>();
      return std::optional<std::string>(intents.text(0));
    }));
    advance();
  }
  if (!core_.found() && code != SQLITE_DONE) return connection_.failure("cannot read the rows");
  return {};
}

// What the log holds and no row stands for: a row that was removed, or set back to an earlier state
// together with its way into the log.
Result<void> AuditWalk::check_strays() {
  if (!core_.rows_are_whole()) {
    TRUED_TRY(Statement stray,
              connection_.prepare(
                  "SELECT r.sequence, r.operation, o.id FROM record r LEFT JOIN operation o ON "
                  "o.no = r.operation WHERE r.body IS NOT NULL AND r.operation > 0 AND "
                  "substr(r.body, 1, ?1) <> ?2 AND (o.no IS NULL OR r.sequence > o.last) LIMIT 1"));
    stray.bind(1, std::uint64_t{kMarkPrefix.size()}).bind_text(2, kMarkPrefix);
    if (stray.step() != SQLITE_ROW) {
      core_.no_stray();
    } else {
      core_.stray(stray.unsigned_integer(0), stray.unsigned_integer(1), id_from(stray.bytes(2)));
    }
    return {};
  }
  TRUED_TRY(Statement intent,
            connection_.prepare("SELECT no FROM intent WHERE no NOT IN (SELECT no FROM operation) "
                                "LIMIT 1"));
  if (intent.step() == SQLITE_ROW) {
    core_.find("intent", "operation number " + std::to_string(intent.integer(0)),
               "it belongs to no operation");
  }
  return {};
}

Result<void> AuditWalk::check_tombstones() {
  TRUED_TRY(Statement mark,
            connection_.prepare("SELECT body FROM record WHERE sequence=?1 AND operation=?2 AND "
                                "body IS NOT NULL"));
  TRUED_TRY(Statement graves, connection_.prepare(std::string(kGraves) + " ORDER BY record"));
  int code = SQLITE_ROW;
  while (!core_.found() && (code = graves.step()) == SQLITE_ROW) {
    ++core_.report().tombstones;
    const auto grave = read_grave(graves);
    if (!grave.has_value()) {
      core_.find("tombstone", "operation number " + std::to_string(graves.integer(5)),
                 grave.error().message);
    } else if (core_.mark_is_dropped(*grave)) {
      core_.check_dropped(*grave);
    } else {
      const Scope scope(mark);
      const bool there = mark.bind(1, grave->record).bind(2, grave->operation).step() == SQLITE_ROW;
      core_.check_marked(*grave, there ? std::optional(mark.bytes(0)) : std::nullopt);
    }
  }
  if (core_.found()) return {};
  if (code != SQLITE_DONE) return connection_.failure("cannot read the tombstones");
  core_.end_tombstones();
  return {};
}

Result<void> AuditWalk::check_reduced() {
  TRUED_TRY(Statement reduced,
            connection_.prepare("SELECT sequence, operation FROM record WHERE body IS NULL AND "
                                "operation NOT IN (SELECT operation FROM tombstone) LIMIT 1"));
  if (reduced.step() == SQLITE_ROW) {
    core_.find("event", "record " + std::to_string(reduced.integer(0)),
               "it has lost its text, and its operation was never retired");
  }
  return {};
}

}  // namespace trued::sqlite
