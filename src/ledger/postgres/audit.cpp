// The audit of a ledger on a server: one snapshot, page by page, beside whoever acts on it.
#include "ledger/postgres/audit.h"

#include <deque>
#include <limits>
#include <map>
#include <vector>

#include "ledger/audit_core.h"
#include "ledger/codec.h"
#include "ledger/postgres/link.h"
#include "ledger/postgres/postgres_ledger.h"
#include "ledger/postgres/rows.h"
#include "ledger/postgres/schema.h"

namespace trued {
namespace postgres {
namespace {

// What the first version of these tables holds is what the SQLite ledger holds since its fourth.
constexpr int kContent = 4;
// Since which the table `tenure` is there.
constexpr int kTenures = 3;
constexpr Duration kPatience{10 * 60'000};
constexpr std::uint64_t kPage = 500;

std::string text(std::uint64_t number) { return std::to_string(number); }

/// A record with the bytes that it stands on.
struct KeptRecord {
  LogRecord record;
  std::string body, digest;
  std::uint64_t batch = 0;

  [[nodiscard]] LogRecord view() const {
    LogRecord out = record;
    if (out.body) out.body = body;
    if (out.digest) out.digest = digest;
    return out;
  }
};

constexpr const char* kRecordColumns =
    "r.sequence, r.operation, r.previous, r.at, r.batch, r.body, "
    "r.digest";

Result<KeptRecord> read_record(Fields& row) {
  KeptRecord kept;
  kept.record.sequence = row.number();
  kept.record.operation = row.number();
  kept.record.previous = row.number();
  kept.record.at = row.moment();
  kept.batch = row.number();
  if (row.null()) {
    row.skip();
  } else {
    kept.body = row.bytes();
    kept.record.body = "";
  }
  if (!row.null()) {
    kept.digest = row.bytes();
    kept.record.digest = "";
  }
  TRUED_TRY_VOID(row.check());
  return kept;
}

class Audit {
 public:
  Audit(Link& link, const PostgresProgress& progress)
      : link_(link), progress_(progress), core_(kContent) {}

  Result<AuditReport> run(int version);

 private:
  Result<pg::Rows> ask(std::string_view sql, const pg::Parameters& parameters = {}) {
    auto rows = link_.ask(sql, parameters);
    if (!rows.has_value()) return plain(link_.site(), rows.error());
    return std::move(rows).value();
  }
  Result<void> check_all();
  Result<void> check_chain();
  Result<bool> check_page_of_batches(std::uint64_t& after);
  Result<const KeptRecord*> next_record();
  Result<void> check_end();
  Result<void> check_rows();
  Result<bool> check_page_of_rows(std::uint64_t& after);
  Result<void> check_strays();
  Result<void> check_tombstones();
  Result<bool> check_page_of_tombstones(std::uint64_t& after);
  Result<void> check_tenures();
  Result<bool> check_page_of_tenures();
  void check_tenure(Fields& row);
  void advance(std::uint64_t by) {
    done_ += by;
    if (progress_) progress_(done_, total_);
  }

  Link& link_;
  const PostgresProgress& progress_;
  AuditCore core_;
  Ends head_;
  std::uint64_t last_batch_ = 0;
  std::deque<KeptRecord> records_;  ///< of the log, not looked at yet
  std::uint64_t last_record_ = 0;
  /// Of the tenure before the one that is looked at.
  std::int64_t last_epoch_ = std::numeric_limits<std::int64_t>::min();
  std::int64_t tenure_batch_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

Result<AuditReport> Audit::run(int version) {
  core_.report().schema = version;
  auto begun = link_.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  if (!begun.has_value()) return plain(link_.site(), begun.error());
  auto done = check_all();
  link_.rollback();
  if (done.has_value()) return core_.report();
  if (done.error().code != ErrorCode::corrupt) return done.error();
  core_.find("file", "its tables", done.error().message);
  return core_.report();
}

Result<void> Audit::check_all() {
  TRUED_TRY(const pg::Rows rows, ask("SELECT (SELECT count(*) FROM @batch) + (SELECT count(*) "
                                     "FROM @operation) + (SELECT count(*) FROM @tombstone)"));
  Fields row(rows.values.front());
  total_ = row.number();
  advance(0);
  TRUED_TRY_VOID(check_chain());
  if (!core_.found()) TRUED_TRY_VOID(check_end());
  if (!core_.found()) TRUED_TRY_VOID(check_rows());
  if (!core_.found()) TRUED_TRY_VOID(check_strays());
  if (!core_.found()) TRUED_TRY_VOID(check_tombstones());
  if (!core_.found() && core_.report().schema >= kTenures) TRUED_TRY_VOID(check_tenures());
  return {};
}

Result<void> Audit::check_chain() {
  TRUED_TRY(const pg::Rows bases, ask("SELECT batch, sequence, hash, tombs FROM @base"));
  if (bases.values.size() != 1) {
    core_.find("chain", "base", "the row that says where the log begins is missing");
    return {};
  }
  Fields row(bases.values.front());
  const auto base = read_base(row);
  if (!base.has_value()) {
    core_.find("chain", "base", base.error().message);
    return {};
  }
  core_.begin(*base);
  last_batch_ = base->batch;
  std::uint64_t after = 0;
  bool more = true;
  while (more && !core_.found()) {
    TRUED_TRY(more, check_page_of_batches(after));
  }
  if (core_.found()) return {};
  TRUED_TRY(const KeptRecord* stray, next_record());
  core_.end_chain(stray == nullptr ? std::nullopt : std::optional(stray->record.sequence));
  if (!core_.found()) core_.check_base();
  return {};
}

// The next of the log, in its order; null at its end. Records of a batch lie together.
Result<const KeptRecord*> Audit::next_record() {
  if (records_.empty()) {
    TRUED_TRY(const pg::Rows rows,
              ask("SELECT " + std::string(kRecordColumns) +
                      " FROM @record r WHERE r.sequence > $1::bigint ORDER BY r.sequence LIMIT "
                      "$2::bigint",
                  {text(last_record_), text(kPage)}));
    for (const auto& values : rows.values) {
      Fields row(values);
      TRUED_TRY(KeptRecord record, read_record(row));
      last_record_ = record.record.sequence;
      records_.push_back(std::move(record));
    }
  }
  const KeptRecord* next = records_.empty() ? nullptr : &records_.front();
  return next;
}

Result<bool> Audit::check_page_of_batches(std::uint64_t& after) {
  TRUED_TRY(const pg::Rows batches,
            ask("SELECT no, at, records, hash FROM @batch WHERE no > $1::bigint ORDER BY no LIMIT "
                "$2::bigint",
                {text(after), text(kPage)}));
  if (batches.values.empty()) return false;
  for (const auto& values : batches.values) {
    Fields row(values);
    const std::uint64_t no = row.number();
    core_.begin_batch(no, row.moment());
    const std::uint64_t count = row.number();
    const auto hash = digest_of(row.bytes());
    TRUED_TRY_VOID(row.check());
    while (!core_.found()) {
      TRUED_TRY(const KeptRecord* record, next_record());
      if (record == nullptr || record->batch != no) break;
      core_.add_record(record->view());
      records_.pop_front();
    }
    if (core_.found()) return false;
    core_.end_batch(count, hash);
    if (core_.found()) return false;
    after = no;
    last_batch_ = no;
  }
  advance(batches.values.size());
  return true;
}

// Commits follow the head; so it must be where the log ends.
Result<void> Audit::check_end() {
  TRUED_TRY(const pg::Rows rows,
            ask("SELECT h.batch, h.sequence, h.operation, h.hash, r.sequence, r.body FROM @head h "
                "LEFT JOIN @record r ON r.sequence = (SELECT max(sequence) FROM @record)"));
  if (rows.values.size() != 1) {
    core_.find("chain", "head", "the row that says where the log ends is missing");
    return {};
  }
  Fields row(rows.values.front());
  const auto head = read_ends(row);
  if (!head.has_value()) {
    core_.find("chain", "head", head.error().message);
    return {};
  }
  std::uint64_t next = 1;
  if (!row.null()) {
    next = row.number();
    const std::string body = row.bytes();
    TRUED_TRY_VOID(row.check());
    const bool one = body.starts_with(kMarkPrefix) || body.starts_with(kBasePrefix);
    TRUED_TRY(const auto events,
              one ? Result<std::vector<Event>>(std::vector<Event>(1)) : decode_events(body));
    next += events.size();
  }
  if (head->batch != last_batch_ || head->hash.hex() != core_.report().head) {
    core_.find("chain", "head",
               "it says that the log ends with batch " + text(head->batch) +
                   ", the log ends with " + text(last_batch_));
  } else if (head->sequence != next) {
    core_.find(
        "chain", "head",
        "it gives the next event the number " + text(head->sequence) + ", the log " + text(next));
  }
  head_ = *head;
  return {};
}

Result<void> Audit::check_rows() {
  std::uint64_t after = 0;
  bool more = true;
  while (more && !core_.found()) {
    TRUED_TRY(more, check_page_of_rows(after));
  }
  return {};
}

Result<bool> Audit::check_page_of_rows(std::uint64_t& after) {
  TRUED_TRY(const pg::Rows rows,
            ask("SELECT " + std::string(kColumns) +
                    ", o.identity, o.expires_at, i.body FROM @operation o LEFT JOIN @intent i ON "
                    "i.no = o.no WHERE o.no > $1::bigint ORDER BY o.no LIMIT $2::bigint",
                {text(after), text(kPage)}));
  if (rows.values.empty()) return false;
  Numbers last;
  for (const auto& values : rows.values) {
    Fields row(values);
    after = row.number();
    last.add(row.number());
  }
  TRUED_TRY(const pg::Rows log,
            ask("WITH RECURSIVE r AS (SELECT one.* FROM @record one WHERE one.sequence = "
                "ANY($1::bigint[]) UNION SELECT one.* FROM r JOIN @record one ON one.sequence = "
                "r.previous WHERE r.previous < r.sequence AND r.previous > 0) SELECT " +
                    std::string(kRecordColumns) + " FROM r",
                {last.parameter()}));
  std::map<std::uint64_t, KeptRecord> records;
  for (const auto& values : log.values) {
    Fields row(values);
    TRUED_TRY(KeptRecord record, read_record(row));
    const std::uint64_t sequence = record.record.sequence;
    records.emplace(sequence, std::move(record));
  }
  const RecordAt record_at = [&](std::uint64_t sequence) -> Result<std::optional<LogRecord>> {
    const auto found = records.find(sequence);
    if (found == records.end()) return std::optional<LogRecord>();
    return std::optional<LogRecord>(found->second.view());
  };
  for (const auto& values : rows.values) {
    Fields row(values);
    StoredRow stored;
    stored.no = row.number();
    stored.last = row.number();
    row.skip(kColumnCount - 3);
    stored.body = row.bytes();
    stored.identity = row.bytes();
    if (row.null()) {
      row.skip();
    } else {
      stored.expires_at = row.moment();
    }
    std::optional<std::string> intent;
    if (!row.null()) intent = row.bytes();
    TRUED_TRY_VOID(row.check());
    Fields again(values);
    auto read = read_stored(again);
    if (read.has_value()) {
      stored.operation = std::move(read->operation);
    } else {
      stored.operation = read.error();
    }
    TRUED_TRY_VOID(core_.check_row(stored, record_at,
                                   [&]() -> Result<std::optional<std::string>> { return intent; }));
    if (core_.found()) return false;
  }
  advance(rows.values.size());
  return true;
}

// What the log holds and no row stands for, and what stands for nothing in the log.
Result<void> Audit::check_strays() {
  if (!core_.rows_are_whole()) {
    TRUED_TRY(const pg::Rows rows,
              ask("SELECT r.sequence, r.operation, o.id FROM @record r LEFT JOIN @operation o ON "
                  "o.no = r.operation WHERE r.body IS NOT NULL AND r.operation > 0 AND "
                  "substring(r.body from 1 for $1::integer) <> $2::bytea AND (o.no IS NULL OR "
                  "r.sequence > o.last) ORDER BY r.sequence LIMIT 1",
                  {text(kMarkPrefix.size()), bytea(kMarkPrefix)}));
    if (rows.values.empty()) {
      core_.no_stray();
      return {};
    }
    Fields row(rows.values.front());
    const std::uint64_t sequence = row.number();
    const std::uint64_t operation = row.number();
    core_.stray(sequence, operation, row.null() ? std::nullopt : id_from(row.bytes()));
    return {};
  }
  TRUED_TRY(const pg::Rows rows,
            ask("SELECT (SELECT min(no) FROM @intent i WHERE NOT EXISTS (SELECT FROM @operation o "
                "WHERE o.no = i.no)), (SELECT min(sequence) FROM @record r WHERE body IS NULL AND "
                "NOT EXISTS (SELECT FROM @tombstone t WHERE t.operation = r.operation)), "
                "(SELECT max(no) FROM @operation), (SELECT max(operation) FROM @tombstone)"));
  Fields row(rows.values.front());
  if (!row.null()) {
    core_.find("intent", "operation number " + text(row.number()), "it belongs to no operation");
    return {};
  }
  row.skip();
  if (!row.null()) {
    core_.find("event", "record " + text(row.number()),
               "it has lost its text, and its operation was never retired");
    return {};
  }
  row.skip();
  for (int which = 0; which < 2; ++which) {
    if (row.null()) {
      row.skip();
    } else if (const std::uint64_t no = row.number(); no > head_.operation) {
      core_.find("chain", "head", "it gives out the operation number " + text(no) + " again");
      return {};
    }
  }
  return {};
}

Result<void> Audit::check_tombstones() {
  std::uint64_t after = 0;
  bool more = true;
  while (more && !core_.found()) {
    TRUED_TRY(more, check_page_of_tombstones(after));
  }
  if (!core_.found()) core_.end_tombstones();
  return {};
}

Result<bool> Audit::check_page_of_tombstones(std::uint64_t& after) {
  TRUED_TRY(const pg::Rows rows,
            ask("SELECT " + std::string(kGraveColumns) +
                    ", r.body FROM @tombstone t LEFT JOIN @record r ON r.sequence = t.record AND "
                    "r.operation = t.operation AND r.body IS NOT NULL WHERE t.record > $1::bigint "
                    "ORDER BY t.record LIMIT $2::bigint",
                {text(after), text(kPage)}));
  for (const auto& values : rows.values) {
    ++core_.report().tombstones;
    Fields row(values);
    const auto grave = read_grave(row);
    if (!grave.has_value()) {
      Fields again(values);
      again.skip(5);
      core_.find("tombstone", "operation number " + text(again.number()), grave.error().message);
      return false;
    }
    after = grave->record;
    if (core_.mark_is_dropped(*grave)) {
      core_.check_dropped(*grave);
      continue;
    }
    std::string mark;
    const bool there = !row.null();
    if (there) mark = row.bytes();
    core_.check_marked(*grave, there ? std::optional<std::string_view>(mark) : std::nullopt);
    if (core_.found()) return false;
  }
  advance(rows.values.size());
  return rows.values.size() == kPage;
}

// Who wrote what hangs on where the chain stood when each epoch was taken. What lies before the
// log's beginning can only be held against the order.
Result<void> Audit::check_tenures() {
  bool more = true;
  while (more && !core_.found()) {
    TRUED_TRY(more, check_page_of_tenures());
  }
  return {};
}

Result<bool> Audit::check_page_of_tenures() {
  TRUED_TRY(const pg::Rows rows,
            ask("SELECT t.epoch, t.batch, t.hash, h.epoch, h.batch, b.batch, CASE WHEN t.batch = "
                "b.batch THEN b.hash ELSE (SELECT hash FROM @batch WHERE no = t.batch) END, "
                "t.epoch <> h.epoch OR (t.holder = h.holder AND NOT EXISTS (SELECT FROM @holder o "
                "WHERE o.epoch = t.epoch AND o.node <> t.node)) FROM @tenure t CROSS JOIN @head h "
                "CROSS JOIN @base b WHERE t.epoch > $1::bigint ORDER "
                "BY t.epoch LIMIT $2::bigint",
                {std::to_string(last_epoch_), text(kPage)}));
  for (const auto& values : rows.values) {
    Fields row(values);
    check_tenure(row);
    TRUED_TRY_VOID(row.check());
    if (core_.found()) return false;
  }
  return rows.values.size() == kPage;
}

void Audit::check_tenure(Fields& row) {
  const std::int64_t epoch = row.integer();
  const std::int64_t batch = row.integer();
  const auto hash = digest_of(row.bytes());
  const std::int64_t newest = row.integer();
  const std::int64_t end = row.integer();
  const std::int64_t base = row.integer();
  std::optional<Digest> kept;
  row.null() ? row.skip() : void(kept = digest_of(row.bytes()));
  const bool of_the_head = row.truth();
  const std::string where = "epoch " + std::to_string(epoch);
  const std::string says = "it says that it began after batch " + std::to_string(batch);
  if (epoch < 1 || epoch > newest) {
    core_.find("tenure", where,
               "nobody has taken it: the ledger's head is at epoch " + std::to_string(newest));
  } else if (batch < 0 || batch > end) {
    core_.find("tenure", where, says + ", and the log ends with " + std::to_string(end));
  } else if (batch < tenure_batch_) {
    core_.find("tenure", where,
               says + ", and epoch " + std::to_string(last_epoch_) +
                   ", which was before it, after " + std::to_string(tenure_batch_));
  } else if (batch >= base && (!hash || hash != kept)) {
    core_.find("tenure", where,
               says + " with the hash " + (hash ? hash->hex() : "(none)") + ", and the log has " +
                   (kept ? kept->hex() : "none") +
                   " there: the row was changed, or is of another "
                   "chain");
  } else if (!of_the_head) {
    core_.find("tenure", where, "it names another node or take than the ledger's head has");
  }
  last_epoch_ = epoch;
  tenure_batch_ = batch;
}

}  // namespace

Result<AuditReport> audit_tables(Link& link, int version, const PostgresProgress& progress) {
  return Audit(link, progress).run(version);
}

}  // namespace postgres

Result<AuditReport> audit_postgres(const PostgresPlace& place, const PostgresProgress& progress) {
  TRUED_TRY(const postgres::Site site, postgres::Site::parse(place));
  postgres::Link link(site, "trued audit", postgres::kPatience);
  if (auto up = link.connect(); !up.has_value()) return plain(site, up.error());
  TRUED_TRY(const int version, postgres::schema_version(link));
  return postgres::audit_tables(link, version, progress);
}

}  // namespace trued
