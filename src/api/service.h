// service.h: the HTTP API on an engine (docs/openapi.yaml).
//
// handle() runs on the loop's thread and never blocks it: submissions are posted to the engine,
// reads of the ledger go to a pool. Outlives every request it was given.
#pragma once

#include <memory>
#include <string>

#include "api/auth.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "io/blocking_pool.h"
#include "io/http_server.h"
#include "ledger/ledger.h"
#include "target/target.h"

namespace trued::api {

struct ServiceOptions {
  AuthOptions auth;
  std::string version;
  std::string durability;  ///< Ledger::durability()
  std::size_t batch_lines_max = 10'000;
};

struct ServicePorts {
  Engine& engine;
  const Targets& targets;
  Clock& clock;
  io::BlockingPool& pool;
  std::unique_ptr<LedgerReader> reader;
};

/// Method and path pattern of every route, for the test that holds them to openapi.yaml.
struct RouteName {
  std::string_view method;
  std::string_view pattern;  ///< "/v1/operations/{id}"
};
[[nodiscard]] std::vector<RouteName> route_names();

/// Bytes a request body may have: batches may be longer than single submissions.
[[nodiscard]] std::size_t body_limit(std::string_view target, std::size_t single_bytes_max);

class Service {
 public:
  Service(ServicePorts ports, ServiceOptions options);
  ~Service();

  void handle(io::HttpRequest&& request, io::Responder responder);
  /// The port became known after construction (port 0).
  void set_port(std::uint16_t port);

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace trued::api
