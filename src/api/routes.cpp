// The table of routes.
#include <array>

#include "api/impl.h"

namespace trued::api {

std::span<const Service::Impl::Route> Service::Impl::routes() {
  using enum Takes;
  constexpr Access kOpen = Access::open;
  constexpr Access kToken = Access::token;
  static constexpr std::array kRoutes{
      Route{"POST", "/v1/operations", kToken, json, "", &Impl::submit},
      Route{"GET", "/v1/operations", kToken, nothing,
            "type status state scope key target since until cursor limit", &Impl::list},
      Route{"POST", "/v1/operations/batch", kToken, ndjson, "", &Impl::batch},
      Route{"GET", "/v1/operations/{id}", kToken, nothing, "wait", &Impl::get},
      Route{"GET", "/v1/operations/{id}/events", kToken, nothing, "", &Impl::events},
      Route{"POST", "/v1/operations/{id}/resolve", kToken, json, "", &Impl::person},
      Route{"POST", "/v1/operations/{id}/retry", kToken, json_or_nothing, "", &Impl::person},
      Route{"POST", "/v1/operations/{id}/cancel", kToken, json_or_nothing, "", &Impl::person},
      Route{"GET", "/v1/status", kToken, nothing, "", &Impl::status},
      Route{"GET", "/healthz", kOpen, nothing, "", &Impl::health},
      Route{"GET", "/readyz", kOpen, nothing, "", &Impl::ready},
      Route{"GET", "/metrics", kToken, nothing, "", &Impl::metrics},
      Route{"GET", "/openapi.yaml", kOpen, nothing, "", &Impl::openapi},
      Route{"GET", "/", kOpen, nothing, "", &Impl::index},
  };
  return kRoutes;
}

std::vector<RouteName> Service::route_names() {
  std::vector<RouteName> names;
  for (const Impl::Route& route : Impl::routes()) names.push_back({route.method, route.pattern});
  return names;
}

}  // namespace trued::api
