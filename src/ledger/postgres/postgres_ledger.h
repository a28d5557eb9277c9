// postgres_ledger.h: the durable ledger on a PostgreSQL server (or several, with a failover).
//
//   PostgresTenure ──claim──► PostgresLedger ──commit: one statement──► head, record, operation, …
//
// A commit is one statement, and so one round trip, and conditional on the head of the ledger: on
// the claim (postgres_tenure.h), on the batch before, and on how often a doubt was settled. What is
// sent or carried out late, by a node that was overtaken or by this one, finds another head and
// writes nothing.
//
// A commit is conditional as well on the settings that decide on durability: under others than
// those that were last read it writes nothing, and what the server promises now is read first.
//
// A commit without an answer is `unknown`, and so is one that the server stopped waiting for its
// standbys for: it stands on the primary alone and would be gone with it. settle_unknown() moves
// the head by a commit of its own; when that one is through, all before it is, and what has not
// come by then never will.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ledger/ledger.h"
#include "ledger/postgres/postgres_place.h"
#include "ledger/postgres/postgres_tenure.h"

namespace trued {

struct PostgresOptions {
  PostgresPlace place;
  Claim claim;
  Duration call_max{10'000};      ///< how long a statement may take before it counts as unanswered
  std::size_t readers_max = 4;    ///< connections for reads
  std::uint32_t page_rows = 500;  ///< of what is streamed at start
};

class PostgresLedger final : public Ledger {
 public:
  /// Opens it for the holder of `claim`, bringing an older ledger forward. `conflict`: the claim
  /// does not hold (any more). `unsupported`: a newer program wrote it. `unavailable`, `timeout`,
  /// `permission_denied` as they say.
  [[nodiscard]] static Result<std::unique_ptr<PostgresLedger>> open(const PostgresOptions& options);
  ~PostgresLedger() override;

  Result<std::vector<Known>> load(const std::vector<Identity>& identities) override;
  Result<std::vector<std::optional<Operation>>> load(const std::vector<OperationId>& ids) override;
  Result<void> each_open(const std::function<void(Operation&&)>& visit) override;
  CommitResult commit(const Batch& batch) override;
  CommitResult settle_unknown() override;
  Result<std::uint32_t> retire(WallTime now, std::uint32_t limit) override;
  Result<std::unique_ptr<LedgerReader>> open_reader() override;
  /// The level of durability_now(), or of the last time that it could be read.
  std::string durability() const override;
  /// `unavailable` where a standby answers: what a primary promises is not known there.
  Result<Durability> durability_now() override;
  void on_durability(std::function<bool(const Durability&)> found) override;
  LedgerPosition newest() const override;

 private:
  class Impl;
  explicit PostgresLedger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// What asks the server of a ledger what it promises, on a connection of its own, in a few seconds
/// at most: for whoever does not act on the ledger. Any thread. Errors as durability_now().
[[nodiscard]] Result<std::function<Result<Durability>()>> postgres_durability(
    const PostgresPlace& place);

/// Called with how much is done of how much; for progress.
using PostgresProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// As audit_sqlite(), on one snapshot of the server, beside a running server.
[[nodiscard]] Result<AuditReport> audit_postgres(const PostgresPlace& place,
                                                 const PostgresProgress& progress);

}  // namespace trued
