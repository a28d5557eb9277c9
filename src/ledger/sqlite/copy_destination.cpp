#include <memory>
#include <sys/stat.h>
#include <utility>

#include "base/assert.h"
#include "ledger/sqlite/audit_walk.h"
#include "ledger/sqlite/copy_tables.h"
#include "ledger/sqlite/locate.h"
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/owner_lock.h"
#include "ledger/sqlite/schema.h"
#include "ledger/sqlite/sqlite_copy.h"

namespace trued {
namespace sqlite {
namespace {

// `version`: of the tables, while the file's own says that they are no ledger yet.
constexpr const char* kCopying =
    "CREATE TABLE copying(version INTEGER NOT NULL, source TEXT NOT NULL, "
    "batch INTEGER NOT NULL, hash BLOB NOT NULL) STRICT";
constexpr const char* kFailed = "cannot write the copy";

class Destination final : public CopyDestination {
 public:
  Destination(std::string path, OwnerLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string name() const override { return "sqlite:" + path_; }
  Result<std::string> identity() override { return name(); }
  std::string how_to_remove() const override {
    return "remove " + path_ + " and what lies beside it as " + path_ + "-wal";
  }
  Result<Found> look() override;
  Result<LedgerFrame> frame() override { return read_frame(*connection_, version_); }
  Result<std::array<std::uint64_t, kCopyTables>> counts() override {
    return count_rows(*connection_);
  }
  Result<std::vector<CopyRow>> rows(const CopyTable& table, std::uint64_t after,
                                    const CopyPage& page) override {
    return read_rows(*connection_, table, after, page);
  }
  Result<AuditReport> audit(const CopyProgress& progress) override {
    return AuditWalk(*connection_, version_, progress).run();
  }
  Result<CopyOrigin> origin() override;
  Result<void> resume() override;
  Result<void> begin_anew(const CopyOrigin& origin) override;
  Result<void> create(const CopyOrigin& origin) override;
  Result<std::uint64_t> last(const CopyTable& table) override;
  Result<void> add(const CopyTable& table, const std::vector<CopyRow>& rows) override;
  Result<void> set_frame(const LedgerFrame& frame) override;
  Result<void> finish() override;

 private:
  Result<void> open_to_write();
  /// All of `work` or nothing of it.
  Result<void> at_once(const std::function<Result<void>()>& work);
  Result<void> note(const CopyOrigin& origin);

  const std::string path_;
  const OwnerLock lock_;
  std::unique_ptr<Connection> connection_;  ///< what look() or create() opened
  int version_ = kSchemaVersion;            ///< of the tables
};

Result<CopyDestination::Found> Destination::look() {
  connection_.reset();
  struct stat file{};
  if (::stat(path_.c_str(), &file) != 0) return Found::nothing;
  if (file.st_size > 0) {
    TRUED_TRY(connection_, Connection::open(path_, false));
    TRUED_TRY(const int version, schema_version(*connection_));
    if (version == kUnfinishedCopy) return Found::unfinished;
    connection_.reset();
  }
  TRUED_TRY(auto open, open_read_only(path_, Older::read));
  connection_ = std::move(open.connection);
  version_ = open.version;
  return Found::ledger;
}

Result<void> Destination::open_to_write() {
  connection_.reset();
  TRUED_TRY(connection_, Connection::open(path_, true));
  // Without the ledger's own thread that moves the log.
  return connection_->run("PRAGMA wal_autocheckpoint=1000");
}

Result<void> Destination::at_once(const std::function<Result<void>()>& work) {
  TRUED_ASSERT(work != nullptr && connection_ != nullptr);
  TRUED_TRY_VOID(connection_->run("BEGIN IMMEDIATE"));
  auto done = work();
  if (done.has_value()) done = connection_->run("COMMIT");
  if (!done.has_value() && connection_->in_transaction()) (void)connection_->run("ROLLBACK");
  return done;
}

Result<void> Destination::note(const CopyOrigin& origin) {
  TRUED_TRY(Statement row, connection_->prepare("INSERT INTO copying VALUES(?1,?2,?3,?4)"));
  row.bind(1, std::int64_t{kSchemaVersion}).bind_text(2, origin.source).bind(3, origin.batch);
  row.bind_blob(4, blob_of(origin.hash));
  return run_one(*connection_, row, kFailed);
}

Result<CopyOrigin> Destination::origin() {
  TRUED_ASSERT(connection_ != nullptr);
  TRUED_TRY(Statement row,
            connection_->prepare("SELECT version, source, batch, hash FROM copying"));
  const int code = row.step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    return connection_->failure("cannot read what the copy is of");
  }
  const auto hash = code == SQLITE_ROW ? digest_of(row.bytes(3)) : std::nullopt;
  if (!hash || row.integer(0) != kSchemaVersion) {
    return Error{
        .code = hash ? ErrorCode::unsupported : ErrorCode::conflict,
        .message = name() + " is an unfinished copy that " +
                   (hash ? "a program of another version began" : "does not say what it is of") +
                   ": take it away (" + how_to_remove() + ")"};
  }
  return CopyOrigin{.source = row.text(1), .batch = row.unsigned_integer(2), .hash = *hash};
}

Result<void> Destination::resume() { return open_to_write(); }

Result<void> Destination::begin_anew(const CopyOrigin& origin) {
  TRUED_TRY_VOID(open_to_write());
  return at_once([&]() -> Result<void> {
    for (const CopyTable& table : copy_tables()) {
      TRUED_TRY_VOID(connection_->run((std::string("DELETE FROM ") + table.name).c_str()));
    }
    TRUED_TRY_VOID(connection_->run("DELETE FROM copying"));
    return note(origin);
  });
}

Result<void> Destination::create(const CopyOrigin& origin) {
  TRUED_TRY_VOID(open_to_write());
  version_ = kSchemaVersion;
  return create_unfinished(*connection_, [&]() -> Result<void> {
    TRUED_TRY_VOID(connection_->run(kCopying));
    return note(origin);
  });
}

Result<std::uint64_t> Destination::last(const CopyTable& table) {
  TRUED_ASSERT(connection_ != nullptr && !table.columns.empty());
  TRUED_TRY(const std::int64_t key,
            connection_->integer(std::string("SELECT coalesce(max(") + table.columns.front().name +
                                 "), 0) FROM " + table.name));
  return static_cast<std::uint64_t>(key);
}

// JSON is text in a file, and what is packed a blob: SQLite does not take one for the other.
void bind_cell(Statement& insert, int at, CellKind kind, const CopyCell& cell) {
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) {
    insert.bind(at, *integer);
    return;
  }
  const auto* bytes = std::get_if<std::string>(&cell);
  if (bytes == nullptr) {
    insert.bind_null(at);
    return;
  }
  const bool json = bytes->starts_with('[') || bytes->starts_with('{');
  const bool text = kind == CellKind::text || (kind == CellKind::either && json);
  text ? insert.bind_text(at, *bytes) : insert.bind_blob(at, *bytes);
}

Result<void> Destination::add(const CopyTable& table, const std::vector<CopyRow>& rows) {
  std::string places;
  for (std::size_t i = 0; i < table.columns.size(); ++i) places += places.empty() ? "?" : ",?";
  TRUED_TRY(Statement insert,
            connection_->prepare(std::string("INSERT INTO ") + table.name + "(" +
                                 column_list(table) + ") VALUES(" + places + ")"));
  return at_once([&]() -> Result<void> {
    for (const CopyRow& row : rows) {
      TRUED_ASSERT(row.size() == table.columns.size());
      for (std::size_t i = 0; i < row.size(); ++i) {
        bind_cell(insert, static_cast<int>(i) + 1, table.columns[i].kind, row[i]);
      }
      TRUED_TRY_VOID(run_one(*connection_, insert, kFailed));
    }
    return {};
  });
}

// A file's ends are what its rows say.
Result<void> Destination::set_frame(const LedgerFrame& frame) {
  TRUED_TRY_VOID(at_once([&]() -> Result<void> {
    TRUED_TRY(Statement row,
              connection_->prepare("UPDATE base SET batch=?1, sequence=?2, hash=?3, tombs=?4"));
    row.bind(1, frame.base.batch).bind(2, frame.base.sequence);
    row.bind_blob(3, blob_of(frame.base.hash)).bind_blob(4, blob_of(frame.base.tombs));
    return run_one(*connection_, row, kFailed);
  }));
  TRUED_TRY(const Ends ends, read_ends(*connection_));
  if (ends == frame.ends) return {};
  return Error{.code = ErrorCode::corrupt,
               .message = "the rows that were copied to " + name() +
                          " do not end where the source says that it ends"};
}

Result<void> Destination::finish() {
  auto done = at_once([&]() -> Result<void> {
    return connection_->run(
        ("DROP TABLE copying; PRAGMA user_version=" + std::to_string(kSchemaVersion)).c_str());
  });
  if (!done.has_value()) {
    done.error().happened = Happened::maybe;
    return done;
  }
  // For whoever copies the file by other means; a ledger is whole without it.
  (void)connection_->run("PRAGMA wal_checkpoint(TRUNCATE)");
  return {};
}

}  // namespace
}  // namespace sqlite

Result<std::unique_ptr<CopyDestination>> open_sqlite_destination(const std::string& path) {
  TRUED_TRY(std::string real, sqlite::locate(path));
  TRUED_TRY(auto lock, sqlite::OwnerLock::take(real));
  return std::make_unique<sqlite::Destination>(std::move(real), std::move(lock));
}

}  // namespace trued
