// copy_tables.h: the tables of a schema as ledger/copy.h has them. Private.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/copy.h"
#include "ledger/postgres/link.h"

namespace trued::postgres {

/// How long a statement of a copy may take.
inline constexpr Duration kCopyPatience{10 * 60'000};

/// Connects where it must, and only outside of a transaction.
[[nodiscard]] Result<pg::Rows> ask(Link& link, std::string_view text,
                                   const pg::Parameters& parameters = {});
[[nodiscard]] Result<std::vector<CopyRow>> read_rows(Link& link, const CopyTable& table,
                                                     std::uint64_t after, const CopyPage& page);
[[nodiscard]] Result<std::array<std::uint64_t, kCopyTables>> count_rows(Link& link);
[[nodiscard]] Result<LedgerFrame> read_frame(Link& link);
/// Of the tables themselves, whatever host or database name leads to them.
[[nodiscard]] Result<std::string> read_identity(Link& link);

}  // namespace trued::postgres
