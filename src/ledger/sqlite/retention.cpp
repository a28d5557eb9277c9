#include "ledger/sqlite/retention.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "ledger/codec.h"
#include "ledger/sqlite/rows.h"

namespace trued::sqlite {
namespace {

constexpr std::string_view kRetire = "cannot retire an operation";
constexpr std::int64_t kDropMax = 5'000;  // records looked at, and so dropped, at a time

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
    TRUED_TRY_VOID(run_one(connection, reduce, kRetire));
    sequence = previous;
  }
  return {};
}

// The tombstone, and the mark in the log that says what it must be.
Result<Digest> bury(Connection& connection, const Expired& dead, WallTime now, Ends& next) {
  const Operation& o = dead.operation;
  const Grave grave{.tombstone = {.id = o.id,
                                  .fingerprint = o.fingerprint,
                                  .state = o.state,
                                  .settled_at = o.settled_at.value_or(now),
                                  .retired_at = now},
                    .operation = dead.no,
                    .record = next.sequence,
                    .identity = dead.identity};
  TRUED_TRY(Statement tomb,
            connection.prepare("INSERT INTO tombstone VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"));
  tomb.bind(1, dead.no).bind_blob(2, dead.identity).bind_blob(3, id_blob(o.id));
  tomb.bind_blob(4, blob_of(o.fingerprint.value()));
  tomb.bind(5, std::int64_t{state_number(o.state)}).bind(6, grave.tombstone.settled_at);
  tomb.bind(7, now).bind(8, grave.record);
  TRUED_TRY_VOID(run_one(connection, tomb, kRetire));
  TRUED_TRY(Statement row, connection.prepare("DELETE FROM operation WHERE no=?1"));
  TRUED_TRY_VOID(run_one(connection, row.bind(1, dead.no), kRetire));
  TRUED_TRY(Statement intent, connection.prepare("DELETE FROM intent WHERE no=?1"));
  TRUED_TRY_VOID(run_one(connection, intent.bind(1, dead.no), kRetire));
  return write_record(connection, dead.no, grave.mark(), next, now);
}

// The newest batch that can go with all before it: nothing in them is needed, every record is
// reduced, a mark, or an older base. Looks at so many records at most: an operation that stood in
// the way for a week leaves a long beginning behind, which goes piece by piece. 0 = none.
Result<std::uint64_t> last_unneeded(Connection& connection, std::uint64_t newest) {
  TRUED_TRY(Statement records,
            connection.prepare("SELECT batch, body IS NULL OR operation = 0 OR "
                               "substr(body, 1, ?1) = ?2 FROM record ORDER BY sequence LIMIT ?3"));
  records.bind(1, std::uint64_t{kMarkPrefix.size()}).bind_text(2, kMarkPrefix);
  records.bind(3, kDropMax);
  std::uint64_t before = newest;
  std::int64_t seen = 0;
  int code = SQLITE_ROW;
  while ((code = records.step()) == SQLITE_ROW) {
    ++seen;
    // Of a batch that is not looked at to its end nothing can go.
    if (seen == kDropMax || records.integer(1) == 0) {
      before = std::min(before, records.unsigned_integer(0));
      break;
    }
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) return connection.failure("cannot read the log");
  records.reset();
  TRUED_TRY(const std::int64_t last, connection.integer("SELECT coalesce(max(no), 0) FROM batch "
                                                        "WHERE no < " +
                                                        std::to_string(before)));
  return static_cast<std::uint64_t>(last);
}

// Lets the beginning go; the base, in the row and in the log, remembers what the first batch kept
// must follow, and what the marks were. Nothing if nothing can go.
Result<std::optional<Digest>> drop_prefix(Connection& connection, Ends& next, WallTime now) {
  TRUED_TRY(const std::uint64_t upto, last_unneeded(connection, next.batch));
  TRUED_TRY(const LogBase old, read_base(connection));
  if (upto <= old.batch) return std::optional<Digest>();
  const std::string number = std::to_string(upto);
  TRUED_TRY(Statement hash, connection.prepare("SELECT hash FROM batch WHERE no=" + number));
  const auto kept = hash.step() == SQLITE_ROW ? digest_of(hash.bytes(0)) : std::nullopt;
  if (!kept) return Error{.code = ErrorCode::corrupt, .message = "a batch has lost its hash"};
  hash.reset();
  TRUED_TRY(const std::int64_t first,
            connection.integer("SELECT min(sequence) FROM record WHERE batch > " + number));
  LogBase base{
      .batch = upto, .sequence = static_cast<std::uint64_t>(first), .hash = *kept, .tombs = {}};
  TRUED_TRY(base.tombs, bury_marks(connection, old.tombs, old.sequence, base.sequence));
  TRUED_TRY_VOID(connection.run(("DELETE FROM record WHERE sequence<" + std::to_string(first) +
                                 "; DELETE FROM batch WHERE no<=" + number + ";")
                                    .c_str()));
  TRUED_TRY(const Digest digest, write_base(connection, base, next, now));
  return std::optional<Digest>(digest);
}

}  // namespace

Result<std::uint32_t> retire(Connection& connection, Ends& ends, WallTime now,
                             std::uint32_t limit) {
  TRUED_TRY(const std::vector<Expired> expired, find_expired(connection, now, limit));
  TRUED_ASSERT(expired.size() <= limit);
  if (expired.empty()) return std::uint32_t{0};
  TRUED_TRY_VOID(connection.run("BEGIN IMMEDIATE"));
  Ends next = ends;
  ++next.batch;
  BatchHash hash(ends.hash, next.batch, now);
  std::uint64_t records = expired.size();
  for (const Expired& dead : expired) {
    TRUED_TRY_VOID(reduce_records(connection, dead.last));
    TRUED_TRY(const Digest mark, bury(connection, dead, now, next));
    hash.add(mark);
  }
  TRUED_TRY(const std::optional<Digest> base, drop_prefix(connection, next, now));
  if (base) {
    hash.add(*base);
    ++records;
  }
  next.hash = hash.finish();
  TRUED_ASSERT(next.batch - ends.batch == 1);
  TRUED_ASSERT(next.sequence - ends.sequence == records);
  TRUED_ASSERT(next.operation == ends.operation);  // nothing new is among it
  TRUED_TRY_VOID(write_batch(connection, next, now, records));
  auto committed = connection.run("COMMIT");
  if (!committed.has_value()) {
    Error failure = committed.error();
    failure.happened = Happened::maybe;
    return failure;
  }
  ends = next;
  return static_cast<std::uint32_t>(expired.size());
}

}  // namespace trued::sqlite
