#include "ledger/sqlite/rows.h"

#include <cstring>
#include <utility>

#include "ledger/codec.h"

namespace trued::sqlite {
namespace {

constexpr std::size_t kIdentityBytes = 16;
constexpr std::int64_t kStates = 13;

}  // namespace

std::string_view id_blob(const OperationId& id) {
  const auto& bytes = id.value().bytes;
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<OperationId> id_from(std::string_view blob) {
  Uuid uuid;
  if (blob.size() != uuid.bytes.size()) return std::nullopt;
  std::memcpy(uuid.bytes.data(), blob.data(), blob.size());
  return OperationId(uuid);
}

std::string identity_blob(const Identity& identity) {
  return std::string(blob_of(identity_digest(identity)).substr(0, kIdentityBytes));
}

std::optional<WallTime> expiry_of(const Operation& operation) {
  if (!operation.settled_at) return std::nullopt;
  return *operation.settled_at + operation.retention;
}

int state_number(State state) { return std::to_underlying(state); }

Result<State> state_from(std::int64_t number) {
  if (number < 0 || number >= kStates) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the ledger holds an unknown state, " + std::to_string(number)};
  }
  return static_cast<State>(number);
}

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
