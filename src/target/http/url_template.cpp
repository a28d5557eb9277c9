#include "target/http/url_template.h"

#include <utility>

#include "base/assert.h"
#include "base/encoding.h"

namespace trued {
namespace {

constexpr std::string_view kPlaceholder = "${artifact.path}";

Error invalid(std::string_view text, const std::string& why) {
  return {.code = ErrorCode::invalid_argument, .message = "'" + std::string(text) + "': " + why};
}

std::string wrong_with_start(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else {
    return "a URL that starts with http:// or https:// was expected";
  }
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.empty() || authority.starts_with(':')) return "it names no host";
  if (authority.find('@') != std::string_view::npos) {
    return "credentials do not belong into a URL; send them as a header";
  }
  if (authority.find("${") != std::string_view::npos) return "the host cannot be filled in";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) {
      return "it holds a blank or a control character";
    }
  }
  if (text.find('#') != std::string_view::npos) return "a fragment (#…) is never sent";
  return {};
}

}  // namespace

Result<UrlTemplate> UrlTemplate::parse(std::string_view text) {
  if (const std::string wrong = wrong_with_start(text); !wrong.empty()) {
    return invalid(text, wrong);
  }
  UrlTemplate parsed;
  std::string literal;
  std::string_view rest = text;
  while (true) {
    const std::size_t open = rest.find("${");
    literal += rest.substr(0, open);
    if (open == std::string_view::npos) break;
    rest.remove_prefix(open);
    const std::size_t close = rest.find('}');
    if (close == std::string_view::npos) return invalid(text, "'${' is never closed");
    const std::string_view name = rest.substr(0, close + 1);
    if (name != kPlaceholder) {
      return invalid(text, "'" + std::string(name) + "' is not known; only " +
                               std::string(kPlaceholder) + " is");
    }
    parsed.literals_.push_back(std::exchange(literal, {}));
    rest.remove_prefix(close + 1);
  }
  parsed.literals_.push_back(std::move(literal));
  if (parsed.literals_.size() < 2) {
    return invalid(text, "it does not hold " + std::string(kPlaceholder) +
                             ", so every artifact would be read from one address");
  }
  return parsed;
}

std::string UrlTemplate::expand(std::string_view path) const {
  TRUED_ASSERT(literals_.size() >= 2);
  const std::string encoded = percent_encode_path(path);
  std::string url = literals_.front();
  for (std::size_t i = 1; i < literals_.size(); ++i) {
    url += encoded;
    url += literals_.at(i);
  }
  return url;
}

std::string percent_encode_path(std::string_view path) { return percent_encoded(path, "/"); }

}  // namespace trued
