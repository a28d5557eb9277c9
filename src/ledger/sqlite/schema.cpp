#include "ledger/sqlite/schema.h"

#include <array>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "ledger/sqlite/backup.h"
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/shape.h"

namespace trued::sqlite {
namespace {

// Migration n brings version n to n + 1. Never edited once released: a change is a new entry.
struct Migration {
  const char* sql;
  Result<void> (*then)(Connection&);  ///< what SQL cannot say; may be null
};

constexpr const char* kFirst = R"sql(
CREATE TABLE operation(
  no INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  identity BLOB NOT NULL UNIQUE,
  state INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last INTEGER NOT NULL,
  scope TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  target TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX operation_attention ON operation(state, no) WHERE state IN (0, 1, 2, 3, 8, 9, 10);
CREATE INDEX operation_expiry ON operation(expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE intent(no INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE record(
  sequence INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL,
  operation INTEGER NOT NULL,
  previous INTEGER NOT NULL,
  at INTEGER NOT NULL,
  body TEXT,
  digest BLOB
) STRICT;
CREATE TABLE batch(
  no INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  records INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE TABLE tombstone(
  operation INTEGER PRIMARY KEY,
  identity BLOB NOT NULL UNIQUE,
  id BLOB NOT NULL,
  fingerprint BLOB NOT NULL,
  state INTEGER NOT NULL,
  settled_at INTEGER NOT NULL,
  retired_at INTEGER NOT NULL,
  record INTEGER NOT NULL
) STRICT;
CREATE TABLE base(batch INTEGER NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
INSERT INTO base VALUES(0, 1, zeroblob(32));
)sql";

// The base is kept in the log as well, and remembers the marks of what it dropped; `opened` counts
// the times the file was opened for writing.
constexpr const char* kBaseInTheLog = R"sql(
ALTER TABLE base ADD COLUMN tombs BLOB NOT NULL
  DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE base ADD COLUMN opened INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tombstone_record ON tombstone(record);
)sql";

Result<void> put_base_into_the_log(Connection& connection) {
  TRUED_TRY(LogBase base, read_base(connection));
  if (base.batch == 0) return {};
  TRUED_TRY(base.tombs, bury_marks(connection, Digest{}, 0, base.sequence, 2));
  TRUED_TRY(const Ends ends, read_ends(connection));
  TRUED_TRY(const std::int64_t at, connection.integer("SELECT max(at) FROM batch"));
  const WallTime when{Duration(at)};
  Ends next = ends;
  ++next.batch;
  BatchHash hash(ends.hash, next.batch, when);
  TRUED_TRY(const Digest record, write_base(connection, base, next, when));
  hash.add(record);
  next.hash = hash.finish();
  return write_batch(connection, next, when, 1);
}

// Records and rows are packed from now on; what is text stays text. The index of what needs
// attention says which rows are in it without a list: SQLite builds a table in memory for a list,
// each time it writes a row. Nothing stored changes, so nothing needs to be written anew.
Result<void> change_definitions(Connection& connection) {
  TRUED_TRY(const std::int64_t cookie, connection.integer("PRAGMA schema_version"));
  const std::string sql =
      "PRAGMA writable_schema=ON;"
      "UPDATE sqlite_schema SET sql=replace(sql, 'body TEXT', 'body ANY') "
      "WHERE type='table' AND name IN ('operation', 'record');"
      "UPDATE sqlite_schema SET sql=replace(sql, 'state IN (0, 1, 2, 3, 8, 9, 10)', "
      "'state < 4 OR state BETWEEN 8 AND 10') WHERE name='operation_attention';"
      "PRAGMA schema_version=" +
      std::to_string(cookie + 1) + "; PRAGMA writable_schema=RESET";
  return connection.run(sql.c_str());
}

Result<std::vector<Grave>> find_bare(Connection& connection) {
  TRUED_TRY(Statement graves,
            connection.prepare(std::string(kGraves) +
                               " WHERE EXISTS(SELECT 1 FROM record WHERE sequence=tombstone.record "
                               "AND body=?1) ORDER BY record"));
  graves.bind_text(1, kBareMark);
  std::vector<Grave> bare;
  int code = SQLITE_ROW;
  while ((code = graves.step()) == SQLITE_ROW) {
    TRUED_TRY(Grave grave, read_grave(graves));
    bare.push_back(std::move(grave));
  }
  if (code != SQLITE_DONE) return connection.failure("cannot read the tombstones");
  return bare;
}

// A mark that says nothing of its tombstone is followed by one that does.
Result<void> mark_again(Connection& connection, const std::vector<Grave>& bare, Ends& next,
                        BatchHash& hash) {
  TRUED_TRY(Statement point,
            connection.prepare("UPDATE tombstone SET record=?2 WHERE operation=?1"));
  for (const Grave& grave : bare) {
    point.bind(1, grave.operation).bind(2, next.sequence);
    TRUED_TRY_VOID(run_one(connection, point, "cannot mark a tombstone"));
    TRUED_TRY(const Digest record, write_record(connection, grave.operation, grave.mark(), next,
                                                grave.tombstone.retired_at));
    hash.add(record);
  }
  return {};
}

// Every field of a tombstone is in the log or in the hash over what was dropped from it. A hash
// that does not fit its tombstones stays as it is: the audit goes on finding what was changed.
Result<void> cover_tombstones(Connection& connection) {
  TRUED_TRY(LogBase base, read_base(connection));
  TRUED_TRY(const std::vector<Grave> bare, find_bare(connection));
  if (base.batch == 0 && bare.empty()) return {};
  TRUED_TRY(const Ends ends, read_ends(connection));
  TRUED_TRY(const std::int64_t at, connection.integer("SELECT max(at) FROM batch"));
  const WallTime when{Duration(at)};
  Ends next = ends;
  ++next.batch;
  BatchHash hash(ends.hash, next.batch, when);
  std::uint64_t records = bare.size();
  TRUED_TRY(const Digest before, bury_marks(connection, Digest{}, 0, base.sequence, 2));
  if (base.batch > 0) {
    if (before == base.tombs) {
      TRUED_TRY(base.tombs, bury_marks(connection, Digest{}, 0, base.sequence, 3));
    }
    TRUED_TRY(const Digest record, write_base(connection, base, next, when));
    hash.add(record);
    ++records;
  }
  TRUED_TRY_VOID(mark_again(connection, bare, next, hash));
  next.hash = hash.finish();
  return write_batch(connection, next, when, records);
}

Result<void> bring_to_third(Connection& connection) {
  TRUED_TRY_VOID(change_definitions(connection));
  return cover_tombstones(connection);
}

constexpr std::array<Migration, kSchemaVersion> kMigrations{
    Migration{kFirst, nullptr}, Migration{kBaseInTheLog, &put_base_into_the_log},
    Migration{"", &bring_to_third},
    Migration{"", nullptr},  // values that an older program does not know (packed_shapes.h)
};

Result<void> bring_to_next(Connection& connection, int version) {
  const Migration& migration = kMigrations.at(static_cast<std::size_t>(version));
  TRUED_TRY_VOID(connection.run(migration.sql));
  return migration.then != nullptr ? migration.then(connection) : Result<void>{};
}

Result<void> bring_forward(Connection& connection, int found) {
  TRUED_ASSERT(found >= 0 && found < kSchemaVersion && connection.in_transaction());
  for (int version = found; version < kSchemaVersion; ++version) {
    TRUED_TRY_VOID(bring_to_next(connection, version));
  }
  const std::string stamp = "PRAGMA user_version=" + std::to_string(kSchemaVersion) + "; COMMIT";
  return connection.run(stamp.c_str());
}

Error newer(const std::string& path, int found) {
  if (found == kUnfinishedCopy) {
    return {.code = ErrorCode::invalid_argument,
            .message = path +
                       " holds no ledger yet but an unfinished copy of one: the same "
                       "'trued ledger copy' again goes on where it was; or remove the file"};
  }
  return {.code = ErrorCode::unsupported,
          .message = "the ledger " + path + " has schema version " + std::to_string(found) +
                     "; this program knows up to " + std::to_string(kSchemaVersion) +
                     ": use the newer program that wrote it, or a backup from before it did"};
}

Error no_ledger(const std::string& path, const std::string& why) {
  return {.code = ErrorCode::invalid_argument,
          .message = path + " holds no ledger: " + why +
                     "; name the file that a server or 'trued exec' keeps"};
}

// The shape of every version, from the first on, as the migrations make it.
Result<std::vector<Shape>> known_shapes() {
  TRUED_TRY(const auto scratch, Connection::open(":memory:", true));
  std::vector<Shape> shapes;
  for (int version = 0; version < kSchemaVersion; ++version) {
    TRUED_TRY_VOID(bring_to_next(*scratch, version));
    TRUED_TRY(Shape shape, read_shape(*scratch));
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

Error misshapen(const std::string& path, int found, const ShapeDifference& why) {
  return {.code = ErrorCode::corrupt,
          .message = "the ledger " + path + " is not what its schema version " +
                     std::to_string(found) + " says (" + why.where + ": " + why.detail +
                     ") and was not brought forward; nothing was changed: see what 'trued audit' "
                     "says of it, and go back to a backup"};
}

Error too_old(const std::string& path, int found) {
  if (found <= 0) {
    return {.code = ErrorCode::corrupt,
            .message = "the ledger " + path + " has schema version " + std::to_string(found) +
                       ", which no program gives it: see what 'trued audit' says of it"};
  }
  return {.code = ErrorCode::unsupported,
          .message = "the ledger " + path + " has schema version " + std::to_string(found) +
                     "; this program reads " + std::to_string(kSchemaVersion) +
                     ": start the server on it once, which brings it forward"};
}

}  // namespace

Result<void> create_unfinished(Connection& connection, const std::function<Result<void>()>& more) {
  const auto all = [&]() -> Result<void> {
    TRUED_TRY_VOID(connection.run("BEGIN IMMEDIATE"));
    for (int version = 0; version < kSchemaVersion; ++version) {
      TRUED_TRY_VOID(bring_to_next(connection, version));
    }
    TRUED_TRY_VOID(more());
    const std::string stamp = "PRAGMA user_version=" + std::to_string(kUnfinishedCopy) + "; COMMIT";
    return connection.run(stamp.c_str());
  };
  auto done = all();
  if (!done.has_value() && connection.in_transaction()) (void)connection.run("ROLLBACK");
  return done;
}

Result<int> schema_version(Connection& connection) {
  TRUED_TRY(const std::int64_t version, connection.integer("PRAGMA user_version"));
  return static_cast<int>(version);
}

Result<std::optional<ShapeDifference>> compare_shape(Connection& connection, int version) {
  TRUED_TRY(const Shape found, read_shape(connection));
  TRUED_TRY(const std::vector<Shape> known, known_shapes());
  TRUED_ASSERT(known.size() == kSchemaVersion);
  const auto stated = static_cast<std::size_t>(version - 1);
  const bool released = version > 0 && version <= kSchemaVersion;
  const auto different = difference(released ? known.at(stated) : known.back(), found);
  if (released && !different) return different;
  std::string fitting;
  for (std::size_t at = 0; at < known.size(); ++at) {
    if (at == stated || difference(known.at(at), found)) continue;
    fitting += (fitting.empty() ? "" : " or ") + std::to_string(at + 1);
  }
  if (fitting.empty()) return different;
  return ShapeDifference{"its version", "the file says " + std::to_string(version) +
                                            ", its tables are those of version " + fitting};
}

Result<void> migrate(Connection& connection, const std::string& path,
                     const std::function<void(const std::string&)>& notice) {
  TRUED_TRY(const int found, schema_version(connection));
  if (found == kSchemaVersion) return {};
  if (found > kSchemaVersion || found < 0) return newer(path, found);
  if (found > 0) {
    TRUED_TRY(const auto different, compare_shape(connection, found));
    if (different) return misshapen(path, found, *different);
  }
  if (found > 0) TRUED_TRY_VOID(save_before_migration(path, found, notice));
  TRUED_TRY_VOID(connection.run("BEGIN IMMEDIATE"));
  auto moved = bring_forward(connection, found);
  if (!moved.has_value() && connection.in_transaction()) (void)connection.run("ROLLBACK");
  if (moved.has_value() && found > 0 && notice) {
    notice("the ledger " + path + " was brought forward from schema version " +
           std::to_string(found) + " to " + std::to_string(kSchemaVersion));
  }
  return moved;
}

Result<ReadOnly> open_read_only(const std::string& path, Older older) {
  struct stat file{};
  if (::stat(path.c_str(), &file) != 0) {
    return Error{.code = ErrorCode::not_found, .message = "there is no ledger at " + path};
  }
  // SQLite takes an empty file for a new database, and a log beside it for a leftover to remove.
  if (file.st_size == 0) return no_ledger(path, "it is empty");
  ReadOnly open;
  TRUED_TRY(open.connection, Connection::open(path, false));
  TRUED_TRY(open.version, schema_version(*open.connection));
  TRUED_TRY(const bool ours, has_ledger_tables(*open.connection));
  if (!ours) return no_ledger(path, "it is a database without any of a ledger's tables");
  if (open.version > kSchemaVersion) return newer(path, open.version);
  // Who reads every version sees for himself what else a version may be.
  if (older == Older::refuse && open.version < kSchemaVersion) return too_old(path, open.version);
  return open;
}

}  // namespace trued::sqlite
