// Recomputes everything that can be recomputed, in the order of the log.
#include <cstring>
#include <optional>

#include "ledger/codec.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/rows.h"
#include "ledger/sqlite/schema.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued {
namespace {

using sqlite::Connection;
using sqlite::Scope;
using sqlite::Statement;

constexpr std::uint64_t kProgressEvery = 1'000;

// Walks one snapshot; the first difference ends the walk.
class Audit {
 public:
  Audit(Connection& connection, const Progress& progress)
      : connection_(connection), progress_(progress) {}

  Result<AuditReport> run() {
    TRUED_TRY_VOID(connection_.run("BEGIN"));
    TRUED_TRY(const std::int64_t batches, connection_.integer("SELECT count(*) FROM batch"));
    TRUED_TRY(const std::int64_t rows, connection_.integer("SELECT count(*) FROM operation"));
    total_ = static_cast<std::uint64_t>(batches + rows);
    TRUED_TRY_VOID(check_schema());
    if (!report_.first) TRUED_TRY_VOID(check_chain());
    if (!report_.first) TRUED_TRY_VOID(check_rows());
    if (!report_.first) TRUED_TRY_VOID(check_strays());
    if (!report_.first) TRUED_TRY_VOID(check_tombstones());
    TRUED_TRY_VOID(connection_.run("COMMIT"));
    if (progress_) progress_(total_, total_);
    return report_;
  }

 private:
  void find(std::string what, std::string where, std::string detail) {
    if (!report_.first) {
      report_.first = AuditFinding{std::move(what), std::move(where), std::move(detail)};
    }
  }
  void advance() {
    if (progress_ && ++done_ % kProgressEvery == 0) progress_(done_, total_);
  }

  Result<void> check_schema();
  Result<void> check_chain();
  bool add_records(Statement& records, int& code, std::uint64_t batch, BatchHash& hash,
                   std::uint64_t& count);
  Result<void> check_rows();
  Result<void> check_row(Statement& row);
  Result<std::optional<Operation>> refold(std::uint64_t last, const std::string& where);
  void compare(const Operation& stored, const Operation& folded, Statement& row);
  Result<void> check_intent(const Operation& operation, std::uint64_t no);
  Result<void> check_strays();
  Result<void> check_tombstones();

  Connection& connection_;
  const Progress& progress_;
  AuditReport report_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

Result<void> Audit::check_schema() {
  TRUED_TRY(Statement extra,
            connection_.prepare("SELECT type, name FROM sqlite_master WHERE type IN ('trigger', "
                                "'view') LIMIT 1"));
  if (extra.step() == SQLITE_ROW) {
    find("schema", extra.text(1), "a " + extra.text(0) + " that no ledger has");
  }
  return {};
}

// Adds the records of one batch to its hash; `code` is what the last step() of `records` said.
bool Audit::add_records(Statement& records, int& code, std::uint64_t batch, BatchHash& hash,
                        std::uint64_t& count) {
  for (; code == SQLITE_ROW && records.unsigned_integer(5) == batch; code = records.step()) {
    ++count;
    ++report_.events;
    if (!records.is_null(3)) {
      hash.add(record_digest(records.unsigned_integer(0), records.unsigned_integer(1),
                             records.moment(2), records.bytes(3)));
      continue;
    }
    const auto kept = sqlite::digest_of(records.bytes(4));
    if (!kept) {
      find("event", "record " + std::to_string(records.integer(0)),
           "it has neither its text nor the digest of a retired record");
      return false;
    }
    hash.add(*kept);
  }
  return true;
}

Result<void> Audit::check_chain() {
  TRUED_TRY(Statement base, connection_.prepare("SELECT batch, hash FROM base"));
  if (base.step() != SQLITE_ROW) {
    find("chain", "base", "the row that says where the chain begins is missing");
    return {};
  }
  const auto begin = sqlite::digest_of(base.bytes(1));
  if (!begin) {
    find("chain", "base", "its hash is not 32 bytes");
    return {};
  }
  Digest previous = *begin;
  std::uint64_t expected = base.unsigned_integer(0) + 1;
  // One pass over both tables in the order of the log: records of a batch lie together.
  TRUED_TRY(Statement records,
            connection_.prepare("SELECT sequence, operation, at, body, digest, batch FROM record "
                                "ORDER BY sequence"));
  int code = records.step();
  TRUED_TRY(Statement batches,
            connection_.prepare("SELECT no, at, records, hash FROM batch ORDER BY no"));
  while (batches.step() == SQLITE_ROW) {
    const std::uint64_t no = batches.unsigned_integer(0);
    const std::string where = "batch " + std::to_string(no);
    if (no != expected) {
      find("chain", where, "batch " + std::to_string(expected) + " is missing");
      return {};
    }
    BatchHash hash(previous, no, batches.moment(1));
    std::uint64_t count = 0;
    if (!add_records(records, code, no, hash, count)) return {};
    const Digest computed = hash.finish();
    const auto stored = sqlite::digest_of(batches.bytes(3));
    if (count != batches.unsigned_integer(2) || !stored || *stored != computed) {
      find("chain", where,
           "expected hash " + computed.hex() + " over " + std::to_string(batches.integer(2)) +
               " records, found " + (stored ? stored->hex() : "no hash") + " and " +
               std::to_string(count) + " records: a record or a hash was changed");
      return {};
    }
    previous = computed;
    ++expected;
    ++report_.batches;
    advance();
  }
  report_.head = previous.hex();
  if (code == SQLITE_ROW) {
    find("event", "record " + std::to_string(records.integer(0)), "it belongs to no batch");
  } else if (code != SQLITE_DONE) {
    return connection_.failure("cannot read the log");
  }
  return {};
}

Result<std::optional<Operation>> Audit::refold(std::uint64_t last, const std::string& where) {
  std::vector<std::uint64_t> sequences;
  TRUED_TRY(Statement back, connection_.prepare("SELECT previous FROM record WHERE sequence=?1"));
  for (std::uint64_t sequence = last; sequence != 0;) {
    const Scope scope(back);
    if (back.bind(1, sequence).step() != SQLITE_ROW) {
      find("event", where, "its record " + std::to_string(sequence) + " is missing");
      return std::optional<Operation>();
    }
    sequences.push_back(sequence);
    const std::uint64_t previous = back.unsigned_integer(0);
    if (previous >= sequence) {
      find("event", where, "its records do not lead back to its beginning");
      return std::optional<Operation>();
    }
    sequence = previous;
  }
  TRUED_TRY(Statement read, connection_.prepare("SELECT at, body FROM record WHERE sequence=?1"));
  std::optional<Operation> folded;
  for (auto at = sequences.rbegin(); at != sequences.rend(); ++at) {
    const Scope scope(read);
    if (read.bind(1, *at).step() != SQLITE_ROW || read.is_null(1)) {
      find("event", where, "its record " + std::to_string(*at) + " has lost its text");
      return std::optional<Operation>();
    }
    auto events = decode_events(read.bytes(1));
    if (!events.has_value()) {
      find("event", where, events.error().message);
      return std::optional<Operation>();
    }
    for (const Event& event : *events) {
      if (folded) {
        evolve(*folded, event, read.moment(0));
        continue;
      }
      const auto* accepted = std::get_if<Accepted>(&event);
      const auto id = decode_accepted_id(read.bytes(1));
      if (accepted == nullptr || !id.has_value()) {
        find("event", where, "its first event is not its acceptance");
        return std::optional<Operation>();
      }
      folded = begin(*id, *accepted, read.moment(0));
    }
  }
  return folded;
}

void Audit::compare(const Operation& stored, const Operation& folded, Statement& row) {
  const std::string where = to_string(stored.id);
  const auto differ = [&](const std::string& column, const std::string& expected,
                          const std::string& found) {
    find("row", where, column + ": its events give " + expected + ", the row says " + found);
  };
  if (folded.id != stored.id) return differ("id", to_string(folded.id), where);
  if (folded.state != stored.state) {
    return differ("state", std::string(to_string(folded.state)),
                  std::string(to_string(stored.state)));
  }
  if (folded.identity != stored.identity)
    return differ("identity", folded.identity.key, stored.identity.key);
  if (folded.target != stored.target) return differ("target", folded.target, stored.target);
  if (folded.created_at != stored.created_at) {
    return differ("created_at", format_rfc3339(folded.created_at),
                  format_rfc3339(stored.created_at));
  }
  const std::string expected = encode_row(folded);
  if (expected != row.bytes(7)) return differ("body", expected, row.text(7));
  if (sqlite::identity_blob(folded.identity) != row.bytes(10)) {
    return differ("identity", "the digest of its key", "another");
  }
  const auto expiry = sqlite::expiry_of(folded);
  const bool same = expiry ? !row.is_null(11) && row.moment(11) == *expiry : row.is_null(11);
  if (!same) differ("expires_at", expiry ? format_rfc3339(*expiry) : "none", "another");
}

Result<void> Audit::check_intent(const Operation& operation, std::uint64_t no) {
  TRUED_TRY(Statement intent, connection_.prepare("SELECT body FROM intent WHERE no=?1"));
  if (intent.bind(1, no).step() != SQLITE_ROW) {
    find("intent", to_string(operation.id), "it is missing");
    return {};
  }
  ++report_.intents;
  if (fingerprint_of(intent.bytes(0), operation.identity.type) != operation.fingerprint) {
    find("intent", to_string(operation.id),
         "it does not have the fingerprint that was accepted: it was changed");
  }
  return {};
}

Result<void> Audit::check_row(Statement& row) {
  auto stored = sqlite::read_operation(row);
  const std::string number = "operation number " + std::to_string(row.integer(sqlite::kColumnNo));
  if (!stored.has_value()) {
    find("row", number, stored.error().message);
    return {};
  }
  const std::string where = to_string(stored->id);
  TRUED_TRY(const auto folded, refold(row.unsigned_integer(sqlite::kColumnLast), where));
  if (report_.first) return {};
  if (!folded) {
    find("row", where, "it has no events");
    return {};
  }
  compare(*stored, *folded, row);
  if (!report_.first) {
    TRUED_TRY_VOID(check_intent(*stored, row.unsigned_integer(sqlite::kColumnNo)));
  }
  return {};
}

Result<void> Audit::check_rows() {
  TRUED_TRY(Statement rows,
            connection_.prepare("SELECT " + std::string(sqlite::kColumns) +
                                ", identity, expires_at FROM operation ORDER BY no"));
  int code = SQLITE_ROW;
  while (!report_.first && (code = rows.step()) == SQLITE_ROW) {
    TRUED_TRY_VOID(check_row(rows));
    ++report_.operations;
    advance();
  }
  if (!report_.first && code != SQLITE_DONE) return connection_.failure("cannot read the rows");
  return {};
}

// What the log holds and no row stands for: a row that was removed past its log.
Result<void> Audit::check_strays() {
  TRUED_TRY(Statement stray,
            connection_.prepare(
                "SELECT sequence, operation FROM record WHERE body IS NOT NULL AND body <> ?1 AND "
                "operation NOT IN (SELECT no FROM operation) LIMIT 1"));
  if (stray.bind_text(1, kRetiredRecord).step() == SQLITE_ROW) {
    find("row", "operation number " + std::to_string(stray.integer(1)),
         "the log has its record " + std::to_string(stray.integer(0)) + ", its row is gone");
    return {};
  }
  TRUED_TRY(Statement intent,
            connection_.prepare("SELECT no FROM intent WHERE no NOT IN (SELECT no FROM operation) "
                                "LIMIT 1"));
  if (intent.step() == SQLITE_ROW) {
    find("intent", "operation number " + std::to_string(intent.integer(0)),
         "it belongs to no operation");
  }
  return {};
}

Result<void> Audit::check_tombstones() {
  TRUED_TRY(const std::int64_t count, connection_.integer("SELECT count(*) FROM tombstone"));
  report_.tombstones = static_cast<std::uint64_t>(count);
  TRUED_TRY(Statement unmarked,
            connection_.prepare("SELECT t.operation FROM tombstone t, base b WHERE t.record >= "
                                "b.sequence AND NOT EXISTS (SELECT 1 FROM record r WHERE "
                                "r.sequence = t.record AND r.operation = t.operation AND r.body = "
                                "?1) LIMIT 1"));
  if (unmarked.bind_text(1, kRetiredRecord).step() == SQLITE_ROW) {
    find("tombstone", "operation number " + std::to_string(unmarked.integer(0)),
         "the log has no record of its retirement");
    return {};
  }
  TRUED_TRY(Statement unburied,
            connection_.prepare("SELECT operation FROM record WHERE body = ?1 AND operation NOT IN "
                                "(SELECT operation FROM tombstone) LIMIT 1"));
  if (unburied.bind_text(1, kRetiredRecord).step() == SQLITE_ROW) {
    find("tombstone", "operation number " + std::to_string(unburied.integer(0)),
         "the log records its retirement, its tombstone is gone");
  }
  return {};
}

}  // namespace

Result<AuditReport> audit_sqlite(const std::string& path, const Progress& progress) {
  TRUED_TRY(auto reader, open_sqlite_reader(path));
  reader.reset();
  TRUED_TRY(auto connection, Connection::open(path, false));
  return Audit(*connection, progress).run();
}

}  // namespace trued
