// install.h: the marker table of a PostgreSQL target: what it lacks, and making it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "target/spec.h"

namespace trued {

struct MarkerStep {
  std::string what;  ///< "create table trued_marker"
  std::string sql;
};

/// What is to be done until the table is as it should be; empty when it is. Changes nothing. Also
/// fails, saying what to grant, where the table is there and may not be used.
[[nodiscard]] Result<std::vector<MarkerStep>> plan_marker_table(const PostgresSpec& spec,
                                                                Duration timeout);
/// Does it, in one transaction; what was done. May be repeated; `happened = maybe` says to.
[[nodiscard]] Result<std::vector<MarkerStep>> install_marker_table(const PostgresSpec& spec,
                                                                   Duration timeout);

}  // namespace trued
