// postgres_place.h: where a ledger on a PostgreSQL server is.
#pragma once

#include <string>

namespace trued {

struct PostgresPlace {
  std::string url;               ///< postgresql://…, as libpq understands it: several hosts, TLS, …
  std::string password = {};     ///< instead of one in the URL
  std::string schema = "trued";  ///< the schema that holds its tables
};

/// The version of the tables that this program writes.
inline constexpr int kPostgresSchema = 3;

}  // namespace trued
