#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <vector>

#include "target/exec/exec_target.h"

namespace trued {
namespace {

void check_environment(const ExecSpec& spec, std::vector<SpecFault>& out) {
  std::set<std::string> seen;
  for (const ExecVariable& variable : spec.environment) {
    std::string why = wrong_with_variable(variable.name);
    if (why.empty() && variable.value.find('\0') != std::string::npos) {
      why = "its value holds a zero byte";
    }
    if (why.empty() && !seen.insert(variable.name).second) why = "is there twice";
    if (!why.empty()) out.push_back({"env." + variable.name, std::move(why)});
  }
}

bool is_mask(const std::string& text) {
  unsigned value = 0;
  constexpr int kOctal = 8;
  constexpr unsigned kMost = 0777;
  const char* end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, value, kOctal);
  return failure == std::errc() && at == end && value <= kMost;
}

}  // namespace

std::vector<SpecFault> wrong_with(const ExecSpec& spec) {
  std::vector<SpecFault> out;
  if (spec.commands.empty()) {
    out.push_back({"commands",
                   "is missing: name what may be run, [\"/usr/bin/charge\"], or [\"*\"] "
                   "for anything that a definition says"});
  }
  for (const std::string& command : spec.commands) {
    const std::string why = command == "*" ? "" : wrong_with_command(command, spec);
    if (!why.empty()) out.push_back({"commands", why});
  }
  for (const std::string& directory : spec.path) {
    // A ':' would be two of them in PATH.
    if (directory.starts_with('/') && directory.find(':') == std::string::npos) continue;
    out.push_back({"path", "'" + directory + "' is no absolute path of one directory"});
  }
  if (!spec.directory.starts_with('/')) {
    out.push_back({"directory", "'" + spec.directory + "' is no absolute path"});
  }
  check_environment(spec, out);
  if (!spec.umask.empty() && !is_mask(spec.umask)) {
    out.push_back({"umask", "'" + spec.umask + "' is no mask: expected octal digits, \"027\""});
  }
  if (spec.remembers != Duration{0} && !spec.deduplicates) {
    out.push_back({"remembers", "is for a target that deduplicates: add deduplicates = true"});
  }
  if (spec.timeout <= Duration{0}) out.push_back({"timeout", "is no time at all"});
  if (spec.output_bytes_max == 0) out.push_back({"output_bytes_max", "lets no output in"});
  (void)meanings_of(spec.exit, out);
  return out;
}

}  // namespace trued
