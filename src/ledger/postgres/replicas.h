// replicas.h: reads from standbys of the server that the ledger is on.
//
//   one thread a server:  asks every `look_every` where it stands: the primary for what staleness
//   is
//                         measured against, each replica for whether it can be used
//   a few threads:        carry out reads, each on a connection to one replica
//
// A replica is not used while it cannot be reached, takes writes itself, holds another ledger or
// none, or has tables that this program does not know; each such change is noticed once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/postgres/postgres_place.h"
#include "ledger/replicas.h"

namespace trued {

struct PostgresReplica {
  std::string name;
  PostgresPlace place;
};

struct PostgresReplicasOptions {
  PostgresPlace primary;
  std::vector<PostgresReplica> replicas;
  Duration call_max{1'000};  ///< how long a statement may take: somebody waits who can go elsewhere
  Duration look_every{500};  ///< and so how exact staleness is known
  Duration known_for{5'000};  ///< how long it is said how far a replica is behind what was seen
  unsigned threads = 4;
  std::size_t waiting_max = 1'000;  ///< reads; more are declined
  /// What an operator should know, and whether it is bad. Any thread.
  std::function<void(const std::string& what, bool bad)> notice = {};
};

/// Fails with `invalid_argument` for a URL that is none. Does not connect before it returns.
[[nodiscard]] Result<std::unique_ptr<ReplicaReads>> open_postgres_replicas(
    PostgresReplicasOptions options);

}  // namespace trued
