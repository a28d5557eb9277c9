// gate_auditor.h: holds what is sent to a target against what it is to be spared. Shares no
// decision with the engine: it sees what the ledger committed and what the targets were asked.
//
//   (8) a target that is down is left alone: retries keep to the budget, and once as many
//   operations
//       in a row got no answer as open the breaker, only probes come through.
//
// The bounds, from the definitions of the budget and the breaker and loose where time is:
//   retries of one life of the process, in cost <= 2 * ratio * first attempts
//                                                  + floor * 10 s * windows begun
//     (a window of ten seconds pays with its own first attempts and those of the one before)
//   attempts that began after the breaker must have opened <= kProbes * pauses that fit in since
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "core/operation.h"
#include "sim/agenda.h"

namespace trued::sim {

class GateAuditor {
 public:
  GateAuditor(Trace& trace, const Options& options) : trace_(trace), options_(options) {}

  /// The ledger, each before `row` takes the event in.
  void on_started(const Operation& row);
  void on_ended(const Operation& row, const EffectEnded& ended);
  void on_read_back(const Operation& row, const ReadBack& read);
  void on_asked_by_person(const Operation& row) { ++targets_[row.target].first; }
  void on_settled(const Operation& row, const Settled& event, WallTime at);

  /// An effect has begun at a target.
  void on_perform(const Operation& row, AttemptNo attempt);
  void on_outage(const std::string& target, bool down);
  void on_takeover();

 private:
  struct Attempt {
    std::uint32_t number = 0;
    Duration began{};
    bool asked_while_down = false;
    bool called = false;      ///< it was carried out, as far as that goes
    std::uint64_t price = 0;  ///< if it is a retry
  };
  struct Target {
    bool down = false;
    std::set<OperationId> in_a_row;  ///< that got no answer during this outage
    bool open = false;               ///< as many as open the breaker
    Duration open_since{};
    std::uint64_t through = 0;  ///< attempts that reached it since then
    std::uint64_t first = 0;    ///< attempts in this life of the process
    std::uint64_t cost = 0;     ///< of retries that reached it
  };

  void forget_row(Target& target);
  void check_budget(const Operation& row, const Target& target);
  /// Every batch that the engine sends is one that the auditor sees.
  [[nodiscard]] bool all_seen() const;

  Trace& trace_;
  const Options& options_;
  Duration life_began_{0};
  std::map<std::string, Target> targets_;
  std::map<OperationId, Attempt> attempts_;  ///< the newest of each
  std::set<OperationId> called_;             ///< that have reached their target
};

}  // namespace trued::sim
