#include "ledger/postgres/rows.h"

#include <utility>

#include "ledger/codec.h"

namespace trued::postgres {
namespace {

Error malformed(const char* what) {
  return {.code = ErrorCode::corrupt,
          .message = std::string("the ledger holds a malformed ") + what};
}

}  // namespace

Result<Stored> read_stored(Fields& row) {
  Stored stored;
  stored.no = row.number();
  stored.last = row.number();
  const auto id = id_from(row.bytes());
  const std::int64_t state = row.integer();
  Operation& operation = stored.operation;
  operation.created_at = row.moment();
  operation.identity.scope = row.bytes();
  operation.identity.type = row.bytes();
  operation.identity.key = row.bytes();
  operation.target = row.bytes();
  const std::string body = row.bytes();
  TRUED_TRY_VOID(row.check());
  if (!id) return malformed("id");
  operation.id = *id;
  TRUED_TRY(operation.state, state_from(state));
  TRUED_TRY_VOID(decode_row(body, operation));
  return stored;
}

Result<Grave> read_grave(Fields& row) {
  const auto id = id_from(row.bytes());
  const auto fingerprint = digest_of(row.bytes());
  const std::int64_t state = row.integer();
  Grave grave;
  grave.tombstone.settled_at = row.moment();
  grave.tombstone.retired_at = row.moment();
  grave.operation = row.number();
  grave.record = row.number();
  grave.identity = row.bytes();
  TRUED_TRY_VOID(row.check());
  if (!id || !fingerprint) return malformed("tombstone");
  grave.tombstone.id = *id;
  grave.tombstone.fingerprint = Fingerprint(*fingerprint);
  TRUED_TRY(grave.tombstone.state, state_from(state));
  return grave;
}

Result<Ends> read_ends(Fields& row) {
  Ends ends;
  ends.batch = row.number();
  ends.sequence = row.number();
  ends.operation = row.number();
  const auto hash = digest_of(row.bytes());
  TRUED_TRY_VOID(row.check());
  if (!hash) return malformed("head");
  ends.hash = *hash;
  return ends;
}

Result<LogBase> read_base(Fields& row) {
  LogBase base;
  base.batch = row.number();
  base.sequence = row.number();
  const auto hash = digest_of(row.bytes());
  const auto tombs = digest_of(row.bytes());
  TRUED_TRY_VOID(row.check());
  if (!hash || !tombs) return malformed("base");
  base.hash = *hash;
  base.tombs = *tombs;
  return base;
}

}  // namespace trued::postgres
