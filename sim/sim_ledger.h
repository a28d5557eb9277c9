// sim_ledger.h: the ledger in memory, failing at every border a real one fails at. One thread.
//
// It outlives the engines, as a disk does, and takes the batches of one node at a time. A commit
// may be refused, end without anybody knowing whether it is in, or be the last thing the process
// does: then Crash is thrown through the engine, which is destroyed and begun anew.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ledger/durability.h"
#include "ledger/memory/memory_ledger.h"
#include "sim/auditor.h"

namespace trued::sim {

/// The process is gone. Not an error: nobody but the simulation may catch it.
struct Crash {};

/// What all nodes write to, and who may.
struct SharedLog {
  MemoryLedger ledger;
  std::uint64_t epoch = 0;  ///< of the last node that took it; 0 = nobody has
  std::uint64_t beat = 0;   ///< counts its renewals
  bool below = false;       ///< it promises less than its floor
  bool starting = false;    ///< somebody reads it as a whole; who cannot would not start
};

/// What a node knows of the log's promise, which is all of it.
class SimFloor final : public DurabilityFloor {
 public:
  explicit SimFloor(const SharedLog& log) : log_(log) {}
  std::string below() const override { return log_.below ? "simulated: no standby follows" : ""; }
  void look_again() override {}

 private:
  const SharedLog& log_;
};

/// The log as one node sees it.
class SimLedger final : public Ledger {
 public:
  SimLedger(SharedLog& log, Auditor& auditor, Trace& trace, Chance& chance, const Options& options,
            const bool& calm)
      : log_(log),
        auditor_(auditor),
        trace_(trace),
        chance_(chance),
        options_(options),
        calm_(calm) {}

  /// From now on what this node commits counts, and nobody else's.
  void take() { epoch_ = ++log_.epoch; }
  /// Nobody has taken it since.
  [[nodiscard]] bool current() const { return epoch_ == log_.epoch; }

  Result<std::vector<Known>> load(const std::vector<Identity>& identities) override;
  Result<std::vector<std::optional<Operation>>> load(const std::vector<OperationId>& ids) override;
  Result<void> each_open(const std::function<void(Operation&&)>& visit) override;
  CommitResult commit(const Batch& batch) override;
  CommitResult settle_unknown() override;
  Result<std::uint32_t> retire(WallTime now, std::uint32_t limit) override;
  Result<std::unique_ptr<LedgerReader>> open_reader() override { return log_.ledger.open_reader(); }
  std::string durability() const override { return "simulated"; }
  LedgerPosition newest() const override { return log_.ledger.newest(); }

  /// The process that had an open question is gone.
  void forget_question() { question_.reset(); }

 private:
  CommitResult apply(const Batch& batch);
  bool fails(std::uint32_t permille) { return !calm_ && chance_.in_thousand(permille); }

  SharedLog& log_;
  std::uint64_t epoch_ = 0;
  Auditor& auditor_;
  Trace& trace_;
  Chance& chance_;
  const Options& options_;
  const bool& calm_;
  std::optional<CommitOutcome> question_;  ///< what settle_unknown() will say in the end
};

}  // namespace trued::sim
