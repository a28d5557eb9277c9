#include "target/postgres/marker.h"

#include <charconv>
#include <utility>

#include "base/assert.h"
#include "base/digest.h"
#include "pg/text.h"

namespace trued {
namespace {

bool valid_part(std::string_view name) {
  constexpr std::size_t kNameMax = 63;  // NAMEDATALEN
  if (name.empty() || name.size() > kNameMax || (name[0] >= '0' && name[0] <= '9')) return false;
  return name.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
         std::string_view::npos;
}

std::int64_t number_of(const std::string& text) {
  std::int64_t number = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string attempt_text(const CallContext& context) {
  return std::to_string(context.attempt.value());
}

constexpr const char* kColumns = "attempt, refused, operation, fingerprint, xid, result";

Marker marker_of(const std::vector<std::optional<std::string>>& row) {
  Marker marker;
  if (row.at(0)) marker.attempt = number_of(*row.at(0));
  marker.refused = number_of(row.at(1).value_or("0"));
  marker.operation = row.at(2).value_or("");
  marker.fingerprint = row.at(3).value_or("");
  marker.xid = row.at(4).value_or("");
  marker.result = row.at(5).value_or("");
  return marker;
}

// The server answered something else than it was asked for: nobody's word counts.
pg::PgError nonsense(const std::string& what) {
  pg::PgError e;
  e.error = {.code = ErrorCode::corrupt, .message = what};
  return e;
}

}  // namespace

std::string quoted_table(const std::string& name) {
  TRUED_ASSERT(valid_marker_table(name));
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) return pg::quoted_identifier(name);
  return pg::quoted_identifier(name.substr(0, dot)) + "." +
         pg::quoted_identifier(name.substr(dot + 1));
}

bool valid_marker_table(const std::string& name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) return valid_part(name);
  return valid_part(name.substr(0, dot)) && valid_part(name.substr(dot + 1));
}

std::string application_prefix(const std::string& identity) {
  constexpr std::size_t kDigits = 32;  // a name has 63 characters at most
  std::string prefix = "trued:" + sha256(identity).hex().substr(0, kDigits) + ":";
  constexpr std::size_t kNameMax = 63;
  TRUED_ASSERT(prefix.size() + std::to_string(~std::uint32_t{0}).size() <= kNameMax);
  return prefix;
}

std::string application_of(const CallContext& context) {
  return application_prefix(context.identity) + attempt_text(context);
}

Result<bool, pg::PgError> MarkerTable::claim(pg::Session& session, const CallContext& context,
                                             const std::string& fingerprint,
                                             const pg::Deadline& deadline) const {
  const std::string sql =
      "INSERT INTO " + table_ +
      " AS m (identity, operation, attempt, fingerprint, actor, xid, at)"
      " VALUES ($1, $2, $3::bigint, $4, $5, pg_current_xact_id()::text, clock_timestamp())"
      " ON CONFLICT (identity) DO UPDATE SET operation = EXCLUDED.operation,"
      " attempt = EXCLUDED.attempt, fingerprint = EXCLUDED.fingerprint, actor = EXCLUDED.actor,"
      " xid = EXCLUDED.xid, at = EXCLUDED.at"
      " WHERE m.attempt IS NULL AND m.refused < EXCLUDED.attempt";
  TRUED_TRY(pg::Rows rows, session.execute(sql,
                                           {context.identity, to_string(context.operation),
                                            attempt_text(context), fingerprint, context.actor},
                                           {}, deadline));
  return rows.count == 1;
}

Result<std::optional<Marker>, pg::PgError> MarkerTable::look(pg::Session& session,
                                                             const std::string& identity,
                                                             const pg::Deadline& deadline) const {
  const std::string sql =
      std::string("SELECT ") + kColumns + " FROM " + table_ + " WHERE identity = $1";
  TRUED_TRY(pg::Rows rows, session.execute(sql, {identity}, {}, deadline));
  if (rows.values.empty()) return std::optional<Marker>();
  return std::optional<Marker>(marker_of(rows.values.front()));
}

Result<std::string, pg::PgError> MarkerTable::record(pg::Session& session,
                                                     const CallContext& context,
                                                     const std::string& result,
                                                     const pg::Deadline& deadline) const {
  // Also proof that the transaction is still the one that made the claim.
  const std::string sql = "UPDATE " + table_ +
                          " SET result = $3 WHERE identity = $1 AND attempt = $2::bigint"
                          " AND xid = pg_current_xact_id()::text RETURNING xid";
  TRUED_TRY(pg::Rows rows,
            session.execute(sql, {context.identity, attempt_text(context), result}, {}, deadline));
  if (rows.count != 1 || rows.values.size() != 1) {
    return nonsense("the statements removed or replaced the marker row in " + name_ +
                    ", which is not theirs");
  }
  return rows.values.front().at(0).value_or("");
}

Result<Marker, pg::PgError> MarkerTable::refuse(pg::Session& session, const CallContext& context,
                                                const pg::Deadline& deadline) const {
  const std::string sql =
      "INSERT INTO " + table_ +
      " AS m (identity, operation, refused, at) VALUES ($1, $2, $3::bigint, clock_timestamp())"
      " ON CONFLICT (identity) DO UPDATE SET refused = greatest(m.refused, EXCLUDED.refused)"
      " RETURNING " +
      kColumns;
  TRUED_TRY(
      pg::Rows rows,
      session.execute(sql, {context.identity, to_string(context.operation), attempt_text(context)},
                      {}, deadline));
  if (rows.values.size() != 1) return nonsense("the refusal left no row in " + name_);
  return marker_of(rows.values.front());
}

Result<std::uint64_t, pg::PgError> MarkerTable::end_attempts(pg::Session& session,
                                                             const CallContext& context,
                                                             const pg::Deadline& deadline) {
  const std::string sql =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE pid <> pg_backend_pid() AND datname = current_database()"
      " AND CASE WHEN starts_with(application_name, $1)"
      " AND substr(application_name, length($1) + 1) ~ '^[0-9]{1,10}$'"
      " THEN substr(application_name, length($1) + 1)::bigint <= $2::bigint ELSE false END";
  TRUED_TRY(pg::Rows rows,
            session.execute(sql, {application_prefix(context.identity), attempt_text(context)}, {},
                            deadline));
  return rows.count;
}

bool MarkerTable::is_missing(const pg::PgError& e) const {
  return e.sqlstate == "42P01" || e.sqlstate == "3F000";  // no such table, no such schema
}

}  // namespace trued
