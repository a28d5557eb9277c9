// audit.h: the audit of tables, whether they are a ledger already or an unfinished copy. Private.
#pragma once

#include "base/result.h"
#include "ledger/postgres/link.h"
#include "ledger/postgres/postgres_ledger.h"

namespace trued::postgres {

/// As audit_postgres(), on a link that is connected and in no transaction; `version` is for the
/// report.
[[nodiscard]] Result<AuditReport> audit_tables(Link& link, int version,
                                               const PostgresProgress& progress);

}  // namespace trued::postgres
