// postgres_copy.h: a ledger on a PostgreSQL server as what is copied, and as what a copy becomes
// (ledger/copy.h).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/copy.h"
#include "ledger/postgres/postgres_place.h"

namespace trued {

/// Writes nothing. `already_exists`: a server acts on it. One that neither acts nor gave it back
/// has to be silent for its lease first; `notice` is told how long that takes. Otherwise as
/// audit_postgres().
[[nodiscard]] Result<std::unique_ptr<CopySource>> open_postgres_source(
    const PostgresPlace& place, const std::function<void(const std::string&)>& notice);

[[nodiscard]] Result<std::unique_ptr<CopyDestination>> open_postgres_destination(
    const PostgresPlace& place);

}  // namespace trued
