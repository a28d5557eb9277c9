// connection.h: a SQLite connection and its statements, with errors as values. Private.
//
// Threads: a connection and its statements belong to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"
#include "base/time.h"

namespace trued::sqlite {

/// A prepared statement that is reset when the Cursor over it goes.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}

  // Parameters are numbered from 1. Texts and blobs must outlive the next step().
  Statement& bind(int at, std::int64_t value);
  Statement& bind(int at, std::uint64_t value) {
    return bind(at, static_cast<std::int64_t>(value));
  }
  Statement& bind(int at, WallTime value) { return bind(at, value.time_since_epoch().count()); }
  Statement& bind_text(int at, std::string_view value);
  Statement& bind_blob(int at, std::string_view value);
  Statement& bind_null(int at);

  /// SQLITE_ROW, SQLITE_DONE, or an error code.
  [[nodiscard]] int step();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t unsigned_integer(int column) const {
    return static_cast<std::uint64_t>(integer(column));
  }
  [[nodiscard]] WallTime moment(int column) const { return WallTime(Duration(integer(column))); }
  [[nodiscard]] bool is_null(int column) const;
  /// Valid until the next step() or reset().
  [[nodiscard]] std::string_view bytes(int column) const;
  [[nodiscard]] std::string text(int column) const { return std::string(bytes(column)); }

 private:
  /// The statement stands on a row that has such a column.
  void assert_column(int column) const;

  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

/// Resets its statement at the end of a scope, so that no read transaction stays open.
class Scope {
 public:
  explicit Scope(Statement& statement) : statement_(statement) {}
  ~Scope() { statement_.reset(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Statement& statement_;
};

class Connection {
 public:
  /// `writable` creates the file (mode 0600) where there is none. Sets the pragmas that a ledger
  /// relies on. `invalid_argument`: the file is something else.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const std::string& path,
                                                                bool writable);

  /// How long a statement waits for another connection's lock.
  static constexpr Duration kPatience{10'000};
  void set_patience(Duration patience) {
    sqlite3_busy_timeout(handle_.get(), static_cast<int>(patience.count()));
  }

  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  /// Runs statements without results.
  [[nodiscard]] Result<void> run(const char* sql);
  [[nodiscard]] Result<std::int64_t> integer(std::string_view sql);
  /// The last failure as an Error with `code`.
  [[nodiscard]] Error failure(std::string_view what) const;
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace trued::sqlite
