// postgres.h: the settings of targets that are PostgreSQL databases. Private to src/config.
#pragma once

#include <string>

#include "config/table.h"
#include "target/spec.h"

namespace trued::config {

/// The settings of kind "postgres".
void read_postgres(Table& table, PostgresSpec& spec);

/// True for a URL with a password in it, wherever.
[[nodiscard]] bool holds_password(const std::string& url);

/// The URL for people: without its password and parameters.
[[nodiscard]] std::string without_password(const std::string& url);

}  // namespace trued::config
