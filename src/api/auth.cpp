#include "api/auth.h"

#include <algorithm>
#include <array>

namespace trued::api {
namespace {

constexpr std::uint32_t kWrongMax = 20;  // wrong tokens of one peer within the window
constexpr std::chrono::nanoseconds kWindow = std::chrono::minutes(1);
constexpr std::size_t kPeersMax = 10'000;
constexpr std::array<std::string_view, 4> kLoopbackNames{"127.0.0.1", "localhost", "[::1]",
                                                         "trued.localhost"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string address_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

}  // namespace

Auth::Auth(AuthOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {}

bool Auth::host_allowed(const std::string& host) const {
  const std::string name = lower(host);
  const std::string port = ":" + std::to_string(options_.port);
  for (const std::string_view loopback : kLoopbackNames) {
    if (name == std::string(loopback) + port) return true;
    if (options_.port == 80 && name == loopback) return true;
  }
  return std::ranges::any_of(options_.allowed_hosts, [&](const std::string& allowed) {
    const std::string wanted = lower(allowed);
    return name == wanted || name == wanted + port;
  });
}

std::optional<Problem> Auth::check_token(const io::HttpRequest& request, std::string& actor) {
  if (options_.tokens.empty()) return std::nullopt;
  const std::string peer = address_of(request.peer);
  const auto now = clock_.monotonic();
  if (wrong_.size() > kPeersMax) wrong_.clear();
  Wrong& wrong = wrong_[peer];
  if (now - wrong.since > kWindow) wrong = {.count = 0, .since = now};
  if (wrong.count >= kWrongMax) {
    return Problem{.name = "too-many-wrong-tokens",
                   .detail = "too many wrong tokens came from this address; wait a minute",
                   .retry_after = Duration{60'000}};
  }
  constexpr std::string_view kBearer = "bearer ";
  const std::string* header = request.find("Authorization");
  const bool bearer = header != nullptr && header->size() > kBearer.size() &&
                      lower(header->substr(0, kBearer.size())) == kBearer;
  const Digest given = sha256(bearer ? std::string_view(*header).substr(kBearer.size()) : "");
  // Every token is compared, so that time tells nothing of which came close.
  bool known = false;
  for (const Token& token : options_.tokens) {
    if (bearer && equal_in_constant_time(token.sha256, given)) {
      known = true;
      actor = token.name;
    }
  }
  if (known) return std::nullopt;
  if (bearer) ++wrong.count;
  return Problem{.name = "unauthorized",
                 .detail = bearer ? "the token is not one of this server's"
                                  : "send 'Authorization: Bearer TOKEN'"};
}

std::optional<Problem> Auth::check(const io::HttpRequest& request, std::string& actor) {
  const std::string* host = request.find("Host");
  if (host == nullptr || !host_allowed(*host)) {
    return Problem{.name = "host-not-allowed",
                   .detail =
                       "the Host header does not name this server; add it to allowed_hosts "
                       "if it should"};
  }
  if (const std::string* origin = request.find("Origin")) {
    const bool own = *origin == "http://" + *host || *origin == "https://" + *host;
    const bool listed =
        std::ranges::find(options_.allowed_origins, *origin) != options_.allowed_origins.end();
    if (!own && !listed) {
      return Problem{.name = "origin-not-allowed",
                     .detail =
                         "pages of that origin may not use this server; add it to "
                         "allowed_origins if they should"};
    }
  }
  return check_token(request, actor);
}

}  // namespace trued::api
