// tenure.h: which of several nodes acts on a ledger that they share.
//
//   candidate ──the last holder was silent for a lease──► holder of epoch n + 1 ──► …
//       ▲                                                      │
//       └──── another one took over: its commits are fenced ───┘
//
// Two guards, since neither is enough. The epoch: every commit is conditional on it, so what a node
// decides that was overtaken never reaches the ledger. The lease: no effect begins after its end,
// so what was decided before and carried out late does not meet what the next holder does. The
// holder counts its lease from before it asked for it, the others from when they last saw it
// renewed, each by its own monotonic clock; what remains is the time from the look at the lease to
// the effect, and clocks that differ by more than the margin (Gray and Cheriton, SOSP 1989).
//
// Threads: any.
#pragma once

#include <chrono>

namespace trued {

class Tenure {
 public:
  virtual ~Tenure() = default;
  /// True if this node may begin an effect now: nobody else can be acting yet.
  [[nodiscard]] virtual bool holds() const = 0;
};

}  // namespace trued
