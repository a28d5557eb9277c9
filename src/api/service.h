// service.h: the HTTP API on an engine (docs/openapi.yaml).
//
//   request ─► Host, Origin, token ─► route ─► media type, parameters ─► handler ─► answer
//
// Invariants
//   (1) A request that is refused leaves engine and ledger as they were.
//   (2) handle() never blocks: submissions are posted to the engine, reads of the ledger go to the
//       pool, which refuses when it is full.
//   (3) Every request is answered exactly once.
//   (4) Without an engine it answers by itself only what needs none; the rest is forwarded, once
//       the caller has shown that he may ask.
//
// Threads: handle() on the loop's thread, the rest from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth.h"
#include "api/forwarder.h"
#include "base/clock.h"
#include "config/care.h"
#include "define/registry.h"
#include "engine/engine.h"
#include "io/blocking_pool.h"
#include "io/http_server.h"
#include "ledger/durability_watch.h"
#include "ledger/ledger.h"
#include "ledger/nodes.h"
#include "ledger/replicas.h"
#include "target/target.h"

namespace trued::api {

struct ServiceOptions {
  AuthOptions auth;
  std::string version;
  std::string durability;  ///< Ledger::durability(), where nobody watches it (ServicePorts)
  std::size_t batch_lines_max = 10'000;
  std::size_t batch_line_bytes_max = std::size_t{16} << 20;
  /// Submissions of one batch that the engine has at a time: enough for it to commit them in few
  /// rounds, and a bound on what one batch takes from others.
  std::size_t batch_in_flight_max = 2'000;
  config::Cares cares = {};  ///< who looks after what went wrong at which target
  std::string node = {};     ///< our name among those that serve the ledger
  /// What reads of the ledger itself are told to be of: "file", "primary".
  std::string source = "ledger";
  Duration replica_wait{250};  ///< for a replica that has not come so far as a session
};

/// What the service works on; all of it outlives the service, its requests, and the pool's work.
struct ServicePorts {
  Engine* engine = nullptr;  ///< null: this node stands by; `forwarder` is there instead
  const Targets& targets;
  Clock& clock;
  io::BlockingPool& pool;
  std::unique_ptr<LedgerReader> reader;  ///< its own; used on the pool only; null while standing by
  define::Registry* types = nullptr;     ///< null: only `write`
  std::shared_ptr<Forwarder> forwarder = {};  ///< of a node that stands by
  Nodes* nodes = nullptr;                     ///< who else serves the ledger; null: nobody
  /// Null: the ledger never promises anything else than ServiceOptions::durability.
  const DurabilityWatch* durability = nullptr;
  ReplicaReads* replicas = nullptr;  ///< null: everything is read from the ledger itself
};

/// Method and path pattern of a route, for the test that holds them to openapi.yaml.
struct RouteName {
  std::string_view method;
  std::string_view pattern;  ///< "/v1/operations/{id}"
};

/// What the node that acts holds, for the other nodes to see: a JSON object.
[[nodiscard]] std::string holdings(const EngineStats& stats);

/// Bytes a request body may have: batches may be longer than single submissions.
[[nodiscard]] std::size_t body_limit(std::string_view target, std::size_t single_bytes_max);

class Service {
 public:
  Service(ServicePorts ports, ServiceOptions options);
  ~Service();

  /// Answers the request: now, or from another thread later.
  void handle(io::HttpRequest&& request, io::Responder responder);
  /// The port became known after construction (port 0).
  void set_port(std::uint16_t port);

  [[nodiscard]] static std::vector<RouteName> route_names();

  class Impl;  ///< for src/api only

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace trued::api
