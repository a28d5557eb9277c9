#include <set>
#include <string>
#include <vector>

#include "base/network.h"
#include "target/http/http_target.h"

namespace trued {
namespace {

void check_base(const HttpSpec& spec, std::vector<SpecFault>& out) {
  const auto wrong = [&](std::string why) { out.push_back({"base_url", std::move(why)}); };
  if (spec.base_url.empty()) return wrong("is missing: https://host, or with a path below it");
  const auto base = io::parse_url(spec.base_url);
  if (!base.has_value()) return wrong(base.error().message);
  if (spec.base_url.find('?') != std::string::npos) {
    return wrong("has a query; give it with each call");
  }
  if (spec.base_url.find('#') != std::string::npos)
    return wrong("has a fragment: it is never sent");
  if (spec.base_url.find("${") != std::string::npos) return wrong("cannot be filled in");
}

void check_headers(const HttpSpec& spec, std::vector<SpecFault>& out) {
  std::set<std::string> seen;
  for (const HttpHeader& header : spec.headers) {
    std::string lower = header.name;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    std::string why = wrong_with_header_name(header.name);
    // The value may be a secret, so it is not repeated.
    if (why.empty() && !io::is_field_value(header.value)) {
      why = "its value holds a line end or another control character";
    }
    if (why.empty() && !seen.insert(lower).second) why = "is there twice, in another case";
    if (!why.empty()) out.push_back({"headers." + header.name, std::move(why)});
  }
}

void check_times(const HttpSpec& spec, std::vector<SpecFault>& out) {
  const std::pair<const char*, Duration> each[] = {{"timeouts.connect", spec.connect_timeout},
                                                   {"timeouts.send", spec.send_timeout},
                                                   {"timeouts.first_byte", spec.first_byte_timeout},
                                                   {"timeouts.total", spec.total_timeout}};
  for (const auto& [setting, timeout] : each) {
    if (timeout <= Duration{0}) {
      out.push_back({setting, "is no time at all"});
    } else if (timeout > spec.total_timeout) {
      out.push_back({setting, format_duration(timeout) + " is longer than total, " +
                                  format_duration(spec.total_timeout) +
                                  ", which bounds a call as a whole"});
    }
  }
}

}  // namespace

std::vector<SpecFault> wrong_with(const HttpSpec& spec) {
  std::vector<SpecFault> out;
  check_base(spec, out);
  check_headers(spec, out);
  for (const std::string& network : spec.allowed_networks) {
    if (parse_network(network)) continue;
    out.push_back({"allow_private", "'" + network +
                                        "' is no network: expected 10.1.0.0/16 or fd00::/8, with "
                                        "no bit set beyond the prefix"});
  }
  if (!spec.proxy.empty()) {
    const auto proxy = io::parse_proxy(spec.proxy);
    if (!proxy.has_value()) out.push_back({"proxy", proxy.error().message});
  } else if (!spec.no_proxy.empty()) {
    out.push_back({"no_proxy", "is without a proxy"});
  }
  if (spec.remembers != Duration{0} && !spec.deduplicates) {
    out.push_back({"remembers", "is for a target that deduplicates: add deduplicates = true"});
  }
  check_times(spec, out);
  if (spec.response_bytes_max == 0) out.push_back({"response_bytes_max", "lets no answer in"});
  return out;
}

}  // namespace trued
