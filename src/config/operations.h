// operations.h: reads [operation.NAME] tables. Private to src/config.
#pragma once

#include <string>

#include <toml++/toml.h>

#include "config/config.h"
#include "config/table.h"

namespace trued::config {

/// Adds the operations of `tables` to `loaded`, with what is wrong with them in themselves, and
/// where everything of them stands.
void read_operations(const toml::table& tables, Faults& faults, Loaded& loaded);

}  // namespace trued::config
