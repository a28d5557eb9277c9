// call_shape.h: what a call to a PostgreSQL target may look like, and what is wrong with one.
//
//   effect  { sql, params?, expect_rows?, isolation? }
//           { statements = [ { sql, params?, expect_rows? }, … ], isolation? }
//   read    { sql, params?, single? }
//
// A value reaches the database as a parameter and in no other way: an sql text that holds "${" is
// refused, in a template and in a call. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "pg/session.h"
#include "target/call.h"

namespace trued {

struct PostgresStatement {
  std::string sql;
  pg::Parameters parameters;
  std::optional<std::uint64_t> expect_rows;
};

struct PostgresEffect {
  std::vector<PostgresStatement> statements;  ///< at least one
  std::string isolation;                      ///< "READ COMMITTED", …
};

struct PostgresRead {
  PostgresStatement statement;
  bool single = false;
};

/// As templates: a text with "${" may become anything. Empty when nothing is wrong.
[[nodiscard]] std::vector<CallFault> check_postgres_effect(const json::Value& call);
[[nodiscard]] std::vector<CallFault> check_postgres_read(const json::Value& call);

/// Filled in; `invalid_argument` names the first fault with its pointer. Nothing was sent.
[[nodiscard]] Result<PostgresEffect> parse_postgres_effect(const json::Value& call);
[[nodiscard]] Result<PostgresRead> parse_postgres_read(const json::Value& call);

}  // namespace trued
