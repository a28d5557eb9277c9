// http_client.h: a blocking HTTP/1.1 client that tells what it knows.
//
// A call is sent at most once. The one exception is harmless: a GET or HEAD whose reused connection
// was closed before the first byte of an answer is sent again on a new one. Redirects are returned,
// not followed. TLS is verified.
//
// What an error says (Error::happened)
//   no      nothing of the request left: bad URL, unknown name, refused, no connection in time, TLS
//   maybe   at least a part was sent and no complete answer came
//
// Any thread; connections are pooled by origin.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "io/http_types.h"

namespace trued::io {

struct ClientOptions {
  /// Connection and TLS together. Looking the name up takes what the system's resolver allows.
  Duration connect_timeout{5'000};
  Duration total_timeout{30'000};  ///< from the first byte sent to the last received
  std::size_t response_bytes_max = std::size_t{64} << 20;
  std::size_t pooled_per_origin_max = 16;
  std::string user_agent = "trued";
  bool verify_tls = true;  ///< false only for tests
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;  ///< http:// or https://
  std::vector<Header> headers = {};
  std::string body = {};
  std::optional<Duration> total_timeout = {};
};

class HttpClient {
 public:
  explicit HttpClient(ClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Blocks up to connect_timeout + total_timeout.
  [[nodiscard]] Result<HttpResponse> call(const ClientRequest& request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued::io
