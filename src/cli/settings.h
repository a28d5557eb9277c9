// settings.h: what the server is to be, from a file and the command line together.
//
// `trued serve` and `trued check` go through the same rules (config/rules.h).
#pragma once

#include <string>

#include "base/result.h"
#include "cli/commands.h"
#include "config/config.h"

namespace trued::cli {

/// The rules of the parts that only this program knows all of.
[[nodiscard]] config::Rules config_rules(const Common& common, bool allow_exec = false);

/// Parses "NAME=KIND:LOCATION[,branch=B][,serving=URL]". `invalid_argument` names the part that is
/// not understood and what is allowed there.
[[nodiscard]] Result<TargetSpec> parse_target_option(const std::string& text);

/// Command line over file over defaults. What is wrong has been said; the exit code, or 0.
[[nodiscard]] int read_settings(const Common& common, const ServeOptions& options,
                                config::Config& config);

}  // namespace trued::cli
