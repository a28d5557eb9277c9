// http_exchange.h: the little that git needs of HTTP. Private to this folder. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace trued::git {

struct HttpQuestion {
  bool post = false;
  std::string url;
  std::string content_type;  ///< post: of `body`
  std::string accept;
  std::string body;
  Duration timeout{};
};

struct HttpAnswer {
  unsigned status = 0;
  std::string content_type;
  std::string location;  ///< of a redirection, which is not followed; as it may be shown
  std::string body;
};

class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  /// Sends it once. An error's `happened` says whether it can have reached the other side.
  [[nodiscard]] virtual Result<HttpAnswer> call(const HttpQuestion& question) = 0;
};

/// `authorization` is the value of that header, or empty. Answers are held in memory, up to
/// `answer_bytes_max`; a larger one is an error.
[[nodiscard]] std::unique_ptr<HttpExchange> make_http_exchange(std::string authorization,
                                                               std::uint64_t answer_bytes_max);

}  // namespace trued::git
