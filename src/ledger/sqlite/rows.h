// rows.h: operations to and from the columns of the SQLite ledger. Private.
#pragma once

#include <string>

#include "base/result.h"
#include "core/operation.h"
#include "ledger/sqlite/connection.h"
#include "ledger/stored.h"

namespace trued::sqlite {

/// The columns that read_operation() expects, in its order.
inline constexpr const char* kColumns =
    "id, state, created_at, scope, type, key, target, body, no, last";
inline constexpr int kColumnNo = 8;
inline constexpr int kColumnLast = 9;

/// From a statement that selected kColumns and stands on a row. `corrupt` if it cannot be read.
[[nodiscard]] Result<Operation> read_operation(Statement& statement);

}  // namespace trued::sqlite
