#include "api/service.h"

#include <algorithm>
#include <exception>

#include "api/impl.h"
#include "api/text.h"
#include "base/assert.h"
#include "json/parse.h"

namespace trued::api {
namespace {

constexpr std::size_t kBatchBytesMax = std::size_t{64} << 20;

std::string_view next_segment(std::string_view& path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(end);
  return segment;
}

// `call` receives {id} and the last segment.
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

bool is_media_type(const io::HttpRequest& request, std::string_view wanted) {
  const std::string* type = request.find("Content-Type");
  if (type == nullptr || type->size() < wanted.size()) return false;
  const bool same = is_word(std::string_view(*type).substr(0, wanted.size()), wanted);
  return same && (type->size() == wanted.size() || (*type)[wanted.size()] == ';' ||
                  (*type)[wanted.size()] == ' ');
}

std::optional<Problem> check_coding(const io::HttpRequest& request) {
  const std::string* coding = request.find("Content-Encoding");
  if (coding == nullptr || coding->empty() || is_word(*coding, "identity")) return std::nullopt;
  return Problem{.name = "unsupported-media-type",
                 .detail = "the body comes with Content-Encoding: " + shown(*coding) +
                           "; bodies are taken as they are (identity) only. Send it without"};
}

std::optional<Problem> check_body(const io::HttpRequest& request, Takes takes) {
  constexpr std::string_view kJson = "application/json";
  constexpr std::string_view kLines = "application/x-ndjson";
  const auto wants = [&](std::string_view type) -> std::optional<Problem> {
    if (is_media_type(request, type)) return check_coding(request);
    return Problem{.name = "unsupported-media-type",
                   .detail = "send the body with Content-Type: " + std::string(type)};
  };
  switch (takes) {
    case Takes::nothing:
      return std::nullopt;
    case Takes::json:
      return wants(kJson);
    case Takes::json_or_nothing:
      return request.body.empty() ? std::nullopt : wants(kJson);
    case Takes::ndjson:
      return wants(kLines);
  }
  return std::nullopt;
}

// Every parameter is one of `known` (separated by blanks), and given once.
std::optional<Problem> check_parameters(const io::HttpRequest& request, std::string_view known) {
  if (request.query.empty()) return std::nullopt;
  if (const auto fault = io::find_query_fault(request.query)) {
    return malformed("the parameter '" + shown(fault->parameter) +
                     (fault->wrong == io::QueryWrong::escape
                          ? "' has a '%' that two hexadecimal digits do not follow; a '%' itself "
                            "is written '%25'"
                          : "' is not valid UTF-8 once its '%' escapes are decoded"));
  }
  std::vector<std::string> seen;
  for (auto& [name, value] : io::parse_query(request.query)) {
    if (std::ranges::find(seen, name) != seen.end()) {
      return malformed("the parameter '" + name + "' is given twice");
    }
    std::string_view rest = known;
    bool is_known = false;
    while (!rest.empty() && !is_known) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      is_known = rest.substr(0, end) == name;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (!is_known) {
      return malformed("unknown parameter '" + name + "'; " +
                       (known.empty() ? "this resource takes none"
                                      : "this resource takes: " + std::string(known)));
    }
    seen.push_back(std::move(name));
  }
  return std::nullopt;
}

void add(io::HttpResponse& response, const char* name, const char* value) {
  response.headers.push_back({name, value});
}

// At least as far as what the answer shows: an answer is made when its commit is known.
void tell_position(io::HttpResponse& response, const Engine* engine, const LedgerPosition& floor) {
  constexpr const char* kSession = "Trued-Session";
  if (engine == nullptr || response.find(kSession) != nullptr) return;
  LedgerPosition told = engine->position();
  if (floor.batch > told.batch) told = floor;
  response.headers.push_back({kSession, session_token(told)});
}

void add_what_all_have(io::HttpResponse& response, const CrossOrigin& cross) {
  io::add_safety_headers(response);
  if (cross.varies) add(response, "Vary", "Origin");
  if (cross.origin.empty()) return;
  response.headers.push_back({"Access-Control-Allow-Origin", cross.origin});
  add(response, "Access-Control-Expose-Headers",
      "Location, Idempotent-Replayed, Preference-Applied, Retry-After, Trued-Session, "
      "Trued-Consistency-Served");
}

bool shows_operations(Access access) {
  return access != Access::open && access != Access::token && access != Access::server;
}

// A browser asks whether a page may send what it is about to send. It sends no token with that.
bool is_preflight(const Call& call) {
  return call.request.method == "OPTIONS" && !call.cross.origin.empty() &&
         call.request.find("Access-Control-Request-Method") != nullptr;
}

io::HttpResponse preflight(const std::string& methods) {
  io::HttpResponse response;
  response.status = 204;
  response.headers.push_back({"Access-Control-Allow-Methods", methods});
  add(response, "Access-Control-Allow-Headers",
      "Authorization, Content-Type, Idempotency-Key, Prefer, Trued-Consistency, Trued-Session");
  add(response, "Access-Control-Max-Age", "600");
  return response;
}

}  // namespace

std::size_t body_limit(std::string_view target, std::size_t single_bytes_max) {
  const std::string_view path = target.substr(0, target.find('?'));
  const bool batch = path == "/v1/operations/batch";
  return batch ? std::max(kBatchBytesMax, single_bytes_max) : single_bytes_max;
}

io::HttpResponse json_response(int status, std::string body) {
  io::HttpResponse response;
  response.status = status;
  add(response, "Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

Problem malformed(std::string detail, std::string pointer) {
  return {.name = "malformed", .detail = std::move(detail), .pointer = std::move(pointer)};
}

std::optional<json::Value> read_json(std::string_view text, Problem& problem) {
  std::string pointer;
  auto value = json::parse(text, {}, &pointer);
  if (value.has_value()) return std::move(value).value();
  problem = malformed(value.error().message, std::move(pointer));
  return std::nullopt;
}

void Call::answer(io::HttpResponse response) {
  tell_position(response, tells, floor);
  add_what_all_have(response, cross);
  responder.send(std::move(response));
}

void Call::answer_made(std::move_only_function<io::HttpResponse()> make) {
  responder.send_made(
      [make = std::move(make), cross = cross, tells = tells, floor = floor]() mutable {
        io::HttpResponse response = make();
        tell_position(response, tells, floor);
        add_what_all_have(response, cross);
        return response;
      });
}

io::Waker Call::stream(io::HttpResponse head, std::move_only_function<io::Piece()> next) {
  add_what_all_have(head, cross);
  return responder.stream(std::move(head), std::move(next));
}

std::string_view Call::instance() const {
  const std::string_view target = request.target;
  return target.substr(0, target.find('?'));
}

Service::Impl::Impl(ServicePorts service_ports, ServiceOptions service_options)
    : ports(std::move(service_ports)),
      options(std::move(service_options)),
      auth(options.auth, ports.clock),
      started_at(ports.clock.wall()),
      begun(ports.clock.monotonic()),
      later(ports.clock) {
  for (const Route& route : routes()) {
    TRUED_ASSERT(route.handler != nullptr && route.pattern.starts_with('/'));
  }
  if (ports.types != nullptr) return;
  no_types = std::make_unique<define::Registry>(ports.targets, define::StatusOf());
  ports.types = no_types.get();
}

bool Service::Impl::is_read(const Route& route) {
  return route.method == "GET" && route.pattern.starts_with("/v1/operations");
}

void Service::Impl::handle(io::HttpRequest&& request, io::Responder responder) {
  Call call{std::move(request), std::move(responder)};
  call.cross.varies = auth.lists_origins();
  if (auto problem = auth.check_place(call.request)) return call.fail(*problem);
  call.cross.origin = auth.listed_origin(call.request);
  const bool head = call.request.method == "HEAD";
  const std::string_view method = head ? std::string_view("GET") : call.request.method;
  const Route* found = nullptr;
  bool named = false;  // a path that stands in the table literally is not also an {id}
  std::string allowed;
  for (const Route& route : routes()) {
    const bool literal = route.pattern.find('{') == std::string_view::npos;
    if ((!literal && named) || !match(route.pattern, call.request.path, call)) continue;
    named = named || literal;
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
    if (route.method == "GET") allowed += ", HEAD";
    if (route.method != method) continue;
    found = &route;
    break;
  }
  if (!allowed.empty() && is_preflight(call)) return call.answer(preflight(allowed));
  const Access access = found == nullptr ? Access::token : found->access;
  if (auto problem = auth.check_token(call.request, access, call.caller)) {
    return call.fail(*problem);
  }
  if (auto problem = Auth::check_rights(call.caller, access)) return call.fail(*problem);
  if (shows_operations(access)) call.tells = ports.engine;
  if (found != nullptr) {
    if (auto problem = check_body(call.request, found->takes)) return call.fail(*problem);
    if (auto problem = check_parameters(call.request, found->parameters)) {
      return call.fail(*problem);
    }
    if (!is_read(*found)) {
      if (auto problem = refuse_consistency(call.request)) return call.fail(*problem);
    }
    if (ports.engine == nullptr && !answers_here(*found, call.request)) {
      return forward(std::move(call));
    }
    return (this->*found->handler)(std::move(call));
  }
  if (allowed.empty()) {
    return call.fail(
        {.name = "no-such-resource",
         .detail = "nothing is served at '" + call.request.path + "'; GET / lists what there is"});
  }
  io::HttpResponse response =
      respond({.name = "method-not-allowed", .detail = "this resource answers to " + allowed},
              call.instance());
  response.headers.push_back({"Allow", allowed});
  call.answer(std::move(response));
}

// Reads that need not be the newest are answered from a replica, if one has what is asked for.
bool Service::Impl::answers_here(const Route& route, const io::HttpRequest& request) const {
  if (route.anywhere) return true;
  if (ports.replicas == nullptr || !is_read(route)) return false;
  Consistency asked;
  Problem problem;
  return !read_consistency(request, asked, problem) || asked.level != Level::strong;
}

void Service::Impl::forward(Call call) {
  if (call.request.find(kForwardedHeader) != nullptr) {
    return call.fail({.name = "not-acting",
                      .detail = "this node, '" + options.node +
                                "', stands by: it was taken for the one that acts. Nothing was "
                                "done; send the request again in a moment",
                      .retry_after = Duration{1'000}});
  }
  io::HttpRequest request = std::move(call.request);
  const std::string instance(request.target.substr(0, request.target.find('?')));
  // A page of our own origin would be a stranger's to the other node.
  if (call.cross.origin.empty()) {
    std::erase_if(request.headers,
                  [](const io::Header& header) { return is_word(header.name, "Origin"); });
  }
  ports.forwarder->forward(
      std::move(request), std::move(call.responder),
      [cross = call.cross, instance](const Problem& problem, io::Responder responder) {
        io::HttpResponse response = respond(problem, instance);
        add_what_all_have(response, cross);
        responder.send(std::move(response));
      });
}

Result<void> Service::Impl::set_floor(Call& call) {
  const std::scoped_lock lock(reader_mutex);
  TRUED_TRY(call.floor, ports.reader->position());
  return {};
}

void Service::Impl::on_pool(Call call, std::move_only_function<void(Call)> work) {
  TRUED_ASSERT(work != nullptr);
  auto shared = std::make_shared<Call>(std::move(call));
  const bool posted =
      ports.pool.try_post([self = shared_from_this(), shared, work = std::move(work)]() mutable {
        try {
          work(std::move(*shared));
        } catch (const std::exception&) {
          // Out of memory, most likely. The responder, dropped on the way, has answered 500.
        }
      });
  if (posted) return;
  shared->fail({.name = "overloaded",
                .detail = "too many reads of the ledger are waiting; ask again in a moment",
                .retry_after = Duration{1'000}});
}

Service::Service(ServicePorts ports, ServiceOptions options)
    : impl_(std::make_shared<Impl>(std::move(ports), std::move(options))) {}

Service::~Service() { impl_->later.stop(); }

void Service::handle(io::HttpRequest&& request, io::Responder responder) {
  try {
    impl_->handle(std::move(request), std::move(responder));
  } catch (const std::exception&) {
    // As on the pool: one request must not end the loop for all.
  }
}

void Service::set_port(std::uint16_t port) { impl_->auth.set_port(port); }

}  // namespace trued::api
