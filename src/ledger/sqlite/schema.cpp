#include "ledger/sqlite/schema.h"

#include <array>
#include <string>

namespace trued::sqlite {
namespace {

// Migration n brings version n to n + 1. Never edited once released: a change is a new entry.
constexpr std::array<const char*, kSchemaVersion> kMigrations{
    R"sql(
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
)sql"};

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
  for (int version = found; version < kSchemaVersion; ++version) {
    auto moved = connection.run(kMigrations.at(static_cast<std::size_t>(version)));
    if (!moved.has_value()) {
      (void)connection.run("ROLLBACK");
      return moved;
    }
  }
  const std::string stamp = "PRAGMA user_version=" + std::to_string(kSchemaVersion) + "; COMMIT";
  return connection.run(stamp.c_str());
}

}  // namespace trued::sqlite
