// durability.h: what settings of a server make of a commit. Private. Pure.
#pragma once

#include <string>

#include "ledger/postgres/postgres_ledger.h"

namespace trued::postgres {

/// As the server shows them.
struct Settings {
  std::string fsync;
  std::string full_page_writes;
  std::string synchronous_commit;
  std::string synchronous_standby_names;
  int streaming = -1;  ///< synchronous standbys that stream now; -1 = this role may not see it
};

/// Asked for with kReadSettings, one row, in their order.
extern const char* const kReadSettings;

[[nodiscard]] PostgresDurability durability_of(const Settings& settings);

}  // namespace trued::postgres
