// http_client.h: a blocking HTTP/1.1 client that tells what it knows.
//
// A call is sent at most once. The one exception is harmless: a GET or HEAD whose reused connection
// was closed before the first byte of an answer is sent again on a new one. What is not GET or HEAD
// goes out on a new connection, unless the caller allows a used one; that is looked at first (an
// end that can be read, a stray byte), and where it dies all the same, the answer is `maybe`.
//
// What an error says (Error::happened)
//   no      nothing that could be acted on was sent: a bad URL, an address that is refused, an
//           unknown name, no connection in time, TLS, the proxy, a plain connection that took no
//           byte; or a redirection that was not followed to its end
//   maybe   at least a part was sent, and no whole answer came
//   yes     the answer is 2xx and came to its end or its bound, but its content is of no use
//
// Redirections are returned, not followed, unless asked for. To another origin go only headers that
// every server may see: no Authorization, Cookie or Proxy-*, and none that a caller made up.
//
// Addresses can be refused (AddressRules). What is looked at is the address that is connected to,
// so no second look-up of a name can slip another one in. Through a proxy, the proxy looks names
// up: then only addresses that stand in the URL are seen.
//
// Any thread; connections are pooled by origin.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/network.h"
#include "base/result.h"
#include "base/time.h"
#include "io/http_types.h"
#include "io/http_url.h"

namespace trued::io {

/// Which addresses may be connected to.
struct AddressRules {
  bool guarded = false;          ///< false: every address
  bool allow_inside = false;     ///< private, unique local, shared and loopback addresses too
  std::vector<Network> allowed;  ///< whatever they are for
};
/// Why `address` may not be connected to; empty when it may.
[[nodiscard]] std::string refused(const AddressRules& rules, const IpAddress& address);

enum class Redirects : std::uint8_t {
  none,
  reads,    ///< of GET and HEAD
  effects,  ///< besides, 307 and 308 of other methods, within the origin
};

struct ClientOptions {
  /// Looking the name up, connecting, and TLS together.
  Duration connect_timeout{5'000};
  Duration send_timeout{30'000};        ///< from the first byte sent to the last
  Duration first_byte_timeout{30'000};  ///< from the last byte sent to the first received
  Duration total_timeout{30'000};       ///< of the whole call
  Duration idle_timeout{15'000};        ///< a connection that rests longer is not used again
  std::size_t response_bytes_max = std::size_t{64} << 20;  ///< also of what is unpacked
  std::size_t pooled_per_origin_max = 16;
  std::string user_agent = "trued";
  /// Ask for gzip and deflate, and unpack them. Without it an answer's coding is left alone.
  bool unpack = false;
  Redirects redirects = Redirects::none;
  unsigned redirects_max = 5;
  AddressRules addresses = {};
  std::optional<Proxy> proxy = {};
  std::string no_proxy = {};  ///< hosts, separated by commas, that are reached without it
  std::string ca_file = {};   ///< PEM; trusted instead of the system's
  bool verify_tls = true;     ///< false only for tests
  /// For tests: instead of the system's look-up.
  std::function<Result<std::vector<IpAddress>>(const std::string&, Duration)> resolver = {};
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;  ///< http:// or https://
  std::vector<Header> headers = {};
  std::string body = {};
  std::optional<Duration> total_timeout = {};  ///< instead of the client's
  /// On a connection of its own; nothing: unless it is a GET or HEAD.
  std::optional<bool> fresh_connection = {};
};

/// How far the body of an answer came.
enum class BodyState : std::uint8_t {
  whole,
  broken,       ///< the connection ended first
  late,         ///< the time ended first
  too_large,    ///< what came first is kept
  undecodable,  ///< it came whole and could not be unpacked; it is kept as it came
};

struct ClientAnswer {
  HttpResponse response;
  BodyState body = BodyState::whole;
  std::string body_detail;  ///< why it is not whole
  std::string url;          ///< that answered, after redirections
};

class HttpClient {
 public:
  explicit HttpClient(ClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// What is wrong with its options (a CA file that cannot be read); every https call fails of it.
  [[nodiscard]] Result<void> usable() const;

  /// A whole answer. Blocks up to the total timeout.
  [[nodiscard]] Result<HttpResponse> call(const ClientRequest& request);
  /// The same for callers to whom a status is worth something without a whole body.
  [[nodiscard]] Result<ClientAnswer> ask(const ClientRequest& request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued::io
