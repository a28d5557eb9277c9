// trued target install: the marker table of a PostgreSQL target.
#include <algorithm>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/settings.h"
#include "config/config.h"
#include "json/writer.h"
#include "target/postgres/install.h"

namespace trued::cli {
namespace {

constexpr Duration kPatience{30'000};

// The target of that name, or what has been complained of.
const TargetSpec* find_target(const Common& common, const config::Config& config,
                              const std::string& name, int& code) {
  std::vector<std::string> databases;
  for (const TargetSpec& spec : config.targets) {
    if (spec.kind == "postgres") databases.push_back(spec.name);
    if (spec.name != name) continue;
    if (spec.kind == "postgres") return &spec;
    code = complain(common, kBadData,
                    "target '" + name + "' is of kind '" + spec.kind +
                        "' and needs nothing installed; a marker table is for kind 'postgres'");
    return nullptr;
  }
  std::string known;
  for (const std::string& each : databases) known += (known.empty() ? "" : ", ") + each;
  const auto meant = config::resembles(name, databases);
  code = complain(common, kBadData,
                  "the configuration has no target '" + name + "'" +
                      (meant           ? "; did you mean '" + *meant + "'?"
                       : known.empty() ? "; it has none of kind 'postgres'"
                                       : "; of kind 'postgres': " + known));
  return nullptr;
}

void print_json(const TargetSpec& spec, const std::vector<MarkerStep>& steps, bool dry) {
  std::string line;
  json::Writer out(line);
  out.begin_object().member("target", std::string_view(spec.name));
  out.member("table", std::string_view(spec.postgres.marker_table));
  out.member("dry_run", dry).member("changed", !dry && !steps.empty());
  out.key("steps").begin_array();
  for (const MarkerStep& step : steps) {
    out.begin_object().member("what", std::string_view(step.what));
    out.member("sql", std::string_view(step.sql)).end_object();
  }
  out.end_array().end_object();
  print(line);
}

void print_text(const TargetSpec& spec, const std::vector<MarkerStep>& steps, bool dry) {
  if (dry) {
    for (const MarkerStep& step : steps) print(plain(step.sql + ";"));
  } else {
    for (const MarkerStep& step : steps) print(plain("done: " + step.what));
  }
  if (steps.empty()) {
    say(plain("target " + spec.name + ": " + spec.postgres.marker_table +
              " is as it should be; nothing to do"));
  } else if (dry) {
    say("nothing was changed; without --dry-run these are run in one transaction");
  }
}

}  // namespace

int target_install(const Common& common, const TargetInstallOptions& options) {
  // Nothing is run by it, so commands are not its to refuse.
  const config::Loaded loaded = config::load(options.config, config_rules(common, true));
  if (!loaded.faults.empty()) {
    for (const config::Fault& fault : loaded.faults) say(plain(config::to_string(fault)));
    return complain(
        common, kConfig,
        options.config + " has faults; see: trued check " + shell_quoted(options.config));
  }
  int code = kOk;
  const TargetSpec* spec = find_target(common, loaded.config, options.name, code);
  if (spec == nullptr) return code;
  const auto steps = options.dry_run ? plan_marker_table(spec->postgres, kPatience)
                                     : install_marker_table(spec->postgres, kPatience);
  if (!steps.has_value()) {
    const Error& error = steps.error();
    const std::string next = error.happened == Happened::maybe
                                 ? "; whether it was done is not known: run it again, it does only "
                                   "what is missing"
                                 : "";
    const bool away = error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout;
    return complain(common,
                    error.happened == Happened::maybe            ? kTempFail
                    : away                                       ? kUnreachable
                    : error.code == ErrorCode::permission_denied ? kDenied
                                                                 : kBadData,
                    "target '" + spec->name + "': " + error.message + next);
  }
  common.json ? print_json(*spec, *steps, options.dry_run)
              : print_text(*spec, *steps, options.dry_run);
  return kOk;
}

}  // namespace trued::cli
