// url_template.h: "https://docs.example.com/${artifact.path}", checked once and expanded for each
// artifact. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trued {

class UrlTemplate {
 public:
  /// invalid_argument for anything but http:// or https:// with a host, for an unknown or
  /// unfinished ${…}, a fragment, a blank or control character, credentials, and for a template
  /// without ${artifact.path}: every artifact would be read from one address.
  [[nodiscard]] static Result<UrlTemplate> parse(std::string_view text);

  /// The URL of an artifact. Each segment of the path is percent-encoded (RFC 3986: all but
  /// unreserved characters); '/' stays.
  [[nodiscard]] std::string expand(std::string_view path) const;

 private:
  std::vector<std::string> literals_;  ///< the path goes between each two
};

/// Percent-encodes a path segment by segment.
[[nodiscard]] std::string percent_encode_path(std::string_view path);

}  // namespace trued
