// auth.h: who may speak to the server: Host, Origin, bearer token.
//
// Checked before anything else of a request is looked at, on loopback too: a web page must not
// reach the server by DNS rebinding or across sites. Pages of `allowed_origins` may, by the
// protocol of browsers (CORS). All but set_port() belongs to the loop's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/problems.h"
#include "api/wrong_tokens.h"
#include "base/clock.h"
#include "base/digest.h"
#include "config/rights.h"

namespace trued::api {

struct Token {
  std::string name;  ///< whose it is: recorded as the actor
  Digest sha256;     ///< of the token; the token itself is kept nowhere
  config::Rights rights = {};
};

/// Who asks.
struct Caller {
  std::string actor = {};                              ///< the token's name; empty without tokens
  const config::Rights* rights = &config::kAllRights;  ///< lives as long as the Auth
};

struct AuthOptions {
  /// We listen at; a Host may name it. With a wildcard it may be any literal IP address: DNS
  /// rebinding needs a name, and which addresses are ours is not known (a container's is mapped).
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                  ///< we listen at; Host must name it
  std::vector<std::string> allowed_hosts;  ///< besides loopback names: "host" or "host:port"
  std::vector<std::string> allowed_origins;
  std::vector<Token> tokens;  ///< empty: none is asked for (loopback only)
};

/// What a resource asks of a token. Host and Origin are checked for all.
enum class Access : std::uint8_t {
  open,  ///< nothing, not even a token
  token,
  submit,
  read,
  resolve,
  work,
  apply,   ///< definitions, and every scope: they are all tenants'
  server,  ///< to read, and every scope: it tells of all tenants together
};

class Auth {
 public:
  Auth(AuthOptions options, Clock& clock);

  /// Any thread.
  void set_port(std::uint16_t port) { port_ = port; }

  /// What is wrong with Host or Origin, or nothing.
  [[nodiscard]] std::optional<Problem> check_place(const io::HttpRequest& request) const;
  /// The problem, or nothing; then `caller` is whose token it is. A right token is never refused
  /// because of the wrong ones of others. Of `access` only counts whether it is open.
  [[nodiscard]] std::optional<Problem> check_token(const io::HttpRequest& request, Access access,
                                                   Caller& caller);
  /// What the caller's token lacks for `access`, or nothing.
  [[nodiscard]] static std::optional<Problem> check_rights(const Caller& caller, Access access);

  /// The Origin of the request if it is one of `allowed_origins`, else empty.
  [[nodiscard]] std::string listed_origin(const io::HttpRequest& request) const;
  /// Answers differ by Origin.
  [[nodiscard]] bool lists_origins() const { return !options_.allowed_origins.empty(); }

 private:
  bool host_allowed(const std::string& host) const;
  std::optional<Problem> check_host(const io::HttpRequest& request) const;
  Problem count_wrong(const io::HttpRequest& request);

  const AuthOptions options_;
  std::atomic<std::uint16_t> port_;
  Clock& clock_;
  WrongTokens wrong_;
};

/// The caller's token is not for that tenant. `pointer` leads to the scope in a body.
[[nodiscard]] Problem out_of_scope(const Caller& caller, const std::string& scope,
                                   std::string pointer = {});

}  // namespace trued::api
