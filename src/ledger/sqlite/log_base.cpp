#include "ledger/sqlite/log_base.h"

#include "base/assert.h"
#include "ledger/sqlite/rows.h"

namespace trued::sqlite {

Result<void> run_one(Connection& connection, Statement& statement, std::string_view what) {
  const int code = statement.step();
  statement.reset();
  if (code != SQLITE_DONE) return connection.failure(what);
  return {};
}

Result<Ends> read_ends(Connection& connection, int version) {
  Ends ends;
  TRUED_TRY(const std::int64_t operation,
            connection.integer("SELECT max(coalesce((SELECT max(no) FROM operation), 0), "
                               "coalesce((SELECT max(operation) FROM tombstone), 0))"));
  ends.operation = static_cast<std::uint64_t>(operation);
  TRUED_TRY(const LogBase base, read_base(connection, version));
  ends.batch = base.batch;
  ends.hash = base.hash;
  ends.sequence = base.sequence;
  TRUED_TRY(Statement last, connection.prepare("SELECT no, hash FROM batch ORDER BY no DESC "
                                               "LIMIT 1"));
  int code = last.step();
  if (code == SQLITE_ROW) {
    ends.batch = last.unsigned_integer(0);
    ends.hash = digest_of(last.bytes(1)).value_or(Digest{});
  } else if (code != SQLITE_DONE) {
    return connection.failure("cannot read the end of the log");
  }
  TRUED_TRY(Statement record, connection.prepare("SELECT sequence, operation, body FROM record "
                                                 "ORDER BY sequence DESC LIMIT 1"));
  code = record.step();
  if (code == SQLITE_DONE) return ends;
  if (code != SQLITE_ROW) return connection.failure("cannot read the end of the log");
  std::uint64_t events = 1;
  const std::string_view body = record.bytes(2);
  if (!record.is_null(2) && !body.starts_with(kMarkPrefix) && !body.starts_with(kBasePrefix)) {
    TRUED_TRY(const auto decoded, decode_events(body));
    events = decoded.size();
  }
  ends.sequence = record.unsigned_integer(0) + events;
  return ends;
}

Result<LedgerPosition> read_position(Connection& connection) {
  TRUED_TRY(Statement row,
            connection.prepare("SELECT coalesce((SELECT max(no) FROM batch), (SELECT batch FROM "
                               "base), 0), coalesce((SELECT id FROM operation WHERE no=1), (SELECT "
                               "id FROM tombstone WHERE operation=1))"));
  if (row.step() != SQLITE_ROW) return connection.failure("cannot read where the log ends");
  LedgerPosition position{.batch = row.unsigned_integer(0)};
  const auto first = row.is_null(1) ? std::nullopt : id_from(row.bytes(1));
  if (first) position.ledger = first->value();
  return position;
}

Result<LogBase> read_base(Connection& connection, int version) {
  TRUED_TRY(Statement row,
            connection.prepare(version < 2 ? "SELECT batch, sequence, hash, zeroblob(32) FROM base"
                                           : "SELECT batch, sequence, hash, tombs FROM base"));
  const int code = row.step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    return connection.failure("cannot read where the log begins");
  }
  const auto hash = code == SQLITE_ROW ? digest_of(row.bytes(2)) : std::nullopt;
  const auto tombs = code == SQLITE_ROW ? digest_of(row.bytes(3)) : std::nullopt;
  if (!hash || !tombs) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the row that says where the log begins is missing or malformed"};
  }
  return LogBase{.batch = row.unsigned_integer(0),
                 .sequence = row.unsigned_integer(1),
                 .hash = *hash,
                 .tombs = *tombs};
}

Result<Grave> read_grave(Statement& statement) {
  const auto id = id_from(statement.bytes(0));
  const auto fingerprint = digest_of(statement.bytes(1));
  if (!id || !fingerprint) {
    return Error{.code = ErrorCode::corrupt, .message = "the ledger holds a malformed tombstone"};
  }
  TRUED_TRY(const State state, state_from(statement.integer(2)));
  return Grave{.tombstone = {.id = *id,
                             .fingerprint = Fingerprint(*fingerprint),
                             .state = state,
                             .settled_at = statement.moment(3),
                             .retired_at = statement.moment(4)},
               .operation = statement.unsigned_integer(5),
               .record = statement.unsigned_integer(6),
               .identity = statement.text(7)};
}

Result<Digest> bury_marks(Connection& connection, const Digest& tombs, std::uint64_t from,
                          std::uint64_t to, int version) {
  TRUED_TRY(Statement graves,
            connection.prepare(std::string(kGraves) +
                               " WHERE record >= ?1 AND record < ?2 ORDER BY record"));
  graves.bind(1, from).bind(2, to);
  Digest hash = tombs;
  int code = SQLITE_ROW;
  while ((code = graves.step()) == SQLITE_ROW) {
    TRUED_TRY(const Grave grave, read_grave(graves));
    hash = bury_in(grave, hash, version);
  }
  if (code != SQLITE_DONE) return connection.failure("cannot read the tombstones");
  return hash;
}

Result<Digest> write_record(Connection& connection, std::uint64_t operation, std::string_view text,
                            Ends& next, WallTime at) {
  TRUED_ASSERT(text.starts_with(kMarkPrefix) || text.starts_with(kBasePrefix));
  TRUED_TRY(Statement record,
            connection.prepare("INSERT INTO record VALUES(?1,?2,?3,?4,?5,?6,NULL)"));
  record.bind(1, next.sequence).bind(2, next.batch).bind(3, operation).bind(4, std::int64_t{0});
  record.bind(5, at).bind_text(6, text);
  TRUED_TRY_VOID(run_one(connection, record, "cannot write a record"));
  return record_digest(next.sequence++, operation, at, text);
}

Result<Digest> write_base(Connection& connection, const LogBase& base, Ends& next, WallTime at) {
  TRUED_TRY(Statement row,
            connection.prepare("UPDATE base SET batch=?1, sequence=?2, hash=?3, tombs=?4"));
  row.bind(1, base.batch).bind(2, base.sequence).bind_blob(3, blob_of(base.hash));
  row.bind_blob(4, blob_of(base.tombs));
  TRUED_TRY_VOID(run_one(connection, row, "cannot write where the log begins"));
  return write_record(connection, 0, encode_base(base), next, at);
}

Result<void> write_batch(Connection& connection, const Ends& next, WallTime at,
                         std::uint64_t records) {
  TRUED_ASSERT(records > 0);
  TRUED_TRY(Statement batch, connection.prepare("INSERT INTO batch VALUES(?1,?2,?3,?4)"));
  batch.bind(1, next.batch).bind(2, at).bind(3, records).bind_blob(4, blob_of(next.hash));
  return run_one(connection, batch, "cannot write a batch");
}

}  // namespace trued::sqlite
