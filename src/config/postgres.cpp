#include "config/postgres.h"

#include <algorithm>

namespace trued::config {
namespace {

constexpr std::int64_t kPoolMax = 1'000;

/// Of "scheme://user:password@hosts/…": from after "//" to the '@'; empty without one.
struct UserInfo {
  std::size_t begin = 0;
  std::size_t end = 0;
};

UserInfo user_info(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return {};
  const std::size_t begin = scheme + 3;
  const std::size_t authority = std::min(url.find_first_of("/?", begin), url.size());
  const std::size_t at = url.rfind('@', authority);
  if (at == std::string::npos || at < begin) return {};
  return {begin, at};
}

}  // namespace

bool holds_password(const std::string& url) {
  const UserInfo info = user_info(url);
  const std::size_t colon = url.find(':', info.begin);
  if (info.end > info.begin && colon < info.end) return true;
  const std::size_t query = url.find('?');
  return query != std::string::npos && url.find("password=", query) != std::string::npos;
}

void read_postgres(Table& table, PostgresSpec& spec) {
  bool secret = false;
  table.text_or_secret("url", spec.url, &secret);
  if (!secret && holds_password(spec.url)) {
    table.fault("url", "a password does not belong into the file; add password = \"${env:NAME}\"");
  }
  table.secret("password", spec.password);
  table.text("marker_table", spec.marker_table);
  table.number("pool_max", spec.pool_max, 1, kPoolMax);
  table.duration("statement_timeout", spec.statement_timeout);
}

std::string without_password(const std::string& url) {
  std::string shown = url.substr(0, url.find('?'));
  const UserInfo info = user_info(shown);
  const std::size_t colon = shown.find(':', info.begin);
  if (colon < info.end) shown.erase(colon, info.end - colon);
  return shown;
}

}  // namespace trued::config
