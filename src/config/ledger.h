// ledger.h: where the ledger is, as the file and the command line say it. Private to src/config and
// the composition roots.
#pragma once

#include <string>

#include "base/result.h"
#include "config/config.h"
#include "config/table.h"

namespace trued::config {

/// `ledger = "…"`, or the table [ledger] of a ledger on a server.
void read_ledger(Table& root, Faults& faults, Config& config);

/// The table [node].
void read_node(Table& root, Faults& faults, Config& config);

}  // namespace trued::config
