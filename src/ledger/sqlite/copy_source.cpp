#include <memory>
#include <sys/stat.h>
#include <utility>

#include "base/assert.h"
#include "ledger/sqlite/copy_tables.h"
#include "ledger/sqlite/locate.h"
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/owner_lock.h"
#include "ledger/sqlite/schema.h"
#include "ledger/sqlite/sqlite_copy.h"
#include "ledger/sqlite/wal.h"

namespace trued {
namespace sqlite {

Result<std::vector<CopyRow>> read_rows(Connection& connection, const CopyTable& table,
                                       std::uint64_t after, const CopyPage& page) {
  TRUED_ASSERT(!table.columns.empty() && table.columns.front().kind == CellKind::number);
  const std::string key = table.columns.front().name;
  TRUED_TRY(Statement rows,
            connection.prepare("SELECT " + column_list(table) + " FROM " + table.name + " WHERE " +
                               key + " > ?1 ORDER BY " + key + " LIMIT ?2"));
  rows.bind(1, after).bind(2, std::int64_t{page.rows});
  std::vector<CopyRow> read;
  std::uint64_t bytes = 0;
  int code = SQLITE_DONE;
  while (bytes < page.bytes && (code = rows.step()) == SQLITE_ROW) {
    CopyRow& row = read.emplace_back(table.columns.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      const int column = static_cast<int>(i);
      if (rows.is_null(column)) continue;
      if (table.columns[i].kind == CellKind::number) {
        row[i] = rows.integer(column);
        continue;
      }
      bytes += rows.bytes(column).size();
      row[i] = rows.text(column);
    }
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    return connection.failure("cannot read the table " + std::string(table.name));
  }
  return read;
}

Result<std::array<std::uint64_t, kCopyTables>> count_rows(Connection& connection) {
  std::array<std::uint64_t, kCopyTables> counts{};
  for (std::size_t i = 0; i < kCopyTables; ++i) {
    TRUED_TRY(const std::int64_t rows,
              connection.integer(std::string("SELECT count(*) FROM ") + copy_tables().at(i).name));
    counts.at(i) = static_cast<std::uint64_t>(rows);
  }
  return counts;
}

Result<LedgerFrame> read_frame(Connection& connection, int version) {
  LedgerFrame frame;
  TRUED_TRY(frame.base, read_base(connection, version));
  TRUED_TRY(frame.ends, read_ends(connection, version));
  return frame;
}

namespace {

class Source final : public CopySource {
 public:
  Source(std::string path, OwnerLock lock, std::unique_ptr<Connection> connection)
      : path_(std::move(path)), lock_(std::move(lock)), connection_(std::move(connection)) {}

  std::string name() const override { return "sqlite:" + path_; }
  Result<std::string> identity() override { return name(); }
  Result<LedgerFrame> frame() override {
    TRUED_TRY_VOID(take_snapshot());
    TRUED_TRY(frame_, read_frame(*connection_, kSchemaVersion));
    return frame_;
  }
  Result<std::array<std::uint64_t, kCopyTables>> counts() override {
    TRUED_TRY_VOID(take_snapshot());
    return count_rows(*connection_);
  }
  Result<std::vector<CopyRow>> rows(const CopyTable& table, std::uint64_t after,
                                    const CopyPage& page) override {
    TRUED_TRY_VOID(take_snapshot());
    return read_rows(*connection_, table, after, page);
  }
  Result<AuditReport> audit(const CopyProgress& progress) override {
    return audit_sqlite(path_, progress);
  }
  Result<std::optional<Digest>> hash_of(std::uint64_t batch) override;
  Result<void> check_unchanged() override;

 private:
  Result<void> take_snapshot() {
    return connection_->in_transaction() ? Result<void>{} : connection_->run("BEGIN");
  }

  const std::string path_;
  const OwnerLock lock_;
  const std::unique_ptr<Connection> connection_;
  LedgerFrame frame_;
};

Result<std::optional<Digest>> Source::hash_of(std::uint64_t batch) {
  TRUED_TRY(Statement row, connection_->prepare("SELECT hash FROM batch WHERE no=?1"));
  const int code = row.bind(1, batch).step();
  if (code == SQLITE_DONE) return std::optional<Digest>();
  if (code != SQLITE_ROW) return connection_->failure("cannot read a batch");
  return digest_of(row.bytes(0));
}

// No server can have come in between; a tool for databases can.
Result<void> Source::check_unchanged() {
  TRUED_TRY_VOID(connection_->run("COMMIT"));
  TRUED_TRY(const LedgerFrame now, read_frame(*connection_, kSchemaVersion));
  if (now.ends == frame_.ends && now.base == frame_.base) return {};
  return Error{.code = ErrorCode::already_exists,
               .retryable = true,
               .message = "the source " + name() +
                          " was changed by another program while it was copied: run this again"};
}

Error in_use(Error error) {
  const std::size_t advice = error.message.find("; stop it first");
  if (error.code == ErrorCode::already_exists && advice != std::string::npos) {
    error.message.replace(advice, std::string::npos,
                          ": a ledger is copied while nothing acts on it; stop it first");
  }
  return error;
}

}  // namespace
}  // namespace sqlite

Result<std::unique_ptr<CopySource>> open_sqlite_source(const std::string& path) {
  TRUED_TRY(std::string real, sqlite::locate(path));
  struct stat file{};
  // Nothing is left beside what is not there.
  if (::stat(real.c_str(), &file) != 0) {
    return Error{.code = ErrorCode::not_found, .message = "there is no ledger at " + real};
  }
  auto lock = sqlite::OwnerLock::take(real);
  if (!lock.has_value()) return sqlite::in_use(lock.error());
  TRUED_TRY_VOID(sqlite::refuse_wal_damage(real));
  TRUED_TRY(auto open, sqlite::open_read_only(real, sqlite::Older::refuse));
  // Who closes a file last moves its log into it.
  sqlite3_db_config(open.connection->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return std::make_unique<sqlite::Source>(std::move(real), std::move(*lock),
                                          std::move(open.connection));
}

}  // namespace trued
