// options.h: what one simulated world is like, drawn from its seed (swarm testing, Groce et al.,
// ISSTA 2012): each seed leaves some faults out, so that the others get room.
#pragma once

#include <cstdint>
#include <string>

#include "core/policy.h"
#include "engine/engine.h"

namespace trued::sim {

/// Chances are in thousandths.
struct Options {
  std::uint64_t seed = 0;
  Duration safety_phase{20'000};  ///< with faults; then they stop and everything must come to rest

  std::uint32_t clients = 3;
  std::uint32_t keys = 20;  ///< small, so that they meet
  std::uint32_t paths = 6;
  std::uint32_t artifacts_max = 2;
  Duration think{400};       ///< between two acts of a client, on average
  Duration patience{3'000};  ///< then a client sends again under the same key
  std::uint32_t wrong_payload = 0;
  std::uint32_t unverified = 0;
  std::uint32_t declared = 0;  ///< of a type that says what undoes it
  /// What a person decides is about something that was to be undone. Then half of what undoes
  /// something writes elsewhere, so that the turns of artifacts do not keep the two apart.
  std::uint32_t undoing = 0;

  std::uint32_t targets = 1;
  std::uint32_t with_history = 500;  ///< of a target
  std::uint32_t with_serving = 300;  ///< of a target

  // What a call of a target comes to, instead of the truth.
  std::uint32_t lost_before = 0;  ///< no answer, nothing happened
  std::uint32_t lost_after = 0;   ///< no answer, and it happened
  std::uint32_t rejected = 0;
  std::uint32_t refused = 0;  ///< for good
  std::uint32_t not_sent = 0;
  std::uint32_t thrown = 0;
  std::uint32_t lies = 0;
  std::uint32_t hangs = 0;  ///< longer than an attempt may take
  std::uint32_t unreadable = 0;
  std::uint32_t stale_reads = 0;
  Duration outage_every{0};     ///< of one target as a whole, on average; 0 = never
  Duration outage_span{0};      ///< at most
  std::uint32_t outsiders = 0;  ///< another writer comes between any two calls

  // Storage of the ledger.
  std::uint32_t commit_rolled_back = 0;
  std::uint32_t commit_unknown = 0;
  std::uint32_t commit_crash = 0;  ///< before or after it
  std::uint32_t load_fails = 0;

  // Several processes share the ledger; one of them acts.
  std::uint32_t nodes = 1;
  Duration node_lease{0};
  std::uint32_t renewal_lost = 0;
  Duration stall_every{0};  ///< of one of them; 0 = never
  Duration stall_span{0};   ///< at most

  Duration floor_every{0};  ///< the ledger promises too little, on average; 0 = never
  Duration floor_span{0};   ///< at most

  std::uint32_t buggify = 0;  ///< at each site of the engine's that asks

  Duration crash_every{0};   ///< on average; 0 = never
  Duration jump_every{0};    ///< of the wall clock; 0 = never
  Duration person_every{0};  ///< 0 = nobody decides anything

  // Effects that workers carry out (sim_workers.h). The wall clock does not jump then: a lease is
  // measured by it here, and by the worker's own clock there.
  std::uint32_t with_workers = 0;  ///< of a target
  std::uint32_t workers = 1;
  Duration lease{0};
  std::uint32_t worker_dies = 0;    ///< while it waits, before its effect, after it
  std::uint32_t worker_stalls = 0;  ///< beyond its lease; says late what came of it

  Policy policy;
  EngineOptions engine;
};

[[nodiscard]] Options draw_options(std::uint64_t seed);
/// One option a line.
[[nodiscard]] std::string to_string(const Options& options);

}  // namespace trued::sim
