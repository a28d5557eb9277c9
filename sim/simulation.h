// simulation.h: one world from one seed: the real engine and core over simulated time, storage,
// targets, clients and persons.
//
// Safety phase: faults happen. Liveness phase: they stop, and everything must come to rest. Nothing
// in it knows of real time, threads or addresses, so a seed is a whole world: the same binary gives
// the same trace.
#pragma once

#include <cstdint>
#include <string>

#include "sim/auditor.h"
#include "sim/options.h"

namespace trued::sim {

struct Outcome {
  std::uint64_t seed = 0;
  std::string violation;  ///< the first thing that must never happen; empty = none
  Digest digest{};        ///< of the whole trace
  std::uint64_t lines = 0;
  std::uint64_t operations = 0;  ///< accepted
  std::uint64_t calls = 0;       ///< submissions of clients: new, repeated, in conflict, refused
  std::string trace;             ///< if it was asked for
};

/// Runs one world. `coverage` is added to.
[[nodiscard]] Outcome simulate(const Options& options, bool keep_trace, Coverage& coverage);

/// Takes faults away as long as the same world without them still fails: the options left are those
/// that matter. REQUIRES: simulate(options) fails.
[[nodiscard]] Options minimize(Options options);

}  // namespace trued::sim
