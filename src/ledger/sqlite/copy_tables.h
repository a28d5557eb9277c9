// copy_tables.h: the tables of a file as ledger/copy.h has them. Private.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/copy.h"
#include "ledger/sqlite/connection.h"

namespace trued::sqlite {

[[nodiscard]] Result<std::vector<CopyRow>> read_rows(Connection& connection, const CopyTable& table,
                                                     std::uint64_t after, const CopyPage& page);
[[nodiscard]] Result<std::array<std::uint64_t, kCopyTables>> count_rows(Connection& connection);
/// Of the schema that the file has.
[[nodiscard]] Result<LedgerFrame> read_frame(Connection& connection, int version);

}  // namespace trued::sqlite
