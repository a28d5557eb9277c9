// verification.h: what follows from an attempt's outcome and what was read back.
//
// Intuition: a status says what the writer believes; only the bytes say what is there. A mismatch
// is first *read* again, and answered with a rewrite only when reading again did not help and
// writing again is safe. What cannot be read is read again and never rewritten.
//
// This is the decision table of DESIGN section 3 as one pure function; one row, one test.
//
// Invariants
//   (1) confirm only on Overall::match, and only if verification is on.
//   (2) attempt_again never follows from Overall::unreadable.
//   (3) attempt_again needs `safe` and `attempts_remain`; else ask_person.
//   (4) superseded wins over every other answer to a mismatch.
//   (5) Where nothing can be read, a probe's yes is an acknowledgement, never a confirmation; its
//       no counts only after settling, and is what allows another attempt, or a failure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "core/operation.h"
#include "core/policy.h"

namespace trued {

/// Everything read back, taken together: any mismatch makes a mismatch, else any unreadable.
enum class Overall : std::uint8_t { match, mismatch, unreadable, nothing_to_read };

enum class Follow : std::uint8_t {
  confirm,
  acknowledge,  ///< verification was opted out of, or there is nothing to read
  read_again,
  attempt_again,
  supersede,
  fail,
  ask_person,
};

struct VerificationFacts {
  EffectKind effect = EffectKind::none;
  bool verify = true;
  Overall overall = Overall::unreadable;
  bool superseded = false;  ///< see proved_superseded()
  /// What the target says of the effect itself: nothing if it cannot be asked, `maybe` if it has
  /// not answered.
  std::optional<Happened> probed = {};
  bool may_read_again = false;   ///< the settling (or unreadable) bound is not reached
  bool safe = false;             ///< writing again can overwrite nobody and change nothing twice
  bool attempts_remain = false;  ///< within attempts_max and the deadline
};

[[nodiscard]] Follow decide_follow(const VerificationFacts& facts);

/// Combines the verdicts since the last attempt ended, over all artifacts and levels wanted.
[[nodiscard]] Overall overall_of(const Operation& operation);

/// Some artifact differs at the authoritative store.
[[nodiscard]] bool differs_at_store(const Operation& operation);

/// Every artifact is proved to have landed, and those that differ at the store to have been
/// replaced since by another writer.
[[nodiscard]] bool proved_superseded(const Operation& operation);

/// What the policy's target can do for the operation at `now`: one that forgets identities
/// deduplicates no attempt that could end later than it remembers the first.
[[nodiscard]] Capabilities capabilities_at(const Operation& operation, const Policy& policy,
                                           WallTime now);

/// Writing again changes nothing twice and overwrites nobody: invariant (6) of operation.h, judged
/// by the last round of reading. False while an artifact has no verdict at the store.
[[nodiscard]] bool safe_to_repeat(const Operation& operation, const Capabilities& capabilities);

/// True if every artifact stands at the store as it was last read, as it was before the first
/// attempt, or as meant: what a person saw who then said to try again. Of the first look since.
[[nodiscard]] bool still_as_shown(const Operation& operation,
                                  const std::vector<Observation>& reads);

/// "Did it happen?", as the target answered in the last round of reading; nothing if it cannot be
/// asked.
[[nodiscard]] std::optional<Happened> probed(const Operation& operation,
                                             const Capabilities& capabilities);

/// Why a retry of what was given up unsent must not write.
struct HeldBack {
  EffectKind kind = EffectKind::not_sent;  ///< rejected_final: changed; not_sent: not known
  std::string reason;
};

/// Compares what stands at the store `now` with what stood there when the operation was first
/// looked at, `then` (it may lack artifacts). Nothing if every artifact is as it was, or as meant.
[[nodiscard]] std::optional<HeldBack> held_back(const Intent& intent,
                                                const std::vector<Observation>& then,
                                                const std::vector<Observation>& now);

[[nodiscard]] std::string_view to_string(Overall overall);
[[nodiscard]] std::string_view to_string(Follow follow);

}  // namespace trued
