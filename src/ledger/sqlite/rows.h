// rows.h: operations to and from the columns of the SQLite ledger. Private.
#pragma once

#include <string>

#include "base/result.h"
#include "core/operation.h"
#include "ledger/sqlite/connection.h"

namespace trued::sqlite {

/// The columns that read_operation() expects, in its order.
inline constexpr const char* kColumns =
    "id, state, created_at, scope, type, key, target, body, no, last";
inline constexpr int kColumnNo = 8;
inline constexpr int kColumnLast = 9;

/// Which rows are in the index `operation_attention`. A query that says so in these words uses it.
inline constexpr const char* kInAttention = "(state < 4 OR state BETWEEN 8 AND 10)";
inline constexpr const char* kIsOpen =
    "state IN (0, 1, 2, 3, 10) AND (state < 4 OR state BETWEEN 8 AND 10)";

/// From a statement that selected kColumns and stands on a row. `corrupt` if it cannot be read.
[[nodiscard]] Result<Operation> read_operation(Statement& statement);

[[nodiscard]] std::string_view id_blob(const OperationId& id);
/// The first 16 bytes of the identity's digest.
[[nodiscard]] std::string identity_blob(const Identity& identity);
/// When it may be retired; nothing while it is open or undecided.
[[nodiscard]] std::optional<WallTime> expiry_of(const Operation& operation);
[[nodiscard]] int state_number(State state);
[[nodiscard]] Result<State> state_from(std::int64_t number);
[[nodiscard]] std::optional<OperationId> id_from(std::string_view blob);

}  // namespace trued::sqlite
