// auth.h: who may speak to the server: Host, Origin, bearer token.
//
// Checked before anything else of a request is looked at, on loopback too: a web page must not
// reach the server by DNS rebinding or across sites. Pages of `allowed_origins` may, by the
// protocol of browsers (CORS). All but set_port() belongs to the loop's thread.
#pragma once

#include <atomic>
#include <cstdint>
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
  /// We listen at; a Host may name it. With a wildcard it may be any literal IP address: DNS
  /// rebinding needs a name, and which addresses are ours is not known (a container's is mapped).
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                  ///< we listen at; Host must name it
  std::vector<std::string> allowed_hosts;  ///< besides loopback names: "host" or "host:port"
  std::vector<std::string> allowed_origins;
  std::vector<Token> tokens;  ///< empty: none is asked for (loopback only)
};

/// Whether a resource can be had without a token. Host and Origin are checked for all.
enum class Access : std::uint8_t { open, token };

class Auth {
 public:
  Auth(AuthOptions options, Clock& clock);

  /// Any thread.
  void set_port(std::uint16_t port) { port_ = port; }

  /// What is wrong with Host or Origin, or nothing.
  [[nodiscard]] std::optional<Problem> check_place(const io::HttpRequest& request) const;
  /// The problem, or nothing; then `actor` is the token's name (empty without tokens). A right
  /// token is never refused because of the wrong ones of others.
  [[nodiscard]] std::optional<Problem> check_token(const io::HttpRequest& request, Access access,
                                                   std::string& actor);

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
  struct Wrong {
    std::uint32_t count = 0;
    std::chrono::nanoseconds since{};
  };
  std::map<std::string, Wrong> wrong_;  ///< wrong tokens by peer address
};

}  // namespace trued::api
