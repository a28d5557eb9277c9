// policy.h: the bounds within which an operation is carried out, and what a target can prove.
//
// Plain values that come from configuration. Every loop of the core is bounded by a number here.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "core/gate_policy.h"

namespace trued {

/// Attempts of the effect. Backoff is exponential with full jitter (AWS Architecture Blog,
/// "Exponential Backoff and Jitter"): uniform in [0, min(cap, first * factor^(n-1))].
struct RetryPolicy {
  std::uint32_t attempts_max =
      5;  ///< attempts that may have reached the target, the first included
  Duration first{200};
  std::uint32_t factor = 2;
  Duration cap{10'000};
};

/// How long a read that differs (or cannot be made) is read again before it counts.
struct SettlePolicy {
  Duration within{5'000};       ///< measured from the end of the effect
  std::uint32_t reads_max = 5;  ///< reads of one attempt, the first included
  Duration first{50};  ///< wait before the second read; doubles up to cap, no jitter below half
  Duration cap{2'000};
};

/// What a repeat of a failed operation does; declared, never implied.
enum class OnFailure : std::uint8_t { replay, reexecute, poison };

/// What a connector can prove; the core uses just that.
struct Capabilities {
  bool idempotent = true;     ///< repeating the effect with the same content is harmless (put)
  bool deduplicates = false;  ///< the target itself drops a repeat of our identity
  bool history = false;       ///< `history()` can prove that ours landed and who came after
  bool dated = false;   ///< `history()` can tell that something was not changed since some time
  bool probes = false;  ///< `history()` can prove that ours did not and will not happen
};

/// Everything the core needs to know about how one operation is to be carried out.
struct Policy {
  RetryPolicy retry;
  SettlePolicy store;               ///< mismatch at the authoritative store
  SettlePolicy serving;             ///< mismatch at the serving level
  SettlePolicy unreadable;          ///< could-not-check at either level
  bool has_serving = false;         ///< a second level is checked
  bool verify = true;               ///< false is a visible, recorded choice: never `confirmed`
  Duration effect_timeout{30'000};  ///< for the effect alone
  /// An attempt that has not reported after twice that time and this is unknown: for targets whose
  /// reads may take longer than their effects.
  Duration report_slack{0};
  /// Where workers carry attempts out: how long one may be silent before its attempt is unknown.
  /// 0: nobody else carries them out.
  Duration lease{0};
  Duration deadline{15 * 60'000};      ///< from acceptance; nothing is attempted after it
  Duration retention{24 * 3'600'000};  ///< the answer is kept this long after the operation settled
  OnFailure on_failure = OnFailure::replay;
  Capabilities capabilities;
  bool compensable = false;  ///< its definition declares what undoes it
  /// For how long the target remembers an identity that it deduplicates by; 0: no known end.
  Duration remembers{0};
  /// No artifact of it is read at its target: its rounds of reading ask others.
  bool reads_elsewhere = false;
  bool irreversible = false;  ///< nobody who has not looked at it may have it done again
  GatePolicy gates;           ///< what the target is spared; the same for all that is done there
};

}  // namespace trued
