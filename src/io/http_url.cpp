#include "io/http_url.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/network.h"
#include "io/http_types.h"

namespace trued::io {
namespace {

Error bad_request(std::string what) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(what)};
}

bool is_blank_or_control(char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

// "host", "host:port", "[v6]:port".
Result<Origin> parse_authority(std::string_view authority, bool tls) {
  Origin origin{.tls = tls, .host = {}, .port = tls ? "443" : "80"};
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  origin.host = lowered(authority.substr(0, has_port ? colon : std::string_view::npos));
  if (has_port) origin.port = authority.substr(colon + 1);
  const bool literal = origin.host.starts_with('[') && origin.host.ends_with(']');
  if (literal) origin.host = origin.host.substr(1, origin.host.size() - 2);
  // A colon elsewhere is an IPv6 address without brackets, or worse.
  const bool odd = origin.host.find_first_of("[]:\\%") != std::string::npos;
  const auto address = parse_ip(origin.host);
  if (literal ? !address || !address->v6 : odd) return bad_request("the URL's host is malformed");
  if (origin.host.empty()) return bad_request("the URL names no host");
  const bool digits = std::ranges::all_of(origin.port, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || origin.port_number() == 0) return bad_request("the URL's port is malformed");
  TRUED_ASSERT(!origin.host.empty() && !origin.port.empty());
  return origin;
}

// RFC 3986, section 5.2.4.
std::string without_dot_segments(std::string_view path) {
  TRUED_ASSERT(path.starts_with('/'));
  std::vector<std::string_view> kept;
  std::string_view rest = path;
  bool directory = false;
  while (!rest.empty()) {
    TRUED_ASSERT(rest.front() == '/');
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, end);
    directory = segment == "." || segment == "..";
    if (segment == ".." && !kept.empty()) kept.pop_back();
    if (!directory) kept.push_back(segment);
    rest.remove_prefix(end);
  }
  std::string out;
  for (const std::string_view segment : kept) out.append("/").append(segment);
  if (directory || out.empty()) out += '/';
  TRUED_ASSERT(out.starts_with('/') && out.size() <= path.size() + 1);
  return out;
}

}  // namespace

std::uint16_t Origin::port_number() const {
  std::uint16_t number = 0;
  const char* end = port.data() + port.size();
  const auto [at, failure] = std::from_chars(port.data(), end, number);
  return failure == std::errc{} && at == end ? number : std::uint16_t{0};
}

std::string Origin::authority() const {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

std::string Url::text() const { return (origin.tls ? "https://" : "http://") + authority + target; }

Result<Url> parse_url(std::string_view text) {
  std::string_view rest = text;
  Url url;
  if (lowered(rest.substr(0, 8)) == "https://") {
    url.origin.tls = true;
    rest.remove_prefix(8);
  } else if (lowered(rest.substr(0, 7)) == "http://") {
    rest.remove_prefix(7);
  } else {
    return bad_request("'" + std::string(text) + "' is not an http:// or https:// URL");
  }
  if (std::ranges::any_of(text, is_blank_or_control)) {
    return bad_request("the URL holds a blank or a control character");
  }
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  url.authority = rest.substr(0, end);
  url.target = rest.substr(end);
  url.target.resize(std::min(url.target.find('#'), url.target.size()));
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  if (url.authority.find('@') != std::string::npos) {
    return bad_request("credentials do not belong into a URL");
  }
  TRUED_TRY(url.origin, parse_authority(url.authority, url.origin.tls));
  TRUED_ASSERT(url.target.starts_with('/') && url.origin.port_number() != 0);
  return url;
}

Result<Url> resolve_url(const Url& base, std::string_view reference) {
  const std::size_t scheme = reference.find(':');
  if (scheme != std::string_view::npos && scheme < reference.find_first_of("/?#")) {
    return parse_url(reference);
  }
  if (reference.starts_with("//")) {
    return parse_url((base.origin.tls ? "https:" : "http:") + std::string(reference));
  }
  if (std::ranges::any_of(reference, is_blank_or_control)) {
    return bad_request("the URL holds a blank or a control character");
  }
  reference = reference.substr(0, reference.find('#'));
  Url url = base;
  const std::string base_path = base.path();
  if (reference.starts_with('?')) {
    url.target = base_path + std::string(reference);
  } else if (!reference.empty()) {
    const std::size_t mark = std::min(reference.find('?'), reference.size());
    std::string path(reference.substr(0, mark));
    if (!path.starts_with('/')) path.insert(0, base_path.substr(0, base_path.rfind('/') + 1));
    url.target = without_dot_segments(path) + std::string(reference.substr(mark));
  }
  return url;
}

Result<Proxy> parse_proxy(std::string_view text) {
  const auto wrong = [](const std::string& why) {
    return bad_request("expected http://host:port, or http://user:password@host:port: " + why);
  };
  std::string_view rest = text;
  if (lowered(rest.substr(0, 7)) != "http://") return wrong("it does not begin with http://");
  rest.remove_prefix(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  Proxy proxy;
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    std::string user;
    if (!percent_decode(rest.substr(0, at), false, user)) return wrong("an escape is malformed");
    proxy.authorization = "Basic " + base64_encode(user);
    rest.remove_prefix(at + 1);
  }
  if (rest.find_first_of("/?#") != std::string_view::npos) return wrong("it has a path");
  if (std::ranges::any_of(rest, is_blank_or_control)) return wrong("it holds a blank");
  auto origin = parse_authority(rest, false);
  if (!origin.has_value()) return wrong(origin.error().message);
  proxy.origin = std::move(origin).value();
  return proxy;
}

std::string shown_location(std::string_view reference) {
  reference = reference.substr(0, reference.find_first_of("?#"));
  const std::size_t slashes = reference.find("//");
  if (slashes == std::string_view::npos) return std::string(reference);
  const std::size_t host = slashes + 2;
  const std::size_t path = std::min(reference.find('/', host), reference.size());
  const std::size_t at = reference.substr(0, path).rfind('@');
  const std::size_t begin = at == std::string_view::npos || at < host ? host : at + 1;
  return std::string(reference.substr(0, host)) + std::string(reference.substr(begin));
}

std::vector<std::string> credentials_in(std::string_view authorization) {
  constexpr std::size_t kPasswordBytesMin = 8;
  std::vector<std::string> found;
  const std::size_t blank = authorization.find(' ');
  if (blank == std::string_view::npos || blank + 1 == authorization.size()) return found;
  const std::string_view credentials = authorization.substr(blank + 1);
  found.emplace_back(credentials);
  if (lowered(authorization.substr(0, blank)) != "basic") return found;
  const auto pair = base64_decode(credentials);
  const std::size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return found;
  std::string password = pair->substr(colon + 1);
  if (password.size() >= kPasswordBytesMin) found.push_back(std::move(password));
  return found;
}

bool bypasses_proxy(std::string_view host, std::string_view no_proxy) {
  const std::string name = lowered(host);
  while (!no_proxy.empty()) {
    const std::size_t end = std::min(no_proxy.find(','), no_proxy.size());
    std::string each = lowered(no_proxy.substr(0, end));
    std::erase(each, ' ');
    no_proxy.remove_prefix(std::min(end + 1, no_proxy.size()));
    if (each == "*") return true;
    while (each.starts_with('.')) each.erase(0, 1);
    if (!each.empty() && (name == each || name.ends_with("." + each))) return true;
  }
  return false;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

bool is_field_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  });
}

}  // namespace trued::io
