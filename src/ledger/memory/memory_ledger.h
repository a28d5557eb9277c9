// memory_ledger.h: a ledger that lives as long as the process: simulation, tests, embedding.
//
// Same semantics as the durable ones, with a switch that makes the next commits go wrong in every
// way a real one can. Threads: as the port says; readers take a lock per call.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "ledger/ledger.h"

namespace trued {

/// How a coming commit ends, for tests and simulation.
enum class CommitFault : std::uint8_t {
  none,
  rolled_back,
  unknown_applied,      ///< answers `unknown`, and the batch is in
  unknown_not_applied,  ///< answers `unknown`, and the batch is not in
  fenced,               ///< another node has taken over
};

class MemoryLedger final : public Ledger {
 public:
  MemoryLedger();
  ~MemoryLedger() override;

  /// Faults of the next commits, first come first used.
  /// After one of unknown outcome so many questions are answered `unknown` again.
  void inject(std::deque<CommitFault> faults, std::uint32_t unanswered = 0);
  /// Asked by readers before each intent: true, it cannot be read.
  void fail_intents(std::function<bool()> fails);

  Result<std::vector<Known>> load(const std::vector<Identity>& identities) override;
  Result<std::vector<std::optional<Operation>>> load(const std::vector<OperationId>& ids) override;
  Result<void> each_open(const std::function<void(Operation&&)>& visit) override;
  CommitResult commit(const Batch& batch) override;
  CommitResult settle_unknown() override;
  Result<std::uint32_t> retire(WallTime now, std::uint32_t limit) override;
  Result<std::unique_ptr<LedgerReader>> open_reader() override;
  std::string durability() const override { return "memory"; }
  LedgerPosition newest() const override;

  struct Store;

 private:
  std::shared_ptr<Store> store_;
  std::deque<CommitFault> faults_;
  std::uint32_t unanswered_ = 0;
  std::optional<CommitOutcome> unsettled_;
};

}  // namespace trued
