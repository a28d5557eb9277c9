#include "io/http_types.h"

#include <algorithm>

#include "base/assert.h"
#include "base/encoding.h"

namespace trued::io {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

}  // namespace

const std::string* find_header(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (std::ranges::equal(header.name, name, {}, lower, lower)) return &header.value;
  }
  return nullptr;
}

bool percent_decode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (text.size() - i < 3) return false;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  TRUED_ASSERT(out.size() <= text.size());
  return true;
}

void add_safety_headers(HttpResponse& response) {
  response.headers.push_back({"X-Content-Type-Options", "nosniff"});
  response.headers.push_back({"Cache-Control", "no-store"});
  response.headers.push_back(
      {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"});
}

std::optional<QueryFault> find_query_fault(std::string_view query) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::string_view raw = part.substr(0, part.find('='));
    std::string name;
    if (!percent_decode(raw, true, name)) name = raw;
    // Name and value each by themselves: halves of a character do not make one over the '='.
    for (const std::string_view text : {raw, part.substr(std::min(raw.size() + 1, part.size()))}) {
      std::string decoded;
      if (!percent_decode(text, true, decoded)) return QueryFault{name, QueryWrong::escape};
      if (!utf8_valid(decoded)) return QueryFault{name, QueryWrong::utf8};
    }
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    const std::size_t equal = std::min(part.find('='), part.size());
    std::string name;
    std::string value;
    // A malformed escape is taken as it stands; find_query_fault() tells.
    if (!percent_decode(part.substr(0, equal), true, name)) name = part.substr(0, equal);
    const std::string_view rest = part.substr(std::min(equal + 1, part.size()));
    if (!percent_decode(rest, true, value)) value = rest;
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return pairs;
}

}  // namespace trued::io
