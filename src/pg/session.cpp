#include "pg/session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <functional>
#include <map>
#include <poll.h>
#include <utility>

#include <libpq-fe.h>

#include "base/assert.h"
#include "base/encoding.h"
#include "pg/text.h"

namespace trued::pg {
namespace {

struct FreeResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPtr = std::unique_ptr<PGresult, FreeResult>;
struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : utf8_repaired(text);
}

// One line, for people.
std::string tidied(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  text = replaced(std::move(text), "\n", " ");
  return utf8_repaired(replaced(std::move(text), "\t", ""));
}

std::string or_else(const char* text, const char* otherwise) {
  return text == nullptr || *text == '\0' ? otherwise : text;
}

// Collected for the session; a server that never stops talking costs no more than this.
constexpr std::size_t kNoticesMax = 100;

struct Heard {
  std::vector<Notice> notices;
  bool not_replicated = false;  ///< however many notices came before it
};

void on_notice(void* heard, const PGresult* result) {
  TRUED_ASSERT(heard != nullptr);
  auto& out = *static_cast<Heard*>(heard);
  std::string function = field(result, PG_DIAG_SOURCE_FUNCTION);
  // The words are translated and have no SQLSTATE of their own; who says them is always the same.
  if (function == "SyncRepWaitForLSN") out.not_replicated = true;
  if (out.notices.size() >= kNoticesMax) return;
  out.notices.push_back({field(result, PG_DIAG_SEVERITY_NONLOCALIZED),
                         field(result, PG_DIAG_SQLSTATE), field(result, PG_DIAG_MESSAGE_PRIMARY),
                         std::move(function)});
  TRUED_ASSERT(out.notices.size() <= kNoticesMax);
}

constexpr std::size_t kFailuresMax = 2;

/// Parameters as libpq takes them. They must outlive it.
struct Values {
  explicit Values(const Parameters& parameters) {
    for (const Parameter& each : parameters) {
      const auto& value = each.value();
      TRUED_ASSERT(!value || value->size() <= INT_MAX);
      pointers.push_back(value ? value->c_str() : nullptr);
      lengths.push_back(value ? static_cast<int>(value->size()) : 0);  // of binary ones only
      formats.push_back(each.is_binary() ? 1 : 0);
    }
  }
  [[nodiscard]] int count() const { return static_cast<int>(pointers.size()); }

  std::vector<const char*> pointers;
  std::vector<int> lengths;
  std::vector<int> formats;
};

}  // namespace

struct Session::Impl {
  std::unique_ptr<PGconn, Finish> connection;
  ConnInfo info;
  Heard heard;
  std::string server;
  std::map<std::string, std::string, std::less<>> prepared = {};  ///< names, by their text

  [[nodiscard]] PGconn* get() const { return connection.get(); }

  // What the connection itself has to say, and the end of it.
  PgError lose(const std::string& what, bool timed_out) {
    TRUED_ASSERT(connection != nullptr);
    PgError e;
    e.lost = true;
    e.timed_out = timed_out;
    std::string why = timed_out ? "no answer in time" : or_else(PQerrorMessage(get()), "it broke");
    e.error = {.code = timed_out ? ErrorCode::timeout : ErrorCode::unavailable,
               .happened = Happened::maybe,
               .retryable = true,
               .message = what + ": " + info.without_secrets(tidied(std::move(why)))};
    connection.reset();
    return e;
  }
  PgError closed() const {
    PgError e;
    e.lost = true;
    e.error = {.code = ErrorCode::unavailable,
               .happened = Happened::no,
               .retryable = true,
               .message = "the connection is closed"};
    return e;
  }

  // Waits for the socket; true if it is ready, false if the deadline has passed, also while there
  // is always something to read.
  [[nodiscard]] bool wait(short events, const Deadline& deadline) const {
    pollfd one{.fd = PQsocket(get()), .events = events, .revents = 0};
    while (!deadline.over()) {
      const Duration left = deadline.left();
      const int ready =
          ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return true;  // libpq will say what is wrong with it
    }
    return false;
  }

  // Sends what is queued, reading what comes meanwhile, so that neither side waits for the other.
  std::optional<PgError> flush(const Deadline& deadline) {
    TRUED_ASSERT(connection != nullptr);
    while (true) {
      const int pending = PQflush(get());
      if (pending == 0) return std::nullopt;
      if (pending < 0) return lose("the connection was lost while sending", false);
      if (!wait(POLLIN | POLLOUT, deadline)) return lose("sending took too long", true);
      if (PQconsumeInput(get()) == 0) return lose("the connection was lost while sending", false);
    }
  }

  // The next result; null when there is no more.
  Result<ResultPtr, PgError> next(const Deadline& deadline) {
    TRUED_ASSERT(connection != nullptr);
    while (PQisBusy(get()) != 0) {
      if (!wait(POLLIN, deadline)) return lose("the server did not answer", true);
      if (PQconsumeInput(get()) == 0) return lose("the connection was lost", false);
    }
    return ResultPtr(PQgetResult(get()));
  }

  [[nodiscard]] PgError refusal(const PGresult* result, const Parameters& parameters) const {
    PgError e;
    e.sqlstate = field(result, PG_DIAG_SQLSTATE);
    e.constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    // FATAL and PANIC end the connection; what the statement did is then nobody's word.
    e.lost = field(result, PG_DIAG_SEVERITY_NONLOCALIZED) != "ERROR";
    // Never the detail and the context: they quote rows and parameters.
    std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (message.empty()) message = tidied(or_else(PQresultErrorMessage(result), "no reason given"));
    message = info.without_secrets(without_parameters(std::move(message), parameters));
    e.error = {.code = in_class(e, "23") ? ErrorCode::conflict : ErrorCode::invalid_argument,
               .happened = e.lost ? Happened::maybe : Happened::no,
               .retryable = is_transient(e),
               .message = e.sqlstate.empty() ? message : message + " (" + e.sqlstate + ")"};
    if (e.error.retryable) e.error.code = ErrorCode::unavailable;
    if (e.sqlstate == "42501") e.error.code = ErrorCode::permission_denied;
    return e;
  }

  static void take_values(const PGresult* result, const Limits& limits, std::uint64_t& bytes,
                          Rows& rows) {
    if (rows.columns.empty()) {
      for (int c = 0; c < PQnfields(result); ++c) {
        rows.columns.push_back({utf8_repaired(PQfname(result, c)), PQftype(result, c)});
      }
    }
    for (int r = 0; r < PQntuples(result); ++r) {
      ++rows.count;
      for (int c = 0; c < PQnfields(result); ++c) {
        bytes += static_cast<std::uint64_t>(PQgetlength(result, r, c));
      }
      if (rows.truncated || rows.values.size() >= limits.rows_max || bytes > limits.bytes_max) {
        rows.truncated = true;
        continue;
      }
      auto& row = rows.values.emplace_back();
      for (int c = 0; c < PQnfields(result); ++c) {
        if (PQgetisnull(result, r, c) != 0) {
          row.emplace_back(std::nullopt);
        } else {
          row.emplace_back(std::string(PQgetvalue(result, r, c),
                                       static_cast<std::size_t>(PQgetlength(result, r, c))));
        }
      }
    }
  }
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session, PgError> Session::open(const ConnInfo& info, const std::string& application,
                                       const Deadline& deadline) {
  auto impl = std::make_unique<Impl>();
  impl->info = info;
  const auto refused = [&](PgError e) {
    e.error.happened = Happened::no;
    e.error.message = info.shown() + ": " + e.error.message;
    return e;
  };
  // A dead host gives way to the next one in time; libpq does not bound that itself.
  const Duration least{info.hosts() > 1 ? 2'000 : 10'000};
  const Duration share = std::max(least, deadline.left() / info.hosts());
  const std::string patience = std::to_string(share.count());
  // Before dbname, so that the URL has the last word. A standby would show yesterday's truth.
  const std::array<const char*, 7> names = {"target_session_attrs",
                                            "tcp_user_timeout",
                                            "fallback_application_name",
                                            "dbname",
                                            "client_encoding",
                                            "password",
                                            nullptr};
  // An empty value counts as not given.
  const std::array<const char*, 7> values = {"primary",
                                             patience.c_str(),
                                             application.c_str(),
                                             info.url().c_str(),
                                             "UTF8",
                                             info.password().c_str(),
                                             nullptr};
  impl->connection.reset(PQconnectStartParams(names.data(), values.data(), 1));
  if (impl->connection == nullptr) return refused(impl->closed());
  PQsetNoticeReceiver(impl->get(), on_notice, &impl->heard);
  if (PQstatus(impl->get()) == CONNECTION_BAD) return refused(impl->lose("cannot connect", false));
  short events = POLLOUT;
  while (true) {
    if (!impl->wait(events, deadline)) return refused(impl->lose("cannot connect", true));
    const PostgresPollingStatusType status = PQconnectPoll(impl->get());
    if (status == PGRES_POLLING_OK) break;
    if (status == PGRES_POLLING_FAILED) return refused(impl->lose("cannot connect", false));
    events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
  }
  if (PQsetnonblocking(impl->get(), 1) != 0) return refused(impl->lose("cannot connect", false));
  impl->server = or_else(PQhost(impl->get()), "local") + ":" + or_else(PQport(impl->get()), "");
  return Session(std::move(impl));
}

Result<Rows, PgError> Session::execute(const std::string& sql, const Parameters& parameters,
                                       const Limits& limits, const Deadline& deadline) {
  if (lost()) return impl_->closed();
  const Values values(parameters);
  if (PQsendQueryParams(impl_->get(), sql.c_str(), values.count(), nullptr, values.pointers.data(),
                        values.lengths.data(), values.formats.data(), 0) == 0) {
    return impl_->lose("the statement could not be sent", false);
  }
  (void)PQsetSingleRowMode(impl_->get());
  return collect(parameters, limits, deadline);
}

Result<Rows, PgError> Session::execute_prepared(const std::string& sql,
                                                const Parameters& parameters, const Limits& limits,
                                                const Deadline& deadline) {
  if (lost()) return impl_->closed();
  auto found = impl_->prepared.find(sql);
  if (found == impl_->prepared.end()) {
    std::string name = "trued_" + std::to_string(impl_->prepared.size());
    if (PQsendPrepare(impl_->get(), name.c_str(), sql.c_str(), 0, nullptr) == 0) {
      return impl_->lose("the statement could not be sent", false);
    }
    TRUED_TRY_VOID(collect({}, limits, deadline));
    found = impl_->prepared.emplace(sql, std::move(name)).first;
  }
  const Values values(parameters);
  if (PQsendQueryPrepared(impl_->get(), found->second.c_str(), values.count(),
                          values.pointers.data(), values.lengths.data(), values.formats.data(),
                          0) == 0) {
    return impl_->lose("the statement could not be sent", false);
  }
  (void)PQsetSingleRowMode(impl_->get());
  return collect(parameters, limits, deadline);
}

Result<Rows, PgError> Session::script(const std::string& sql, const Deadline& deadline) {
  if (lost()) return impl_->closed();
  if (PQsendQuery(impl_->get(), sql.c_str()) == 0) {
    return impl_->lose("the statement could not be sent", false);
  }
  return collect({}, {}, deadline);
}

Result<Rows, PgError> Session::collect(const Parameters& parameters, const Limits& limits,
                                       const Deadline& deadline) {
  if (auto failure = impl_->flush(deadline)) return *std::move(failure);
  Rows rows;
  std::uint64_t bytes = 0;
  std::optional<PgError> refused;
  std::size_t failures = 0;
  while (true) {
    TRUED_TRY(ResultPtr result, impl_->next(deadline));
    if (result == nullptr) break;
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
      case PGRES_SINGLE_TUPLE:
        if (!rows.tag.empty()) {
          rows = Rows{};  // of a later statement of a script
          bytes = 0;
        }
        Impl::take_values(result.get(), limits, bytes, rows);
        break;
      case PGRES_COMMAND_OK:
      case PGRES_EMPTY_QUERY:
        break;
      case PGRES_COPY_IN:
      case PGRES_COPY_OUT:
      case PGRES_COPY_BOTH:
        return impl_->lose("COPY is not spoken here", false);
      case PGRES_BAD_RESPONSE:
      case PGRES_NONFATAL_ERROR:
      case PGRES_FATAL_ERROR:
      case PGRES_PIPELINE_SYNC:
      case PGRES_PIPELINE_ABORTED:
        if (!refused) refused = impl_->refusal(result.get(), parameters);
        // What follows a connection that broke are the same words again.
        if (++failures > kFailuresMax || PQstatus(impl_->get()) != CONNECTION_OK) {
          impl_->connection.reset();
          refused->lost = true;
          refused->error.happened = Happened::maybe;
          return *std::move(refused);
        }
        continue;
    }
    const std::string_view tag = PQcmdStatus(result.get());
    if (!tag.empty()) rows.tag = tag;
    const std::string_view touched = PQcmdTuples(result.get());
    if (!touched.empty() && rows.columns.empty()) {
      (void)std::from_chars(touched.data(), touched.data() + touched.size(), rows.count);
    }
  }
  if (PQstatus(impl_->get()) != CONNECTION_OK) {
    PgError e = refused ? *refused : impl_->lose("the connection was lost", false);
    impl_->connection.reset();
    e.lost = true;
    e.error.happened = Happened::maybe;
    return e;
  }
  if (refused) {
    if (refused->lost) impl_->connection.reset();
    return *std::move(refused);
  }
  return rows;
}

Result<Committed, PgError> Session::commit(const Deadline& deadline) {
  if (lost()) return impl_->closed();
  // What is deferred until COMMIT (triggers) comes before our own settings, which it could change.
  // A server that keeps its warnings to itself would not say that nothing was replicated.
  static const std::string kCommit =
      "SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL client_min_messages = warning; " +
      std::string(kDurable) + " SET LOCAL statement_timeout = 0; COMMIT";
  impl_->heard = {};
  auto done = script(kCommit, deadline);
  if (!done.has_value()) {
    PgError e = std::move(done).error();
    // The server may say that it does not know either.
    if (in_class(e, "08") || e.sqlstate == "40003") e.error.happened = Happened::maybe;
    return e;
  }
  if (done->tag != "COMMIT") {
    // An aborted transaction answers COMMIT with a polite ROLLBACK.
    PgError e;
    e.error = {.code = ErrorCode::conflict,
               .happened = Happened::no,
               .retryable = true,
               .message = "the server answered COMMIT with " + done->tag};
    return e;
  }
  return Committed{.replicated = !impl_->heard.not_replicated};
}

void Session::rollback() {
  if (lost() || idle()) return;
  constexpr Duration kPatience{1'000};
  const bool waiting = PQtransactionStatus(impl_->get()) == PQTRANS_ACTIVE;
  if (waiting || !script("ROLLBACK", Deadline(kPatience)).has_value() || !idle()) close();
}

void Session::close() {
  impl_->connection.reset();
  TRUED_ASSERT(lost() && !idle());
}

bool Session::lost() const {
  return impl_->connection == nullptr || PQstatus(impl_->get()) != CONNECTION_OK;
}

bool Session::idle() const { return !lost() && PQtransactionStatus(impl_->get()) == PQTRANS_IDLE; }

Result<bool, PgError> Session::hear(const Deadline& deadline) {
  if (lost()) return impl_->closed();
  bool heard = false;
  do {
    if (PQconsumeInput(impl_->get()) == 0) return impl_->lose("the connection was lost", false);
    while (PGnotify* said = PQnotifies(impl_->get())) {
      PQfreemem(said);
      heard = true;
    }
  } while (!heard && impl_->wait(POLLIN, deadline));
  return heard;
}

bool Session::healthy() const {
  if (!idle()) return false;
  // A server that hung up left its goodbye, or the end of the stream, to be read. What else it may
  // have to say without being asked is not worth telling apart: a new connection costs little.
  pollfd one{.fd = PQsocket(impl_->get()), .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) == 0;
}

int Session::backend_pid() const { return lost() ? 0 : PQbackendPID(impl_->get()); }
int Session::server_version() const { return lost() ? 0 : PQserverVersion(impl_->get()); }
std::string Session::server() const { return impl_->server; }

std::vector<Notice> Session::take_notices() { return std::exchange(impl_->heard.notices, {}); }

bool Session::take_lost_replication() { return std::exchange(impl_->heard.not_replicated, false); }

}  // namespace trued::pg
