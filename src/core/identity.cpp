#include "core/identity.h"

#include "base/assert.h"

namespace trued {

SubmitVerdict decide_submit(const Operation* known, const Tombstone* tombstone,
                            const Fingerprint& fingerprint) {
  TRUED_ASSERT(known == nullptr || tombstone == nullptr);
  if (known != nullptr) {
    if (known->fingerprint != fingerprint) return {SubmitDecision::conflict, false};
    if (!is_settled(known->state)) return {SubmitDecision::in_flight, false};
    const bool reexecute =
        known->state == State::failed && known->on_failure == OnFailure::reexecute;
    return {reexecute ? SubmitDecision::in_flight : SubmitDecision::duplicate, reexecute};
  }
  if (tombstone != nullptr) return {SubmitDecision::late, false};
  return {SubmitDecision::fresh, false};
}

}  // namespace trued
