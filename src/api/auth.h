// auth.h: who may speak to the server: Host, Origin, bearer token.
//
// Checked before anything else of a request is looked at, on loopback too: a web page must not
// reach the server by DNS rebinding or across sites. Belongs to the loop's thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/problems.h"
#include "base/clock.h"
#include "base/digest.h"

namespace trued::api {

struct Token {
  std::string name;  ///< whose it is: recorded as the actor
  Digest sha256;     ///< of the token; the token itself is kept nowhere
};

struct AuthOptions {
  std::uint16_t port = 0;                  ///< we listen at; Host must name it
  std::vector<std::string> allowed_hosts;  ///< besides loopback names: "host" or "host:port"
  std::vector<std::string> allowed_origins;
  std::vector<Token> tokens;  ///< empty: none is asked for (loopback only)
};

class Auth {
 public:
  Auth(AuthOptions options, Clock& clock);

  void set_port(std::uint16_t port) { options_.port = port; }

  /// The problem, or nothing; then `actor` is the token's name (empty without tokens).
  [[nodiscard]] std::optional<Problem> check(const io::HttpRequest& request, std::string& actor);

 private:
  bool host_allowed(const std::string& host) const;
  std::optional<Problem> check_token(const io::HttpRequest& request, std::string& actor);

  AuthOptions options_;
  Clock& clock_;
  struct Wrong {
    std::uint32_t count = 0;
    std::chrono::nanoseconds since{};
  };
  std::map<std::string, Wrong> wrong_;  ///< wrong tokens by peer address
};

}  // namespace trued::api
