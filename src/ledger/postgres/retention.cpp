// How what expired becomes tombstones, and the beginning of the log is let go: as retention.cpp of
// the SQLite ledger, with a statement for many rows at a time.
#include <algorithm>
#include <map>
#include <vector>

#include "base/assert.h"
#include "ledger/codec.h"
#include "ledger/postgres/writer.h"

namespace trued::postgres {
namespace {

constexpr std::int64_t kDropMax = 5'000;  // records looked at, and so dropped, at a time

struct Expired {
  Stored stored;
  std::string identity;
};

class Retirement {
 public:
  Retirement(Link& link, const Ends& before, WallTime now)
      : link_(link), now_(now), next_(before), hash_(before.hash, before.batch + 1, now) {
    ++next_.batch;
  }

  Result<std::uint32_t> run(std::uint32_t limit);
  const Ends& next() const { return next_; }

 private:
  Result<pg::Rows> ask(std::string_view text, const pg::Parameters& parameters) {
    auto rows = link_.ask(text, parameters);
    if (!rows.has_value()) return plain(link_.site(), rows.error());
    return std::move(rows).value();
  }
  Result<void> find(std::uint32_t limit);
  Result<void> reduce_records();
  Result<void> bury_all();
  Result<std::uint64_t> last_unneeded();
  Result<Digest> bury_marks(const Digest& tombs, std::uint64_t from, std::uint64_t to);
  Result<void> drop_prefix();
  Result<void> write_records();
  Result<void> end();
  void add_record(std::uint64_t operation, const std::string& text);

  Link& link_;
  const WallTime now_;
  Ends next_;
  BatchHash hash_;
  std::vector<Expired> expired_;
  struct Records {
    Numbers sequence, operation;
    Blobs body;
  };
  Records records_;            ///< to be written
  std::uint64_t written_ = 0;  ///< records of this batch
};

std::string text(std::uint64_t number) { return std::to_string(number); }
std::string text(WallTime at) { return std::to_string(at.time_since_epoch().count()); }

Result<void> Retirement::find(std::uint32_t limit) {
  TRUED_TRY(const pg::Rows rows,
            ask("SELECT " + std::string(kColumns) +
                    ", o.identity FROM @operation o WHERE o.expires_at IS NOT NULL AND "
                    "o.expires_at <= $1::bigint ORDER BY o.expires_at, o.no LIMIT $2::bigint",
                {text(now_), std::to_string(limit)}));
  for (const auto& values : rows.values) {
    Fields row(values);
    TRUED_TRY(Stored stored, read_stored(row));
    std::string identity = row.bytes();
    TRUED_TRY_VOID(row.check());
    expired_.push_back({std::move(stored), std::move(identity)});
  }
  TRUED_ASSERT(expired_.size() <= limit);
  return {};
}

// Each record of what is retired keeps its digest and loses its text.
Result<void> Retirement::reduce_records() {
  Numbers last;
  for (const Expired& each : expired_) last.add(each.stored.last);
  TRUED_TRY(const pg::Rows rows,
            ask("WITH RECURSIVE back AS ("
                "SELECT r.* FROM @record r WHERE r.sequence = ANY($1::bigint[]) UNION ALL "
                "SELECT r.* FROM back b JOIN @record r ON r.sequence = b.previous "
                "WHERE b.previous < b.sequence AND b.previous > 0) "
                "SELECT sequence, operation, at, body, previous FROM back",
                {last.parameter()}));
  Numbers sequences;
  Blobs digests;
  std::size_t begun = 0;
  for (const auto& values : rows.values) {
    Fields row(values);
    const std::uint64_t sequence = row.number();
    const std::uint64_t operation = row.number();
    const WallTime at = row.moment();
    const std::string body = row.bytes();
    if (row.number() == 0) ++begun;
    TRUED_TRY_VOID(row.check());
    sequences.add(sequence);
    digests.add(blob_of(record_digest(sequence, operation, at, body)));
  }
  if (begun != expired_.size()) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "a record of an operation that expired is missing"};
  }
  TRUED_ASSERT(sequences.size() == digests.size());
  TRUED_TRY(const pg::Rows reduced, ask("UPDATE @record r SET body = NULL, digest = u.digest FROM "
                                        "unnest($1::bigint[], $2::bytea[]) AS u(sequence, digest) "
                                        "WHERE r.sequence = u.sequence",
                                        {sequences.parameter(), digests.parameter()}));
  return {};
}

void Retirement::add_record(std::uint64_t operation, const std::string& body) {
  TRUED_ASSERT(body.starts_with(kMarkPrefix) || body.starts_with(kBasePrefix));
  hash_.add(record_digest(next_.sequence, operation, now_, body));
  records_.sequence.add(next_.sequence++);
  records_.operation.add(operation);
  records_.body.add(body);
}

// The tombstones, and the marks in the log that say what they must be.
Result<void> Retirement::bury_all() {
  Numbers no, state, settled, record;
  Blobs identity, id, fingerprint;
  for (const Expired& each : expired_) {
    const Operation& o = each.stored.operation;
    const Grave grave{.tombstone = {.id = o.id,
                                    .fingerprint = o.fingerprint,
                                    .state = o.state,
                                    .settled_at = o.settled_at.value_or(now_),
                                    .retired_at = now_},
                      .operation = each.stored.no,
                      .record = next_.sequence,
                      .identity = each.identity};
    no.add(grave.operation);
    identity.add(grave.identity);
    id.add(id_blob(o.id));
    fingerprint.add(blob_of(o.fingerprint.value()));
    state.add(state_number(o.state));
    settled.add(grave.tombstone.settled_at);
    record.add(grave.record);
    add_record(grave.operation, grave.mark());
  }
  const std::size_t graves = expired_.size();
  TRUED_ASSERT(no.size() == graves && identity.size() == graves && id.size() == graves);
  TRUED_ASSERT(fingerprint.size() == graves && state.size() == graves);
  TRUED_ASSERT(settled.size() == graves && record.size() == graves);
  TRUED_TRY(const pg::Rows moved,
            ask("WITH gone AS (DELETE FROM @operation WHERE no = ANY($1::bigint[])), "
                "meant AS (DELETE FROM @intent WHERE no = ANY($1::bigint[])) "
                "INSERT INTO @tombstone(operation, identity, id, fingerprint, state, settled_at, "
                "retired_at, record) SELECT u.no, u.identity, u.id, u.fingerprint, u.state, "
                "u.settled_at, $8::bigint, u.record FROM unnest($1::bigint[], $2::bytea[], "
                "$3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[]) AS "
                "u(no, identity, id, fingerprint, state, settled_at, record)",
                {no.parameter(), identity.parameter(), id.parameter(), fingerprint.parameter(),
                 state.parameter(), settled.parameter(), record.parameter(), text(now_)}));
  return {};
}

// The newest batch that can go with all before it: every record is reduced, a mark, or an older
// base. Of a batch that is not looked at to its end nothing can go.
Result<std::uint64_t> Retirement::last_unneeded() {
  TRUED_TRY(const pg::Rows rows,
            ask("WITH seen AS (SELECT batch, row_number() OVER (ORDER BY sequence) AS n, body IS "
                "NULL OR operation = 0 OR substring(body from 1 for $1::integer) = $2::bytea AS "
                "free FROM (SELECT * FROM @record ORDER BY sequence LIMIT $3::bigint) r) "
                "SELECT coalesce((SELECT max(no) FROM @batch WHERE no < coalesce((SELECT "
                "min(batch) FROM seen WHERE NOT free OR n = $3::bigint), $4::bigint)), 0)",
                {text(kMarkPrefix.size()), bytea(kMarkPrefix), std::to_string(kDropMax),
                 text(next_.batch)}));
  Fields row(rows.values.front());
  const std::uint64_t last = row.number();
  TRUED_TRY_VOID(row.check());
  return last;
}

Result<Digest> Retirement::bury_marks(const Digest& tombs, std::uint64_t from, std::uint64_t to) {
  TRUED_TRY(const pg::Rows rows,
            ask("SELECT " + std::string(kGraveColumns) +
                    " FROM @tombstone t WHERE t.record >= $1::bigint AND t.record < $2::bigint "
                    "ORDER BY t.record",
                {text(from), text(to)}));
  Digest hash = tombs;
  for (const auto& values : rows.values) {
    Fields row(values);
    TRUED_TRY(const Grave grave, read_grave(row));
    hash = grave.bury_in(hash);
  }
  return hash;
}

// The base, in its row and in the log, remembers what the first batch kept must follow, and what
// the marks were. Tenures of which every batch goes, go too.
Result<void> Retirement::drop_prefix() {
  TRUED_TRY(const std::uint64_t upto, last_unneeded());
  TRUED_TRY(const pg::Rows bases, ask("SELECT batch, sequence, hash, tombs FROM @base", {}));
  if (bases.values.size() != 1) {
    return Error{.code = ErrorCode::corrupt, .message = "the ledger does not say where it begins"};
  }
  Fields old_row(bases.values.front());
  TRUED_TRY(const LogBase old, read_base(old_row));
  if (upto <= old.batch) return {};
  TRUED_TRY(const pg::Rows rows,
            ask("SELECT (SELECT hash FROM @batch WHERE no = $1::bigint), (SELECT min(sequence) "
                "FROM @record WHERE batch > $1::bigint)",
                {text(upto)}));
  Fields row(rows.values.front());
  LogBase base{.batch = upto, .sequence = 0, .hash = {}, .tombs = {}};
  const auto kept = digest_of(row.bytes());
  base.sequence = row.number();
  TRUED_TRY_VOID(row.check());
  if (!kept) return Error{.code = ErrorCode::corrupt, .message = "a batch has lost its hash"};
  base.hash = *kept;
  TRUED_TRY(base.tombs, bury_marks(old.tombs, old.sequence, base.sequence));
  TRUED_TRY(const pg::Rows gone,
            ask("WITH records AS (DELETE FROM @record WHERE sequence < $1::bigint), "
                "batches AS (DELETE FROM @batch WHERE no <= $2::bigint), "
                "tenures AS (DELETE FROM @tenure WHERE epoch < (SELECT max(epoch) FROM @tenure "
                "WHERE batch <= $2::bigint)) "
                "UPDATE @base SET batch = $2::bigint, sequence = $1::bigint, hash = $3::bytea, "
                "tombs = $4::bytea",
                {text(base.sequence), text(base.batch), bytea(blob_of(base.hash)),
                 bytea(blob_of(base.tombs))}));
  add_record(0, encode_base(base));
  return {};
}

Result<void> Retirement::write_records() {
  TRUED_ASSERT(records_.sequence.size() == records_.operation.size());
  TRUED_ASSERT(records_.sequence.size() == records_.body.size());
  TRUED_TRY(const pg::Rows written,
            ask("INSERT INTO @record(sequence, batch, operation, previous, at, body) SELECT "
                "u.sequence, $1::bigint, u.operation, 0, $2::bigint, u.body FROM "
                "unnest($3::bigint[], $4::bigint[], $5::bytea[]) AS u(sequence, operation, body)",
                {text(next_.batch), text(now_), records_.sequence.parameter(),
                 records_.operation.parameter(), records_.body.parameter()}));
  written_ += records_.sequence.size();
  records_ = {};
  return {};
}

Result<void> Retirement::end() {
  TRUED_ASSERT(records_.sequence.size() == 0);  // all of them are written
  TRUED_ASSERT(written_ >= expired_.size());
  next_.hash = hash_.finish();
  TRUED_TRY(const pg::Rows ended,
            ask("WITH link AS (INSERT INTO @batch(no, at, records, hash) VALUES ($1::bigint, "
                "$2::bigint, $3::bigint, $4::bytea)) "
                "UPDATE @head SET batch = $1::bigint, sequence = $5::bigint, hash = $4::bytea",
                {text(next_.batch), text(now_), text(written_), bytea(blob_of(next_.hash)),
                 text(next_.sequence)}));
  return {};
}

Result<std::uint32_t> Retirement::run(std::uint32_t limit) {
  TRUED_TRY_VOID(find(limit));
  if (expired_.empty()) return std::uint32_t{0};
  TRUED_TRY_VOID(reduce_records());
  TRUED_TRY_VOID(bury_all());
  // What can go is told from the log as it is with the marks: they are what is kept at least.
  TRUED_TRY_VOID(write_records());
  TRUED_TRY_VOID(drop_prefix());
  TRUED_TRY_VOID(write_records());
  TRUED_TRY_VOID(end());
  return static_cast<std::uint32_t>(expired_.size());
}

}  // namespace

Result<std::uint32_t> retire_some(Link& link, Ends& ends, WallTime now, std::uint32_t limit) {
  Retirement retirement(link, ends, now);
  TRUED_TRY(const std::uint32_t retired, retirement.run(limit));
  if (retired > 0) ends = retirement.next();
  return retired;
}

}  // namespace trued::postgres
