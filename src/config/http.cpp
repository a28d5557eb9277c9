#include "config/http.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

namespace trued::config {
namespace {

void read_timeouts(Table& parent, Faults& faults, HttpSpec& spec) {
  const toml::table* found = parent.table("timeouts");
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".timeouts");
  table.duration("connect", spec.connect_timeout);
  table.duration("send", spec.send_timeout);
  table.duration("first_byte", spec.first_byte_timeout);
  table.duration("total", spec.total_timeout);
  table.check_names();
  // Who shortens the whole means its parts too, but for those given.
  const auto within = [&](const char* name, Duration& part) {
    if (!table.has(name)) part = std::min(part, spec.total_timeout);
  };
  within("connect", spec.connect_timeout);
  within("send", spec.send_timeout);
  within("first_byte", spec.first_byte_timeout);
}

void read_redirects(Table& table, HttpSpec& spec) {
  bool reads = false;
  std::string word;
  table.flag_or_text("allow_redirects", reads, word);
  if (reads) spec.redirects = HttpRedirects::reads;
  if (word == "effects") {
    spec.redirects = HttpRedirects::effects;
  } else if (!word.empty()) {
    table.fault("allow_redirects",
                "expected true (those of GET and HEAD), false, or \"effects\" (besides, 307 and "
                "308 of effects within the origin)");
  }
}

}  // namespace

void read_headers(Table& parent, Faults& faults, std::vector<HttpHeader>& headers) {
  const toml::table* found = parent.table("headers");
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".headers");
  for (const auto& [key, node] : *found) {
    HttpHeader header;
    header.name = key.str();
    table.text_or_secret(header.name.c_str(), header.value, &header.secret);
    headers.push_back(std::move(header));
  }
}

void read_http(Table& table, Faults& faults, HttpSpec& spec) {
  table.text("base_url", spec.base_url);
  read_headers(table, faults, spec.headers);
  table.flag("deduplicates", spec.deduplicates);
  table.duration("remembers", spec.remembers);
  table.flag_or_texts("allow_private", spec.allow_private, spec.allowed_networks);
  read_redirects(table, spec);
  table.text_or_secret("proxy", spec.proxy);
  table.text_or_secret("no_proxy", spec.no_proxy);
  table.text("ca_file", spec.ca_file);
  read_timeouts(table, faults, spec);
  table.number("response_bytes_max", spec.response_bytes_max, 1,
               std::numeric_limits<std::int32_t>::max());
  if (table.has("fresh_connections")) {
    bool fresh = false;
    table.flag("fresh_connections", fresh);
    spec.fresh_connections = fresh;
  }
}

}  // namespace trued::config
