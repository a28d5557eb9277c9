#include "api/auth.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <utility>

#include "api/text.h"

namespace trued::api {
namespace {

constexpr std::array<std::string_view, 3> kLoopbackNames{"127.0.0.1", "localhost", "[::1]"};

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), &lower);
  return out;
}

// Nothing unless it is "Bearer TOKEN".
std::optional<std::string_view> bearer_token(const io::HttpRequest& request) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string* header = request.find("Authorization");
  if (header == nullptr || header->size() <= kBearer.size() ||
      !is_word(std::string_view(*header).substr(0, kBearer.size()), kBearer)) {
    return std::nullopt;
  }
  return std::string_view(*header).substr(kBearer.size());
}

bool is_port(std::string_view text) {
  constexpr std::size_t kDigitsMax = 5;
  return !text.empty() && text.size() <= kDigitsMax &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "192.0.2.7", "[2001:db8::7]", with or without a port.
bool is_literal_address(const std::string& host) {
  const bool v6 = host.starts_with('[');
  const std::size_t end = std::min(host.find(v6 ? ']' : ':'), host.size());
  if (v6 && end == host.size()) return false;
  const std::string address = v6 ? host.substr(1, end - 1) : host.substr(0, end);
  const std::string_view port = std::string_view(host).substr(end + (v6 ? 1 : 0));
  if (!port.empty() && !(port.starts_with(':') && is_port(port.substr(1)))) return false;
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) == 1;
}

std::ptrdiff_t count_of(const io::HttpRequest& request, std::string_view name) {
  return std::ranges::count_if(
      request.headers, [&](const io::Header& header) { return is_word(header.name, name); });
}

}  // namespace

Auth::Auth(AuthOptions options, Clock& clock)
    : options_(std::move(options)), port_(options_.port), clock_(clock) {}

bool Auth::host_allowed(const std::string& host) const {
  const std::string name = lowered(host);
  const std::uint16_t number = port_.load();
  const std::string port = ":" + std::to_string(number);
  const auto named_by = [&](std::string_view ours) {
    const std::string wanted = lowered(ours);
    return name == wanted + port || (number == 80 && name == wanted);
  };
  const bool wildcard = options_.address == "0.0.0.0" || options_.address == "::";
  const bool v6 = options_.address.find(':') != std::string::npos;
  const bool ours = std::ranges::any_of(kLoopbackNames, named_by) ||
                    (wildcard && is_literal_address(name)) ||
                    (!wildcard && named_by(v6 ? "[" + options_.address + "]" : options_.address));
  return ours || std::ranges::any_of(options_.allowed_hosts, [&](const std::string& allowed) {
           return name == lowered(allowed) || named_by(allowed);
         });
}

std::optional<Problem> Auth::check_host(const io::HttpRequest& request) const {
  const auto hosts = count_of(request, "host");
  const std::string* host = request.find("Host");
  if (hosts == 1 && host_allowed(*host)) return std::nullopt;
  std::string detail = hosts == 0 ? "the request has no Host header"
                       : hosts > 1
                           ? "the request has several Host headers"
                           : "the request is for the host '" + shown(*host) +
                                 "', which does not name this server; add it to allowed_hosts if "
                                 "it should";
  return Problem{.name = "host-not-allowed", .detail = std::move(detail)};
}

std::optional<Problem> Auth::check_place(const io::HttpRequest& request) const {
  if (auto problem = check_host(request)) return problem;
  const std::string* origin = request.find("Origin");
  if (origin == nullptr) return std::nullopt;
  const std::string& host = *request.find("Host");
  const bool own = *origin == "http://" + host || *origin == "https://" + host;
  const bool known = own || !listed_origin(request).empty();
  if (known && count_of(request, "origin") == 1) return std::nullopt;
  return Problem{.name = "origin-not-allowed",
                 .detail = "pages of '" + shown(*origin) +
                           "' may not use this server; add it to allowed_origins if they should"};
}

std::string Auth::listed_origin(const io::HttpRequest& request) const {
  const std::string* origin = request.find("Origin");
  if (origin == nullptr) return {};
  const bool listed =
      std::ranges::find(options_.allowed_origins, *origin) != options_.allowed_origins.end();
  return listed ? *origin : std::string();
}

Problem Auth::count_wrong(const io::HttpRequest& request) {
  if (const auto wait = wrong_.count(request.peer, clock_.monotonic())) {
    return {.name = "too-many-wrong-tokens",
            .detail =
                "the token is not one of this server's, and too many wrong ones came from "
                "this address; wait a minute",
            .retry_after = std::chrono::ceil<Duration>(*wait)};
  }
  return {.name = "unauthorized", .detail = "the token is not one of this server's"};
}

std::optional<Problem> Auth::check_token(const io::HttpRequest& request, Access access,
                                         Caller& caller) {
  if (access == Access::open || options_.tokens.empty()) return std::nullopt;
  const auto given = bearer_token(request);
  if (!given) {
    return Problem{.name = "unauthorized", .detail = "send 'Authorization: Bearer TOKEN'"};
  }
  const Digest digest = sha256(*given);
  // Every token is compared, so that time tells nothing of which came close.
  bool known = false;
  for (const Token& token : options_.tokens) {
    if (!equal_in_constant_time(token.sha256, digest)) continue;
    known = true;
    caller = {.actor = token.name, .rights = &token.rights};
  }
  if (known) return std::nullopt;
  return count_wrong(request);
}

std::optional<Problem> Auth::check_rights(const Caller& caller, Access access) {
  using config::Action;
  const auto lacks = [&](Action action) -> std::optional<Problem> {
    if (caller.rights->may(action)) return std::nullopt;
    std::string allowed;
    for (std::size_t i = 0; i < config::kActionNames.size(); ++i) {
      if (!caller.rights->actions.at(i)) continue;
      allowed += (allowed.empty() ? "" : ", ") + std::string(config::kActionNames.at(i));
    }
    return Problem{.name = "out-of-scope",
                   .detail = "the token '" + caller.actor + "' is for " + allowed + ", not to " +
                             std::string(config::kActionNames.at(std::to_underlying(action))) +
                             "; add it to the token's actions if it should be"};
  };
  switch (access) {
    case Access::open:
    case Access::token:
      return std::nullopt;
    case Access::submit:
      return lacks(Action::submit);
    case Access::read:
      return lacks(Action::read);
    case Access::resolve:
      return lacks(Action::resolve);
    case Access::work:
      return lacks(Action::work);
    case Access::apply:
    case Access::server:
      break;
  }
  if (auto problem = lacks(access == Access::apply ? Action::apply : Action::read)) return problem;
  if (caller.rights->everywhere()) return std::nullopt;
  return Problem{.name = "out-of-scope",
                 .detail = "this is about all tenants together, and the token '" + caller.actor +
                           "' is for some; use a token without scopes"};
}

Problem out_of_scope(const Caller& caller, const std::string& scope, std::string pointer) {
  std::string allowed;
  for (const std::string& each : caller.rights->scopes) {
    allowed += (allowed.empty() ? "" : ", ") + each;
  }
  return {.name = "out-of-scope",
          .detail = "the token '" + caller.actor + "' is not for the scope '" + scope +
                    "'; it is for " + allowed,
          .pointer = std::move(pointer)};
}

}  // namespace trued::api
