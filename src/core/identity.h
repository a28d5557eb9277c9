// identity.h: decides what a submission is: new, a duplicate, in flight, a conflict, or late.
//
// Intuition: the key names the intent, the fingerprint guards it. Whatever is known under the
// identity decides; the unique constraint of the ledger makes the decision hold under races.
//
//   nothing known ───────────────────────────► new
//   known, same fingerprint, settled ────────► duplicate    (stored receipt, nothing executed)
//   known, same fingerprint, not settled ────► in_flight    (same operation, nothing executed)
//   known, other fingerprint ────────────────► conflict     (nothing executed)
//   tombstone (past retention) ──────────────► late         (nothing executed)
//
// Invariants
//   (1) Only `new` may lead to an effect; the one exception is a failed operation whose definition
//       says `reexecute`, and then under the same operation.
//   (2) `conflict` before `duplicate`: the fingerprint is compared first.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/ids.h"
#include "core/operation.h"

namespace trued {

enum class SubmitDecision : std::uint8_t { fresh, duplicate, in_flight, conflict, late };

/// An identity whose operation is past retention.
struct Tombstone {
  OperationId id;
  Fingerprint fingerprint;
  State state = State::failed;  ///< how it ended
  WallTime settled_at{};
  WallTime retired_at{};
};

struct SubmitVerdict {
  SubmitDecision decision = SubmitDecision::fresh;
  bool reexecute = false;  ///< duplicate of a failed operation that is declared to run again
};

/// `known` and `tombstone` are what the ledger holds under the identity (at most one of them).
[[nodiscard]] SubmitVerdict decide_submit(const Operation* known, const Tombstone* tombstone,
                                          const Fingerprint& fingerprint);

/// "new", "duplicate", "in_flight", "conflict", "late".
[[nodiscard]] std::string_view to_string(SubmitDecision decision);
[[nodiscard]] std::optional<SubmitDecision> parse_submit_decision(std::string_view text);

}  // namespace trued
