// http_reader.h: reads artifacts over HTTP, as their consumers do: the serving level.
//
// A plain GET without headers of its own (no Cache-Control, no conditions): what a consumer would
// be handed is what counts, caches included. 200 is found, 404 and 410 are absent, and everything
// else (another status, a connection that failed or broke, a timeout, too much) is unreadable, with
// the reason. Redirections are not followed: they would hide where the content came from.
//
// Any thread. Artifacts are read one after another within the request's timeout.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "target/http/url_template.h"
#include "target/target.h"

namespace trued {

namespace io {
class HttpClient;
}

struct HttpReaderOptions {
  std::string url;  ///< template with ${artifact.path}; see url_template.h
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< sent with every read
  std::uint64_t read_bytes_max = 64ULL << 20U;  ///< a larger body is unreadable, not a mismatch
};

class HttpReader final : public Reader {
 public:
  /// invalid_argument for a template or header that cannot be used. The server is not contacted.
  [[nodiscard]] static Result<std::unique_ptr<HttpReader>> open(HttpReaderOptions options);
  ~HttpReader() override;

  /// `version` is the ETag; `served_by` the first of X-Served-By, X-Replica and Via, or "cache" if
  /// only an Age says that one answered.
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override;

 private:
  HttpReader(HttpReaderOptions options, UrlTemplate url);
  RawRead read_one(const std::string& path, Duration timeout);

  const HttpReaderOptions options_;
  const UrlTemplate url_;
  const std::unique_ptr<io::HttpClient> client_;
};

}  // namespace trued
