#include "ledger/sqlite/rows.h"

#include "ledger/codec.h"

namespace trued::sqlite {

Result<Operation> read_operation(Statement& statement) {
  Operation operation;
  const auto id = id_from(statement.bytes(0));
  if (!id) {
    return Error{.code = ErrorCode::corrupt, .message = "the ledger holds a malformed id"};
  }
  operation.id = *id;
  TRUED_TRY(operation.state, state_from(statement.integer(1)));
  operation.created_at = statement.moment(2);
  operation.identity = {statement.text(3), statement.text(4), statement.text(5)};
  operation.target = statement.text(6);
  TRUED_TRY_VOID(decode_row(statement.bytes(7), operation));
  return operation;
}

}  // namespace trued::sqlite
