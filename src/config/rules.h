// rules.h: what a configuration must keep to in order to work, wherever it came from.
//
// One function for the file and for the command line, so that `trued check` never passes what
// `trued serve` refuses. Pure but for canonical paths, which are looked up in the file system.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/config.h"

namespace trued::config {

/// One thing that cannot work. `path` leads to the setting: {"target", "docs", "branch"}.
struct Wrong {
  std::vector<std::string> path;
  std::string message;
};
/// "target.docs.branch: 'a..b' is no name for a branch: …"
[[nodiscard]] std::string to_string(const Wrong& wrong);

/// Everything that is wrong with `config` as a whole, in the order of its targets.
[[nodiscard]] std::vector<Wrong> wrong_with(const Config& config, const Rules& rules);

/// What git check-ref-format(1) has against a branch of that name; empty when nothing.
[[nodiscard]] std::string wrong_with_branch(const std::string& name);

/// True for a repository that is reached over HTTP.
[[nodiscard]] bool is_http_url(const std::string& text);

}  // namespace trued::config
