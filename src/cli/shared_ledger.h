// shared_ledger.h: a server's place on a ledger that several nodes share: standing by, and acting.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/forwarder.h"
#include "base/result.h"
#include "cli/output.h"
#include "config/config.h"
#include "ledger/durability_watch.h"
#include "ledger/postgres/postgres_ledger.h"
#include "ledger/postgres/postgres_nodes.h"
#include "ledger/postgres/postgres_tenure.h"
#include "ledger/replicas.h"

namespace trued::cli {

[[nodiscard]] PostgresPlace place_of(const config::SharedLedger& shared);
/// "postgresql://user@host/db, schema trued": no password.
[[nodiscard]] std::string shown(const config::SharedLedger& shared);

/// Who we are among the nodes: as configured, or by the host and the port that we listen at.
/// `advertise` is empty where the others have no way to reach us.
[[nodiscard]] config::NodeSpec node_of(const config::Config& config, std::uint16_t port);

/// What this node knows of who acts on the ledger. Any thread.
class Sighting {
 public:
  explicit Sighting(config::NodeSpec own) : own_(std::move(own)) {}
  [[nodiscard]] const config::NodeSpec& own() const { return own_; }
  void saw(const Holder& holder);
  /// Nothing: nobody, or this node itself, or one from before it was started anew.
  [[nodiscard]] std::optional<api::Acting> acting() const;

 private:
  const config::NodeSpec own_;
  mutable std::mutex mutex_;
  std::optional<api::Acting> acting_;
};

struct Standby {
  const Common& common;
  const config::SharedLedger& shared;
  Sighting& sighting;
  /// Waits that long, or until there is something to look at; true if the wait is over.
  std::function<bool(Duration)> stop;
  /// The tables are there.
  std::function<Result<void>()> opened;
};
/// Waits until this node may act on the ledger, saying for whom it waits. Where it is stopped
/// meanwhile nothing is wrong and what is returned holds nothing. Errors that may pass are logged
/// and waited for; others are returned.
[[nodiscard]] Result<std::unique_ptr<PostgresTenure>> stand_by(const Standby& standby);

/// Opens it for the node that holds `tenure`.
[[nodiscard]] Result<std::unique_ptr<PostgresLedger>> open_shared(
    const config::SharedLedger& shared, const PostgresTenure& tenure);

/// Reads from its replicas; null where there are none.
[[nodiscard]] Result<std::unique_ptr<ReplicaReads>> open_replicas(
    const config::SharedLedger& shared);

/// Asks the server every few seconds what it promises, without a word: for receipts of a node that
/// stands by. `clock` outlives it.
[[nodiscard]] Result<std::unique_ptr<DurabilityWatch>> watch_promises(
    const config::SharedLedger& shared, Clock& clock);

}  // namespace trued::cli
