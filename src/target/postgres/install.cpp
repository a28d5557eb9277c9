#include "target/postgres/install.h"

#include <array>
#include <set>
#include <utility>

#include "pg/session.h"
#include "pg/text.h"
#include "target/postgres/marker.h"

namespace trued {
namespace {

using pg::Deadline;
using pg::PgError;
using Steps = std::vector<MarkerStep>;

struct ColumnSpec {
  const char* name;
  const char* definition;
};
constexpr std::array<ColumnSpec, 9> kColumns = {{
    {"identity", "text PRIMARY KEY"},
    {"operation", "text NOT NULL DEFAULT ''"},
    {"attempt", "bigint"},
    {"refused", "bigint NOT NULL DEFAULT 0"},
    {"fingerprint", "text"},
    {"actor", "text"},
    {"xid", "text"},
    {"result", "text"},
    {"at", "timestamptz NOT NULL DEFAULT clock_timestamp()"},
}};

class Planner {
 public:
  Planner(pg::Session& session, const std::string& name, const Deadline& deadline)
      : session_(session), name_(name), table_(quoted_table(name)), deadline_(deadline) {}

  Result<Steps, PgError> plan() {
    TRUED_TRY(pg::Rows found, ask("SELECT c.relkind, c.relpersistence FROM pg_class c"
                                  " WHERE c.oid = to_regclass($1)",
                                  {table_}));
    if (found.values.empty()) {
      TRUED_TRY_VOID(plan_schema());
      plan_table();
      return std::move(steps_);
    }
    const std::string kind = found.values.front().at(0).value_or("");
    if (kind != "r" && kind != "p") return wrong("is no table");
    if (found.values.front().at(1) == "u") {
      step("make it survive a crash: it is unlogged", "ALTER TABLE " + table_ + " SET LOGGED");
    }
    TRUED_TRY_VOID(plan_columns());
    TRUED_TRY_VOID(check_rights());
    return std::move(steps_);
  }

 private:
  Result<pg::Rows, PgError> ask(const std::string& sql, const pg::Parameters& parameters) {
    return session_.execute(sql, parameters, {}, deadline_);
  }
  void step(std::string what, std::string sql) {
    steps_.push_back({std::move(what), std::move(sql)});
  }
  [[nodiscard]] PgError wrong(const std::string& what) const {
    PgError e;
    e.error = {.code = ErrorCode::conflict,
               .message = name_ + " " + what + "; give another name as marker_table"};
    return e;
  }

  Result<void, PgError> plan_schema() {
    const std::size_t dot = name_.find('.');
    if (dot == std::string::npos) return {};
    const std::string schema = name_.substr(0, dot);
    TRUED_TRY(pg::Rows found, ask("SELECT 1 FROM pg_namespace WHERE nspname = $1", {schema}));
    if (found.count == 0) {
      step("create schema " + schema, "CREATE SCHEMA " + pg::quoted_identifier(schema));
    }
    return {};
  }

  void plan_table() {
    std::string sql = "CREATE TABLE " + table_ + " (";
    for (const ColumnSpec& column : kColumns) {
      sql += std::string(column.name == kColumns.front().name ? "" : ", ") + column.name + " " +
             column.definition;
    }
    step("create table " + name_, sql + ")");
    step("say what it is for",
         "COMMENT ON TABLE " + table_ +
             " IS 'trued: one row for each operation whose effect is in this database; "
             "effects are repeated if it is emptied'");
    step("create an index for pruning", "CREATE INDEX ON " + table_ + " (at)");
  }

  Result<void, PgError> plan_columns() {
    TRUED_TRY(pg::Rows found, ask("SELECT a.attname FROM pg_attribute a WHERE a.attrelid ="
                                  " to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
                                  {table_}));
    std::set<std::string> names;
    for (const auto& row : found.values) names.insert(row.at(0).value_or(""));
    TRUED_TRY(pg::Rows key,
              ask("SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
                  " AND a.attnum = i.indkey[0] WHERE i.indrelid = to_regclass($1)"
                  " AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indnkeyatts = 1"
                  " AND i.indpred IS NULL AND a.attname = 'identity'",
                  {table_}));
    if (key.count == 0) {
      return wrong("is there and is no marker table: nothing in it keeps 'identity' unique");
    }
    for (const ColumnSpec& column : kColumns) {
      if (names.contains(column.name)) continue;
      step("add column " + std::string(column.name),
           "ALTER TABLE " + table_ + " ADD COLUMN " + column.name + " " + column.definition);
    }
    return {};
  }

  Result<void, PgError> check_rights() {
    TRUED_TRY(pg::Rows found,
              ask("SELECT current_user, bool_and(has_table_privilege(to_regclass($1), p))"
                  " FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) p",
                  {table_}));
    if (found.values.empty() || found.values.front().at(1) == "t") return {};
    PgError e;
    e.error = {.code = ErrorCode::permission_denied,
               .message = name_ + " may not be used; run, as its owner: GRANT SELECT, INSERT, " +
                          "UPDATE ON " + table_ + " TO " +
                          pg::quoted_identifier(found.values.front().at(0).value_or(""))};
    return e;
  }

  pg::Session& session_;
  const std::string& name_;
  const std::string table_;
  const Deadline& deadline_;
  Steps steps_;
};

// Two that install at once take turns. Any number will do that others do not use.
constexpr const char* kTurn = "SELECT pg_advisory_xact_lock(8387236824177)";

Result<Steps, PgError> work(const PostgresSpec& spec, const pg::ConnInfo& info, bool install,
                            const Deadline& deadline) {
  TRUED_TRY(pg::Session session, pg::Session::open(info, "trued", deadline));
  TRUED_TRY_VOID(session.script("BEGIN ISOLATION LEVEL READ COMMITTED" +
                                    std::string(install ? "; " : " READ ONLY; ") +
                                    (install ? kTurn : "SELECT 1"),
                                deadline));
  TRUED_TRY(Steps steps, Planner(session, spec.marker_table, deadline).plan());
  if (!install || steps.empty()) {
    session.rollback();
    return steps;
  }
  for (const MarkerStep& step : steps) {
    auto done = session.execute(step.sql, {}, {}, deadline);
    if (done.has_value()) continue;
    PgError e = std::move(done).error();
    e.error.message = step.what + ": " + e.error.message + "; nothing was changed";
    e.error.happened = Happened::no;
    session.rollback();
    return e;
  }
  TRUED_TRY_VOID(session.commit(deadline));
  return steps;
}

Result<Steps> work(const PostgresSpec& spec, bool install, Duration timeout) {
  TRUED_TRY(const pg::ConnInfo info, pg::ConnInfo::parse(spec.url, spec.password));
  if (!valid_marker_table(spec.marker_table)) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "'" + spec.marker_table + "' is no name of a table"};
  }
  auto steps = work(spec, info, install, Deadline(timeout));
  if (!steps.has_value()) return std::move(steps).error().error;
  return std::move(steps).value();
}

}  // namespace

Result<Steps> plan_marker_table(const PostgresSpec& spec, Duration timeout) {
  return work(spec, false, timeout);
}

Result<Steps> install_marker_table(const PostgresSpec& spec, Duration timeout) {
  return work(spec, true, timeout);
}

}  // namespace trued
