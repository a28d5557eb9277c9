#include "api/auth.h"

#include <algorithm>
#include <array>

#include "api/text.h"

namespace trued::api {
namespace {

constexpr std::uint32_t kWrongMax = 20;  // wrong tokens of one peer within the window
constexpr std::chrono::nanoseconds kWindow = std::chrono::minutes(1);
constexpr std::size_t kPeersMax = 10'000;
constexpr std::array<std::string_view, 3> kLoopbackNames{"127.0.0.1", "localhost", "[::1]"};

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), &lower);
  return out;
}

std::string address_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

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
                    (!wildcard && named_by(v6 ? "[" + options_.address + "]" : options_.address));
  return ours || std::ranges::any_of(options_.allowed_hosts, [&](const std::string& allowed) {
           return name == lowered(allowed) || named_by(allowed);
         });
}

std::optional<Problem> Auth::check_host(const io::HttpRequest& request) const {
  const std::string* host = request.find("Host");
  const auto hosts = std::ranges::count_if(
      request.headers, [](const io::Header& header) { return is_word(header.name, "host"); });
  if (hosts != 1 || !host_allowed(*host)) {
    return Problem{.name = "host-not-allowed",
                   .detail =
                       "the Host header does not name this server; add it to allowed_hosts "
                       "if it should"};
  }
  const std::string* origin = request.find("Origin");
  if (origin == nullptr) return std::nullopt;
  const bool own = *origin == "http://" + *host || *origin == "https://" + *host;
  const bool listed =
      std::ranges::find(options_.allowed_origins, *origin) != options_.allowed_origins.end();
  if (own || listed) return std::nullopt;
  return Problem{.name = "origin-not-allowed",
                 .detail =
                     "pages of that origin may not use this server; add it to "
                     "allowed_origins if they should"};
}

std::optional<Problem> Auth::check_token(const io::HttpRequest& request, std::string& actor) {
  const std::string peer = address_of(request.peer);
  const auto now = clock_.monotonic();
  if (wrong_.size() > kPeersMax) wrong_.clear();
  Wrong& wrong = wrong_[peer];
  if (now - wrong.since > kWindow) wrong = {.count = 0, .since = now};
  if (wrong.count >= kWrongMax) {
    const auto left = std::chrono::ceil<Duration>(wrong.since + kWindow - now);
    return Problem{.name = "too-many-wrong-tokens",
                   .detail = "too many wrong tokens came from this address; wait a minute",
                   .retry_after = left};
  }
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
    actor = token.name;
  }
  if (known) return std::nullopt;
  ++wrong.count;
  return Problem{.name = "unauthorized", .detail = "the token is not one of this server's"};
}

std::optional<Problem> Auth::check(const io::HttpRequest& request, Access access,
                                   std::string& actor) {
  if (auto problem = check_host(request)) return problem;
  if (access == Access::open || options_.tokens.empty()) return std::nullopt;
  return check_token(request, actor);
}

}  // namespace trued::api
