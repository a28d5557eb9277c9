#include "ledger/sqlite/retention.h"

#include <string>
#include <vector>

#include "ledger/codec.h"
#include "ledger/sqlite/rows.h"

namespace trued::sqlite {
namespace {

struct Expired {
  std::uint64_t no = 0;
  std::uint64_t last = 0;
  std::string identity;
  Operation operation;
};

Result<std::vector<Expired>> find_expired(Connection& connection, WallTime now,
                                          std::uint32_t limit) {
  const std::string sql = "SELECT " + std::string(kColumns) +
                          ", identity FROM operation WHERE expires_at IS NOT NULL AND "
                          "expires_at <= ?1 ORDER BY expires_at LIMIT ?2";
  TRUED_TRY(Statement statement, connection.prepare(sql));
  statement.bind(1, now).bind(2, std::int64_t{limit});
  std::vector<Expired> expired;
  int code = SQLITE_ROW;
  while ((code = statement.step()) == SQLITE_ROW) {
    TRUED_TRY(Operation operation, read_operation(statement));
    expired.push_back({.no = statement.unsigned_integer(kColumnNo),
                       .last = statement.unsigned_integer(kColumnLast),
                       .identity = statement.text(kColumnLast + 1),
                       .operation = std::move(operation)});
  }
  if (code != SQLITE_DONE) return connection.failure("cannot look for expired operations");
  return expired;
}

Result<void> run_one(Connection& connection, Statement& statement) {
  const int code = statement.step();
  statement.reset();
  if (code != SQLITE_DONE) return connection.failure("cannot retire an operation");
  return {};
}

// Each record of the operation, newest first, keeps its digest and loses its text.
Result<void> reduce_records(Connection& connection, std::uint64_t last) {
  TRUED_TRY(Statement read, connection.prepare("SELECT previous, operation, at, body FROM record "
                                               "WHERE sequence=?1"));
  TRUED_TRY(Statement reduce,
            connection.prepare("UPDATE record SET body=NULL, digest=?2 WHERE sequence=?1"));
  for (std::uint64_t sequence = last; sequence != 0;) {
    const Scope scope(read);
    if (read.bind(1, sequence).step() != SQLITE_ROW) {
      return connection.failure("a record of a retired operation is missing");
    }
    const std::uint64_t previous = read.unsigned_integer(0);
    const Digest digest =
        record_digest(sequence, read.unsigned_integer(1), read.moment(2), read.bytes(3));
    reduce.bind(1, sequence).bind_blob(2, blob_of(digest));
    TRUED_TRY_VOID(run_one(connection, reduce));
    sequence = previous;
  }
  return {};
}

Result<void> bury(Connection& connection, const Expired& dead, WallTime now,
                  std::uint64_t sequence) {
  TRUED_TRY(Statement tomb,
            connection.prepare("INSERT INTO tombstone VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"));
  const Operation& o = dead.operation;
  tomb.bind(1, dead.no).bind_blob(2, dead.identity).bind_blob(3, id_blob(o.id));
  tomb.bind_blob(4, blob_of(o.fingerprint.value()));
  tomb.bind(5, std::int64_t{state_number(o.state)}).bind(6, o.settled_at.value_or(now));
  tomb.bind(7, now).bind(8, sequence);
  TRUED_TRY_VOID(run_one(connection, tomb));
  TRUED_TRY(Statement row, connection.prepare("DELETE FROM operation WHERE no=?1"));
  TRUED_TRY_VOID(run_one(connection, row.bind(1, dead.no)));
  TRUED_TRY(Statement intent, connection.prepare("DELETE FROM intent WHERE no=?1"));
  return run_one(connection, intent.bind(1, dead.no));
}

Result<void> leave_mark(Connection& connection, const Expired& dead, const Ends& next,
                        WallTime now) {
  TRUED_TRY(Statement mark,
            connection.prepare("INSERT INTO record VALUES(?1,?2,?3,?4,?5,?6,NULL)"));
  mark.bind(1, next.sequence).bind(2, next.batch).bind(3, dead.no).bind(4, std::int64_t{0});
  mark.bind(5, now).bind_text(6, kRetiredRecord);
  return run_one(connection, mark);
}

// Drops whole batches from the beginning while nothing in them is needed: every record is reduced
// or a mark. The base remembers the hash that the first batch kept must follow.
Result<void> drop_prefix(Connection& connection) {
  TRUED_TRY(Statement first,
            connection.prepare("SELECT batch FROM record WHERE body IS NOT NULL AND body <> ?1 "
                               "ORDER BY sequence LIMIT 1"));
  first.bind_text(1, kRetiredRecord);
  const int found = first.step();
  if (found != SQLITE_ROW && found != SQLITE_DONE) return connection.failure("cannot read the log");
  // The newest batch always stays: it carries the chain on.
  const std::string keep = found == SQLITE_ROW ? std::to_string(first.unsigned_integer(0))
                                               : "(SELECT max(no) FROM batch)";
  first.reset();
  TRUED_TRY(const std::int64_t dropped,
            connection.integer("SELECT max(no) FROM batch WHERE no < " + keep));
  if (dropped == 0) return {};
  const std::string upto = std::to_string(dropped);
  return connection.run(("UPDATE base SET batch=" + upto +
                         ", hash=(SELECT hash FROM batch WHERE no=" + upto +
                         "), sequence=coalesce((SELECT min(sequence) FROM record WHERE batch>" +
                         upto + "), sequence); DELETE FROM record WHERE batch<=" + upto +
                         "; DELETE FROM batch WHERE no<=" + upto + ";")
                            .c_str());
}

Result<void> write_batch(Connection& connection, Ends& next, WallTime now, std::uint64_t records) {
  TRUED_TRY(Statement batch, connection.prepare("INSERT INTO batch VALUES(?1,?2,?3,?4)"));
  batch.bind(1, next.batch).bind(2, now).bind(3, records).bind_blob(4, blob_of(next.hash));
  return run_one(connection, batch);
}

}  // namespace

Result<Ends> read_ends(Connection& connection) {
  Ends ends;
  TRUED_TRY(const std::int64_t operation,
            connection.integer("SELECT max(coalesce((SELECT max(no) FROM operation), 0), "
                               "coalesce((SELECT max(operation) FROM tombstone), 0))"));
  ends.operation = static_cast<std::uint64_t>(operation);
  TRUED_TRY(Statement last, connection.prepare("SELECT no, hash FROM batch ORDER BY no DESC "
                                               "LIMIT 1"));
  if (last.step() == SQLITE_ROW) {
    ends.batch = last.unsigned_integer(0);
    ends.hash = digest_of(last.bytes(1)).value_or(Digest{});
  } else {
    TRUED_TRY(Statement base, connection.prepare("SELECT batch, hash FROM base"));
    if (base.step() != SQLITE_ROW) return connection.failure("the base of the chain is missing");
    ends.batch = base.unsigned_integer(0);
    ends.hash = digest_of(base.bytes(1)).value_or(Digest{});
  }
  TRUED_TRY(Statement record, connection.prepare("SELECT sequence, body FROM record ORDER BY "
                                                 "sequence DESC LIMIT 1"));
  if (record.step() != SQLITE_ROW) return ends;
  std::uint64_t events = 1;
  if (!record.is_null(1)) {
    TRUED_TRY(const auto decoded, decode_events(record.bytes(1)));
    events = decoded.size();
  }
  ends.sequence = record.unsigned_integer(0) + events;
  return ends;
}

Result<std::uint32_t> retire(Connection& connection, Ends& ends, WallTime now,
                             std::uint32_t limit) {
  TRUED_TRY(const std::vector<Expired> expired, find_expired(connection, now, limit));
  if (expired.empty()) return std::uint32_t{0};
  TRUED_TRY_VOID(connection.run("BEGIN IMMEDIATE"));
  Ends next = ends;
  ++next.batch;
  BatchHash hash(ends.hash, next.batch, now);
  for (const Expired& dead : expired) {
    TRUED_TRY_VOID(reduce_records(connection, dead.last));
    TRUED_TRY_VOID(bury(connection, dead, now, next.sequence));
    TRUED_TRY_VOID(leave_mark(connection, dead, next, now));
    hash.add(record_digest(next.sequence, dead.no, now, kRetiredRecord));
    ++next.sequence;
  }
  next.hash = hash.finish();
  TRUED_TRY_VOID(write_batch(connection, next, now, expired.size()));
  TRUED_TRY_VOID(drop_prefix(connection));
  TRUED_TRY_VOID(connection.run("COMMIT"));
  ends = next;
  return static_cast<std::uint32_t>(expired.size());
}

}  // namespace trued::sqlite
