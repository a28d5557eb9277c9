// http_url.h: http and https URLs, as a client needs them. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trued::io {

/// Scheme, host and port: what credentials belong to.
struct Origin {
  bool tls = false;
  std::string host;  ///< lower case, without brackets
  std::string port;  ///< digits, at most 65535

  [[nodiscard]] std::uint16_t port_number() const;
  [[nodiscard]] std::string key() const { return (tls ? "s:" : "p:") + host + ":" + port; }
  /// "host:port", with brackets around an IPv6 address.
  [[nodiscard]] std::string authority() const;
  friend bool operator==(const Origin&, const Origin&) = default;
};

struct Url {
  Origin origin;
  std::string authority;  ///< as it was written, for the Host header
  std::string target;     ///< path and query; at least "/"

  [[nodiscard]] std::string path() const { return target.substr(0, target.find('?')); }
  [[nodiscard]] std::string text() const;
};

/// `invalid_argument` for another scheme, credentials, no host, or characters that cannot stand
/// there. A fragment is dropped.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

/// Where a Location leads that was received from `base` (RFC 3986, section 5.2).
[[nodiscard]] Result<Url> resolve_url(const Url& base, std::string_view reference);

/// A Location as it may be shown: without credentials, query and fragment, where secrets stand.
[[nodiscard]] std::string shown_location(std::string_view reference);

/// An HTTP proxy: "http://[user:password@]host:port".
struct Proxy {
  Origin origin;
  std::string authorization;  ///< the value of Proxy-Authorization; empty for none
};
/// The text may hold a password, so no message repeats it.
[[nodiscard]] Result<Proxy> parse_proxy(std::string_view text);

/// What of an Authorization must not be shown: its credentials, and the password that "Basic" holds
/// (unless it is so short that other words would go with it).
[[nodiscard]] std::vector<std::string> credentials_in(std::string_view authorization);

/// True if `host` is one of a list as NO_PROXY has it: "localhost,.example.com,10.0.0.1,*".
[[nodiscard]] bool bypasses_proxy(std::string_view host, std::string_view no_proxy);

/// A method or a header's name (RFC 9110, section 5.6.2).
[[nodiscard]] bool is_token(std::string_view text);
/// A header's value: no control character but the tab.
[[nodiscard]] bool is_field_value(std::string_view text);

}  // namespace trued::io
