// The walk as a whole, and the log: the file's structure, the chain, where it begins.
#include <array>
#include <string_view>

#include "ledger/sqlite/audit_walk.h"
#include "ledger/sqlite/locate.h"
#include "ledger/sqlite/owner_lock.h"
#include "ledger/sqlite/wal.h"

namespace trued {
namespace sqlite {
namespace {

constexpr std::uint64_t kProgressEvery = 1'000;

// A ledger so damaged that SQLite cannot read it is a difference like others.
Result<AuditReport> as_finding(const Error& error, int version) {
  if (error.code != ErrorCode::corrupt) return error;
  AuditReport report;
  report.schema = version;
  report.first = AuditFinding{"file", "its structure", error.message};
  return report;
}

}  // namespace

void AuditWalk::advance() {
  if (progress_ && ++done_ % kProgressEvery == 0) progress_(done_, total_);
}

Result<AuditReport> AuditWalk::run() {
  report_.schema = version_;
  TRUED_TRY_VOID(connection_.run("BEGIN"));
  // What follows knows its tables.
  TRUED_TRY_VOID(check_file());
  if (!report_.first) TRUED_TRY_VOID(check_schema());
  if (!report_.first) TRUED_TRY_VOID(check_content());
  TRUED_TRY_VOID(connection_.run("COMMIT"));
  if (progress_) progress_(total_, total_);
  return report_;
}

Result<void> AuditWalk::check_content() {
  TRUED_TRY(const std::int64_t batches, connection_.integer("SELECT count(*) FROM batch"));
  TRUED_TRY(const std::int64_t rows, connection_.integer("SELECT count(*) FROM operation"));
  total_ = static_cast<std::uint64_t>(batches + rows);
  if (progress_) progress_(0, total_);
  constexpr std::array kChecks{&AuditWalk::check_chain, &AuditWalk::check_base,
                               &AuditWalk::check_rows, &AuditWalk::check_strays,
                               &AuditWalk::check_tombstones};
  for (const auto check : kChecks) {
    if (!report_.first) TRUED_TRY_VOID((this->*check)());
  }
  return {};
}

// Pages, indexes, types: an index that has lost an entry hides an operation from its key.
Result<void> AuditWalk::check_file() {
  TRUED_TRY(Statement check, connection_.prepare("PRAGMA integrity_check(1)"));
  const int code = check.step();
  if (code != SQLITE_ROW) return connection_.failure("cannot check the file");
  if (check.bytes(0) != "ok") find("file", "its structure", check.text(0));
  return {};
}

// An index that is gone makes every search a walk over all; a version that is not the file's makes
// this audit leave out what that version did not have.
Result<void> AuditWalk::check_schema() {
  TRUED_TRY(const auto different, compare_shape(connection_, version_));
  if (different) find("schema", different->where, different->detail);
  return {};
}

void AuditWalk::take_text(Statement& records, std::string_view body) {
  if (body.starts_with(kMarkPrefix)) {
    // Since the third schema a bare mark has a successor.
    if (version_ < 3 || body != kBareMark) ++marks_;
  } else if (records.integer(1) == 0) {
    base_record_ = body;
  } else {
    ++event_texts_;
  }
}

// Adds the records of one batch to its hash; `code` is what the last step() of `records` said.
bool AuditWalk::add_records(Statement& records, int& code, std::uint64_t batch, BatchHash& hash,
                            std::uint64_t& count) {
  for (; code == SQLITE_ROW && records.unsigned_integer(5) == batch; code = records.step()) {
    ++count;
    ++report_.events;
    if (!records.is_null(3)) {
      if (!records.is_null(4)) {
        find("event", "record " + std::to_string(records.integer(0)),
             "it has a digest beside its text; only a retired record keeps one");
        return false;
      }
      hash.add(record_digest(records.unsigned_integer(0), records.unsigned_integer(1),
                             records.moment(2), records.bytes(3)));
      take_text(records, records.bytes(3));
      continue;
    }
    const auto kept = digest_of(records.bytes(4));
    if (!kept) {
      find("event", "record " + std::to_string(records.integer(0)),
           "it has neither its text nor the digest of a retired record");
      return false;
    }
    hash.add(*kept);
  }
  return true;
}

Result<void> AuditWalk::check_chain() {
  auto base = read_base(connection_, version_);
  if (!base.has_value()) {
    if (base.error().code != ErrorCode::corrupt) return base.error();
    find("chain", "base", base.error().message);
    return {};
  }
  base_ = *base;
  Digest previous = base_.hash;
  std::uint64_t expected = base_.batch + 1;
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
    const auto stored = digest_of(batches.bytes(3));
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

// The log itself says where it begins; so its beginning cannot be cut off and the row be adapted.
Result<void> AuditWalk::check_base() {
  // The first schema did not write it into the log.
  if (version_ < 2) return {};
  const std::string said = base_ == LogBase{} ? "" : encode_base(base_);
  if (said == base_record_) return {};
  find("chain", "base",
       "the log says that it begins with " +
           (base_record_.empty() ? std::string("batch 1") : base_record_) + ", the file with " +
           (said.empty() ? std::string("batch 1") : said));
  return {};
}

}  // namespace sqlite

Result<AuditReport> audit_sqlite(const std::string& path, const Progress& progress) {
  TRUED_TRY(const std::string real, sqlite::locate(path));
  // Beside a server the log grows and begins afresh while it is looked at.
  if (!sqlite::OwnerLock::is_held(real)) {
    const auto whole = sqlite::refuse_wal_damage(real);
    if (!whole.has_value()) return sqlite::as_finding(whole.error(), 0);
  }
  auto open = sqlite::open_read_only(real, sqlite::Older::read);
  if (!open.has_value()) return sqlite::as_finding(open.error(), 0);
  auto report = sqlite::AuditWalk(*open->connection, open->version, progress).run();
  if (!report.has_value()) return sqlite::as_finding(report.error(), open->version);
  return report;
}

}  // namespace trued
