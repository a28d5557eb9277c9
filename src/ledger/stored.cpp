#include "ledger/stored.h"

#include <cstring>
#include <utility>

#include "base/assert.h"

namespace trued {
namespace {

constexpr std::size_t kIdentityBytes = 16;
constexpr std::int64_t kStates = 13;
static_assert(kStates == std::to_underlying(State::canceled) + 1);
static_assert(kIdentityBytes <= sizeof(Digest::bytes));

// States in that index: few rows, whatever the size of the ledger.
bool in_attention_index(State state) {
  return !is_settled(state) || state == State::failed || state == State::needs_action;
}

}  // namespace

Digest Grave::bury_in(const Digest& tombs) const {
  return bury(tombs, record_digest(record, operation, tombstone.retired_at, mark()));
}

std::string state_condition(const ListQuery& query) {
  if (!query.state && !query.status) return "";
  std::string list;
  bool few = true;
  for (int i = 0; i <= state_number(State::canceled); ++i) {
    const auto state = static_cast<State>(i);
    if (query.state && *query.state != state) continue;
    if (query.status && *query.status != status_of(state)) continue;
    list += (list.empty() ? "" : ",") + std::to_string(i);
    few = few && in_attention_index(state);
  }
  // No state fits both: nothing does.
  if (list.empty()) list = "-1";
  return " AND state IN (" + list + ")" + (few ? std::string(" AND ") + kInAttention : "");
}

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

std::string_view blob_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

std::optional<Digest> digest_of(std::string_view blob) {
  Digest digest;
  if (blob.size() != digest.bytes.size()) return std::nullopt;
  std::memcpy(digest.bytes.data(), blob.data(), blob.size());
  return digest;
}

}  // namespace trued
