#include "ledger/sqlite/schema.h"

#include <array>
#include <string>

#include "ledger/sqlite/log_base.h"

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
  TRUED_TRY(base.tombs, bury_marks(connection, Digest{}, 0, base.sequence));
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

constexpr std::array<Migration, kSchemaVersion> kMigrations{
    Migration{kFirst, nullptr},
    Migration{kBaseInTheLog, &put_base_into_the_log},
};

Result<void> bring_forward(Connection& connection, int found) {
  for (int version = found; version < kSchemaVersion; ++version) {
    const Migration& migration = kMigrations.at(static_cast<std::size_t>(version));
    TRUED_TRY_VOID(connection.run(migration.sql));
    if (migration.then != nullptr) TRUED_TRY_VOID(migration.then(connection));
  }
  const std::string stamp = "PRAGMA user_version=" + std::to_string(kSchemaVersion) + "; COMMIT";
  return connection.run(stamp.c_str());
}

}  // namespace

Result<int> schema_version(Connection& connection) {
  TRUED_TRY(const std::int64_t version, connection.integer("PRAGMA user_version"));
  return static_cast<int>(version);
}

Result<void> migrate(Connection& connection) {
  TRUED_TRY(const int found, schema_version(connection));
  if (found == kSchemaVersion) return {};
  if (found > kSchemaVersion || found < 0) {
    return Error{.code = ErrorCode::unsupported,
                 .message = "the ledger has schema version " + std::to_string(found) +
                            "; this program knows up to " + std::to_string(kSchemaVersion) +
                            ": use the newer program that wrote it"};
  }
  TRUED_TRY_VOID(connection.run("BEGIN IMMEDIATE"));
  auto moved = bring_forward(connection, found);
  if (!moved.has_value() && connection.in_transaction()) (void)connection.run("ROLLBACK");
  return moved;
}

}  // namespace trued::sqlite
