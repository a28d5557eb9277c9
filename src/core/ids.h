// ids.h: who an operation is.
//
// An operation has two names: its id, made by us when it is accepted (time-ordered, unique), and
// its identity (scope + type + key), given by the caller or derived from the input. One durable
// unique constraint on the identity decides whether a submission is new.
//
// Plain values; no I/O, no clock. Safe to copy between threads.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/strong_id.h"
#include "base/uuid.h"

namespace trued {

/// UUIDv7 (RFC 9562), written "op_" + 26 Crockford base32 characters; sorts by acceptance time.
using OperationId = StrongId<struct OperationIdTag, Uuid>;

/// SHA-256 of the canonical request (RFC 8785): tells a repeat from a conflict.
using Fingerprint = StrongId<struct FingerprintTag, Digest>;

/// 1 for the first attempt of an operation. Doubles as the fencing number: what an attempt with
/// an older number reports is evidence and never moves the state.
using AttemptNo = StrongId<struct AttemptNoTag, std::uint32_t>;

/// "op_…" text of the id.
[[nodiscard]] std::string to_string(const OperationId& id);

/// The id that `text` writes, or nothing when it is not exactly one ("op_" + base32).
[[nodiscard]] std::optional<OperationId> parse_operation_id(std::string_view text);

/// What makes two submissions the same operation. Scope is the tenant; keys are 1 to 255 visible
/// ASCII characters (checked by `valid_key`).
struct Identity {
  std::string scope;
  std::string type;
  std::string key;

  friend auto operator<=>(const Identity&, const Identity&) = default;
};

/// SHA-256 over the length-prefixed parts, so that no two identities share an encoding. The ledger
/// enforces uniqueness on it.
[[nodiscard]] Digest identity_digest(const Identity& identity);

/// What an operation is called at its target, as an `Idempotency-Key` for instance: the same for
/// one identity, whatever became of the ledger; another for every other. 32 hexadecimal digits.
[[nodiscard]] std::string effect_identity(const Identity& identity);

/// True for 1 to 255 visible ASCII characters (0x21 to 0x7e).
[[nodiscard]] bool valid_key(std::string_view key);

/// True for 1 to 64 characters of [A-Za-z0-9_.-]: scopes, types and target names.
[[nodiscard]] bool valid_name(std::string_view name);

}  // namespace trued
