// session.h: one connection to a PostgreSQL server; every call has a deadline.
//
//   open() ──► idle ──execute(), script()──► idle, or in a transaction ──commit()──► idle
//                │
//                └─ deadline, lost connection, garbage ──► closed (lost() is true from then on)
//
// Nothing is ever sent twice. A call whose deadline passes closes the connection: the server ends
// what it was doing (client_connection_check_interval, statement_timeout) and rolls back a
// transaction whose COMMIT it has not seen.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pg/conninfo.h"
#include "pg/deadline.h"
#include "pg/parameter.h"
#include "pg/pg_error.h"

struct pg_conn;
struct pg_result;

namespace trued::pg {

/// What the server said beside its answer.
struct Notice {
  std::string severity;  ///< "WARNING", "NOTICE", …, never translated
  std::string sqlstate;
  std::string message;
  std::string function;  ///< of the server's source, never translated
};

struct Column {
  std::string name;
  std::uint32_t type = 0;  ///< OID
};

struct Rows {
  std::vector<Column> columns;
  std::vector<std::vector<std::optional<std::string>>> values;
  std::uint64_t count = 0;  ///< rows returned or touched, also of those beyond the limits
  bool truncated = false;   ///< more rows or bytes than the limits; the rest was dropped
  std::string tag;          ///< "INSERT 0 1"
};

/// Rows beyond these are counted and dropped while they come, so memory stays bounded.
struct Limits {
  std::uint64_t rows_max = 10'000;
  std::uint64_t bytes_max = std::uint64_t{1} << 20;
};

/// Makes the open transaction as durable as the database says, and never less than on disk: a role
/// may say 'off', and what ran before may have said anything.
inline constexpr const char* kDurable =
    "SET LOCAL synchronous_commit TO DEFAULT;"
    " SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') = 'off';";

/// The server committed. `replicated` false: the wait for synchronous replication was cut short, so
/// the commit stands on this server alone and would be lost with it.
struct Committed {
  bool replicated = true;
};

class Session {
 public:
  /// Connects and logs in. What failed is `happened = no`. Resolving a host name can outlast the
  /// deadline; nothing else can.
  [[nodiscard]] static Result<Session, PgError> open(const ConnInfo& info,
                                                     const std::string& application,
                                                     const Deadline& deadline);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// One statement with its parameters, never spliced into it.
  [[nodiscard]] Result<Rows, PgError> execute(const std::string& sql, const Parameters& parameters,
                                              const Limits& limits, const Deadline& deadline);
  /// The same for a statement that comes again and again: this connection's server parses it once.
  /// Not through a pooler that gives each transaction another server.
  [[nodiscard]] Result<Rows, PgError> execute_prepared(const std::string& sql,
                                                       const Parameters& parameters,
                                                       const Limits& limits,
                                                       const Deadline& deadline);
  /// Statements without parameters, several with ';' between them; the rows of the last one that
  /// has any.
  [[nodiscard]] Result<Rows, PgError> script(const std::string& sql, const Deadline& deadline);
  /// After LISTEN: waits until something was notified of, or the deadline passes (false); all that
  /// was notified of by then counts as one. The error is that the connection was lost.
  [[nodiscard]] Result<bool, PgError> hear(const Deadline& deadline);
  /// Commits the open transaction, durably whatever it has set, and without a statement_timeout: it
  /// could only cut short the wait for replication. `happened = no`: the server refused and rolled
  /// back. `maybe`: no answer came.
  [[nodiscard]] Result<Committed, PgError> commit(const Deadline& deadline);
  /// Rolls back what is open, or closes the connection, which comes to the same.
  void rollback();
  void close();

  [[nodiscard]] bool lost() const;
  /// Outside of any transaction, with nothing under way.
  [[nodiscard]] bool idle() const;
  /// idle(), and the server has not hung up meanwhile as far as can be told from here.
  [[nodiscard]] bool healthy() const;
  [[nodiscard]] int backend_pid() const;
  [[nodiscard]] int server_version() const;  ///< 150018
  [[nodiscard]] std::string server() const;  ///< "host:port", of several the one it is
  /// What the server said since the last call of this.
  [[nodiscard]] std::vector<Notice> take_notices();
  /// True if the server said, since the last call of this or the last commit(), that it stopped
  /// waiting for its standbys: what it committed then stands on this server alone.
  [[nodiscard]] bool take_lost_replication();

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);

  [[nodiscard]] Result<Rows, PgError> collect(const Parameters& parameters, const Limits& limits,
                                              const Deadline& deadline);

  std::unique_ptr<Impl> impl_;
};

}  // namespace trued::pg
