// durability.h: a server's watch over what its ledger promises, and what is said of it.
#pragma once

#include <memory>

#include "base/clock.h"
#include "config/config.h"
#include "ledger/durability_watch.h"
#include "ledger/ledger.h"

namespace trued::cli {

/// Asks `ledger` once before it returns and every few seconds from then on, and logs every change.
/// `ledger` and `clock` outlive it; nothing was committed to the ledger yet.
[[nodiscard]] std::unique_ptr<DurabilityWatch> watch_durability(Ledger& ledger,
                                                                const config::Config& config,
                                                                Clock& clock);

}  // namespace trued::cli
