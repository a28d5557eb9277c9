// The table of routes.
#include <array>

#include "api/impl.h"

namespace trued::api {

std::span<const Service::Impl::Route> Service::Impl::routes() {
  using enum Takes;
  constexpr Access kOpen = Access::open;
  constexpr Access kSubmit = Access::submit;
  constexpr Access kRead = Access::read;
  constexpr Access kResolve = Access::resolve;
  constexpr Access kWork = Access::work;
  constexpr Access kApply = Access::apply;
  constexpr Access kServer = Access::server;
  static constexpr std::array kRoutes{
      Route{"POST", "/v1/operations", kSubmit, json, "", &Impl::submit},
      Route{"GET", "/v1/operations", kRead, nothing,
            "type status state scope key target since until cursor limit", &Impl::list},
      Route{"POST", "/v1/operations/batch", kSubmit, ndjson, "", &Impl::batch},
      Route{"GET", "/v1/operations/{id}", kRead, nothing, "wait", &Impl::get},
      Route{"GET", "/v1/operations/{id}/events", kRead, nothing, "", &Impl::events},
      Route{"POST", "/v1/operations/{id}/resolve", kResolve, json, "", &Impl::person},
      Route{"POST", "/v1/operations/{id}/retry", kResolve, json_or_nothing, "", &Impl::person},
      Route{"POST", "/v1/operations/{id}/cancel", kResolve, json_or_nothing, "", &Impl::person},
      Route{"POST", "/v1/operations/{id}/compensate", kResolve, json_or_nothing, "", &Impl::person},
      Route{"GET", "/v1/dead-letters", kRead, nothing,
            "type target scope cause older_than poison cursor limit", &Impl::dead_letters},
      Route{"POST", "/v1/dead-letters/redrive", kResolve, json, "", &Impl::redrive},
      Route{"GET", "/v1/worklist", kRead, nothing, "type target scope owner overdue cursor limit",
            &Impl::worklist},
      Route{"POST", "/v1/definitions", kApply, json, "", &Impl::apply_definitions},
      Route{"GET", "/v1/definitions", kServer, nothing, "", &Impl::list_definitions},
      Route{"GET", "/v1/definitions/{id}", kServer, nothing, "", &Impl::show_definition},
      Route{"POST", "/v1/leases", kWork, json, "", &Impl::lease},
      Route{"POST", "/v1/leases/{id}/heartbeat", kWork, json, "", &Impl::heartbeat},
      Route{"POST", "/v1/leases/{id}/complete", kWork, json, "", &Impl::complete},
      Route{"GET", "/v1/status", kServer, nothing, "", &Impl::status},
      Route{"GET", "/v1/nodes", kServer, nothing, "", &Impl::nodes, true},
      Route{"GET", "/v1/nodes/history", kServer, nothing, "cursor limit", &Impl::node_history,
            true},
      Route{"GET", "/healthz", kOpen, nothing, "", &Impl::health, true},
      Route{"GET", "/readyz", kOpen, nothing, "", &Impl::ready, true},
      Route{"GET", "/metrics", kServer, nothing, "", &Impl::metrics, true},
      Route{"GET", "/openapi.yaml", kOpen, nothing, "", &Impl::openapi, true},
      Route{"GET", "/", kOpen, nothing, "", &Impl::index, true},
  };
  return kRoutes;
}

std::vector<RouteName> Service::route_names() {
  std::vector<RouteName> names;
  for (const Impl::Route& route : Impl::routes()) names.push_back({route.method, route.pattern});
  return names;
}

}  // namespace trued::api
