#include "api/service.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/impl.h"

namespace trued::api {
namespace {

constexpr std::size_t kBatchBytesMax = std::size_t{64} << 20;
constexpr Duration kWaitMax{60'000};

using Handler = void (Service::Impl::*)(Call);

struct Route {
  std::string_view method;
  std::string_view pattern;
  Handler handler;
};

// The one table: routing, 404 and 405, and the comparison with openapi.yaml come from it.
template <class Impl>
constexpr auto routes() {
  return std::array{
      Route{"POST", "/v1/operations", &Impl::submit},
      Route{"GET", "/v1/operations", &Impl::list},
      Route{"POST", "/v1/operations/batch", &Impl::batch},
      Route{"GET", "/v1/operations/{id}", &Impl::get},
      Route{"GET", "/v1/operations/{id}/events", &Impl::events},
      Route{"POST", "/v1/operations/{id}/resolve", &Impl::person},
      Route{"POST", "/v1/operations/{id}/retry", &Impl::person},
      Route{"POST", "/v1/operations/{id}/cancel", &Impl::person},
      Route{"GET", "/v1/status", &Impl::status},
      Route{"GET", "/healthz", &Impl::health},
      Route{"GET", "/readyz", &Impl::ready},
      Route{"GET", "/metrics", &Impl::metrics},
      Route{"GET", "/openapi.yaml", &Impl::openapi},
      Route{"GET", "/", &Impl::index},
  };
}

std::string_view next_segment(std::string_view& path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(end);
  return segment;
}

// Matches a pattern; `call` receives {id} and the last segment.
bool match(std::string_view pattern, std::string_view path, Call& call) {
  while (!pattern.empty() || !path.empty()) {
    const std::string_view wanted = next_segment(pattern);
    const std::string_view given = next_segment(path);
    if (wanted == "{id}" && !given.empty()) {
      call.id = given;
    } else if (wanted != given) {
      return false;
    }
    call.verb = given;
    if (pattern.empty() != path.empty()) return false;
  }
  return true;
}

void add_safety(io::HttpResponse& response) {
  response.headers.push_back({"X-Content-Type-Options", "nosniff"});
  response.headers.push_back({"Cache-Control", "no-store"});
}

}  // namespace

std::vector<RouteName> route_names() {
  std::vector<RouteName> names;
  for (const Route& route : routes<Service::Impl>()) names.push_back({route.method, route.pattern});
  return names;
}

std::size_t body_limit(std::string_view target, std::size_t single_bytes_max) {
  const bool batch = target.starts_with("/v1/operations/batch");
  return batch ? std::max(kBatchBytesMax, single_bytes_max) : single_bytes_max;
}

io::HttpResponse json_response(int status, std::string body) {
  io::HttpResponse response;
  response.status = status;
  response.headers.push_back({"Content-Type", "application/json"});
  response.body = std::move(body);
  add_safety(response);
  return response;
}

bool is_media_type(const io::HttpRequest& request, std::string_view wanted) {
  const std::string* type = request.find("Content-Type");
  if (type == nullptr || type->size() < wanted.size()) return false;
  const bool same = std::ranges::equal(
      std::string_view(*type).substr(0, wanted.size()), wanted, [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
      });
  return same && (type->size() == wanted.size() || (*type)[wanted.size()] == ';' ||
                  (*type)[wanted.size()] == ' ');
}

Wait preferred_wait(const io::HttpRequest& request) {
  std::string_view text;
  const std::string* header = request.find("Prefer");
  std::string from_query;
  if (header != nullptr) {
    const std::size_t at = header->find("wait=");
    if (at == std::string::npos) return {};
    text = std::string_view(*header).substr(at + 5);
  } else {
    for (auto& [name, value] : io::parse_query(request.query)) {
      if (name == "wait") from_query = value;
    }
    text = from_query;
  }
  std::int64_t seconds = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (failure != std::errc{} || seconds < 0) return {};
  constexpr std::int64_t kSecondsMax = kWaitMax.count() / 1'000;
  return {.span = std::chrono::seconds(std::min(seconds, kSecondsMax)), .asked = true};
}

Service::Impl::Impl(ServicePorts service_ports, ServiceOptions service_options)
    : ports(std::move(service_ports)),
      options(std::move(service_options)),
      auth(options.auth, ports.clock),
      started_at(ports.clock.wall()) {}

void Service::Impl::handle(io::HttpRequest&& request, io::Responder responder) {
  Call call{std::move(request), std::move(responder), {}, {}, {}};
  if (auto problem = auth.check(call.request, call.actor)) return call.fail(*problem);
  const bool head = call.request.method == "HEAD";
  const std::string_view method = head ? std::string_view("GET") : call.request.method;
  std::string allowed;
  for (const Route& route : routes<Impl>()) {
    if (!match(route.pattern, call.request.path, call)) continue;
    if (route.method == method) return (this->*route.handler)(std::move(call));
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  if (allowed.empty()) {
    return call.fail(
        {.name = "no-such-resource",
         .detail = "nothing is served at '" + call.request.path + "'; GET / lists what there is"});
  }
  io::HttpResponse response =
      respond({.name = "method-not-allowed", .detail = "this resource answers to " + allowed});
  response.headers.push_back({"Allow", allowed});
  call.answer(std::move(response));
}

void Service::Impl::on_pool(Call call, std::move_only_function<void(Call)> work) {
  auto shared = std::make_shared<Call>(std::move(call));
  const bool posted =
      ports.pool.try_post([self = shared_from_this(), shared, work = std::move(work)]() mutable {
        work(std::move(*shared));
      });
  if (posted) return;
  shared->fail({.name = "overloaded",
                .detail = "too many reads of the ledger are waiting; ask again in a moment",
                .retry_after = Duration{1'000}});
}

Service::Service(ServicePorts ports, ServiceOptions options)
    : impl_(std::make_shared<Impl>(std::move(ports), std::move(options))) {}

Service::~Service() = default;

void Service::handle(io::HttpRequest&& request, io::Responder responder) {
  impl_->handle(std::move(request), std::move(responder));
}

void Service::set_port(std::uint16_t port) { impl_->auth.set_port(port); }

}  // namespace trued::api
