// The walk as a whole, and the log: the file's structure, the chain, where it begins.
#include <array>
#include <string_view>

#include "ledger/sqlite/audit_walk.h"
#include "ledger/sqlite/locate.h"
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/owner_lock.h"
#include "ledger/sqlite/schema.h"
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

std::optional<std::string_view> bytes_or_null(const Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return row.bytes(column);
}

}  // namespace

void AuditWalk::advance() {
  if (progress_ && ++done_ % kProgressEvery == 0) progress_(done_, total_);
}

Result<AuditReport> AuditWalk::run() {
  TRUED_TRY_VOID(connection_.run("BEGIN"));
  // What follows knows its tables.
  TRUED_TRY_VOID(check_file());
  if (!core_.found()) TRUED_TRY_VOID(check_schema());
  if (!core_.found()) TRUED_TRY_VOID(check_content());
  TRUED_TRY_VOID(connection_.run("COMMIT"));
  if (progress_) progress_(total_, total_);
  return core_.report();
}

Result<void> AuditWalk::check_content() {
  TRUED_TRY(const std::int64_t batches, connection_.integer("SELECT count(*) FROM batch"));
  TRUED_TRY(const std::int64_t rows, connection_.integer("SELECT count(*) FROM operation"));
  total_ = static_cast<std::uint64_t>(batches + rows);
  if (progress_) progress_(0, total_);
  constexpr std::array kChecks{&AuditWalk::check_chain, &AuditWalk::check_rows,
                               &AuditWalk::check_strays, &AuditWalk::check_tombstones,
                               &AuditWalk::check_reduced};
  for (const auto check : kChecks) {
    if (!core_.found()) TRUED_TRY_VOID((this->*check)());
  }
  return {};
}

// Pages, indexes, types: an index that has lost an entry hides an operation from its key.
Result<void> AuditWalk::check_file() {
  TRUED_TRY(Statement check, connection_.prepare("PRAGMA integrity_check(1)"));
  const int code = check.step();
  if (code != SQLITE_ROW) return connection_.failure("cannot check the file");
  if (check.bytes(0) != "ok") core_.find("file", "its structure", check.text(0));
  return {};
}

// An index that is gone makes every search a walk over all; a version that is not the file's makes
// this audit leave out what that version did not have.
Result<void> AuditWalk::check_schema() {
  TRUED_TRY(const auto different, compare_shape(connection_, version_));
  if (different) core_.find("schema", different->where, different->detail);
  return {};
}

Result<void> AuditWalk::check_chain() {
  auto base = read_base(connection_, version_);
  if (!base.has_value()) {
    if (base.error().code != ErrorCode::corrupt) return base.error();
    core_.find("chain", "base", base.error().message);
    return {};
  }
  core_.begin(*base);
  // One pass over both tables in the order of the log: records of a batch lie together.
  TRUED_TRY(Statement records,
            connection_.prepare("SELECT sequence, operation, at, body, digest, batch FROM record "
                                "ORDER BY sequence"));
  int code = records.step();
  TRUED_TRY(Statement batches,
            connection_.prepare("SELECT no, at, records, hash FROM batch ORDER BY no"));
  while (!core_.found() && batches.step() == SQLITE_ROW) {
    const std::uint64_t no = batches.unsigned_integer(0);
    core_.begin_batch(no, batches.moment(1));
    for (; !core_.found() && code == SQLITE_ROW && records.unsigned_integer(5) == no;
         code = records.step()) {
      core_.add_record({.sequence = records.unsigned_integer(0),
                        .operation = records.unsigned_integer(1),
                        .previous = 0,
                        .at = records.moment(2),
                        .body = bytes_or_null(records, 3),
                        .digest = bytes_or_null(records, 4)});
    }
    if (!core_.found()) core_.end_batch(batches.unsigned_integer(2), digest_of(batches.bytes(3)));
    advance();
  }
  if (core_.found()) return {};
  if (code != SQLITE_ROW && code != SQLITE_DONE) return connection_.failure("cannot read the log");
  const bool stray = code == SQLITE_ROW;
  core_.end_chain(stray ? std::optional(records.unsigned_integer(0)) : std::nullopt);
  if (!stray) core_.check_base();
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
