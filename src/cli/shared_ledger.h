// shared_ledger.h: a server's place on a ledger that several nodes share: standing by, and acting.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/output.h"
#include "config/config.h"
#include "ledger/postgres/postgres_ledger.h"
#include "ledger/postgres/postgres_tenure.h"
#include "ledger/replicas.h"

namespace trued::cli {

[[nodiscard]] PostgresPlace place_of(const config::SharedLedger& shared);
/// "postgresql://user@host/db, schema trued": no password.
[[nodiscard]] std::string shown(const config::SharedLedger& shared);

/// Waits until this node may act on the ledger, saying once for whom it waits. `stop(pause)` waits
/// that long and is true if the wait is over; then nothing is given back and nothing is wrong.
/// Errors that may pass are logged and waited for; others are returned.
[[nodiscard]] Result<std::unique_ptr<PostgresTenure>> stand_by(
    const Common& common, const config::SharedLedger& shared,
    const std::function<bool(Duration)>& stop);

/// Opens it for the node that holds `tenure`, and says what its server promises.
[[nodiscard]] Result<std::unique_ptr<PostgresLedger>> open_shared(
    const config::SharedLedger& shared, const PostgresTenure& tenure);

/// Reads from its replicas; null where there are none.
[[nodiscard]] Result<std::unique_ptr<ReplicaReads>> open_replicas(
    const config::SharedLedger& shared);

}  // namespace trued::cli
