#include "ledger/sqlite/connection.h"

#include <cstring>
#include <sys/stat.h>

#include "base/assert.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::sqlite {
Statement& Statement::bind(int at, std::int64_t value) {
  TRUED_ASSERT(sqlite3_bind_int64(handle_.get(), at, value) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_text(int at, std::string_view value) {
  TRUED_ASSERT(sqlite3_bind_text64(handle_.get(), at, value.data() == nullptr ? "" : value.data(),
                                   value.size(), SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_blob(int at, std::string_view value) {
  TRUED_ASSERT(sqlite3_bind_blob64(handle_.get(), at, value.data() == nullptr ? "" : value.data(),
                                   value.size(), SQLITE_STATIC) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_null(int at) {
  TRUED_ASSERT(sqlite3_bind_null(handle_.get(), at) == SQLITE_OK);
  return *this;
}

int Statement::step() {
  TRUED_ASSERT(handle_ != nullptr);
  return sqlite3_step(handle_.get());
}

void Statement::assert_column(int column) const {
  TRUED_ASSERT(handle_ != nullptr);
  TRUED_ASSERT(column >= 0 && column < sqlite3_data_count(handle_.get()));
}

void Statement::reset() {
  if (handle_ != nullptr) sqlite3_reset(handle_.get());
}

std::int64_t Statement::integer(int column) const {
  assert_column(column);
  return sqlite3_column_int64(handle_.get(), column);
}

bool Statement::is_null(int column) const {
  assert_column(column);
  return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

std::string_view Statement::bytes(int column) const {
  assert_column(column);
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
  const int size = sqlite3_column_bytes(handle_.get(), column);
  return data == nullptr ? std::string_view()
                         : std::string_view(data, static_cast<std::size_t>(size));
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, bool writable) {
  const mode_t mask = umask(0077);
  sqlite3* handle = nullptr;
  const int flags =
      (writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  umask(mask);
  std::unique_ptr<Connection> connection(new Connection(handle));
  if (code != SQLITE_OK) return connection->failure("cannot open " + path);
  connection->set_patience(kPatience);
  const char* pragmas = writable ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                   "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-32768;"
                                   "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                                 : "PRAGMA query_only=1; PRAGMA cache_size=-8192;"
                                   "PRAGMA trusted_schema=OFF;";
  const auto set = connection->run(pragmas);  // reads the first page
  if (!set.has_value() && (sqlite3_errcode(handle) & 0xff) == SQLITE_NOTADB) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = path +
                            " holds no ledger: it does not begin as an SQLite database does; name "
                            "the file that a server or 'trued exec' keeps, or, if this was it, "
                            "take a backup of it"};
  }
  TRUED_TRY_VOID(set);
  return connection;
}

Result<Statement> Connection::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return failure("cannot prepare a statement");
  TRUED_ASSERT(statement != nullptr);  // there is none in an empty text
  return Statement(statement);
}

Result<void> Connection::run(const char* sql) {
  TRUED_ASSERT(sql != nullptr && handle_ != nullptr);
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failure("a statement failed");
  }
  return {};
}

Result<std::int64_t> Connection::integer(std::string_view sql) {
  TRUED_TRY(Statement statement, prepare(sql));
  const int code = statement.step();
  if (code == SQLITE_ROW) return statement.integer(0);
  if (code == SQLITE_DONE) return std::int64_t{0};
  return failure("a read failed");
}

Error Connection::failure(std::string_view what) const {
  const int code = sqlite3_errcode(handle_.get()) & 0xff;
  const bool corrupt = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
  return {.code = corrupt ? ErrorCode::corrupt : ErrorCode::io,
          .happened = Happened::no,
          .retryable = !corrupt,
          .message = std::string(what) + ": " + sqlite3_errmsg(handle_.get())};
}

}  // namespace trued::sqlite

namespace trued {

void tune_sqlite_for_ledger() { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

}  // namespace trued
