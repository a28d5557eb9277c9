#include "cli/settings.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "cli/exit_codes.h"
#include "config/rules.h"
#include "embed/definitions.h"
#include "target/exec/exec_target.h"
#include "target/http/http_reader.h"
#include "target/http/http_target.h"
#include "target/postgres/postgres_target.h"

namespace trued::cli {
namespace {

constexpr std::string_view kForm =
    "; expected NAME=KIND:LOCATION such as docs=git:/srv/content.git";

Error not_a_target(const std::string& text, const std::string& why) {
  return {.code = ErrorCode::invalid_argument,
          .message = "'" + text + "' is not a target: " + why + std::string(kForm)};
}

// "word" of ",word=…" at `comma`; empty where a comma is only part of a path or URL.
std::string_view option_at(std::string_view text, std::size_t comma) {
  std::size_t end = comma + 1;
  while (end < text.size() && (std::islower(static_cast<unsigned char>(text[end])) != 0)) ++end;
  const bool named = end > comma + 1 && end < text.size() && text[end] == '=';
  return named ? text.substr(comma + 1, end - comma - 1) : std::string_view();
}

// Where the next ",word=" begins, from `at` on; npos for none.
std::size_t next_option(std::string_view text, std::size_t at) {
  for (std::size_t comma = text.find(',', at); comma != std::string_view::npos;
       comma = text.find(',', comma + 1)) {
    if (!option_at(text, comma).empty()) return comma;
  }
  return std::string_view::npos;
}

// What is wrong with one option; takes it over otherwise.
std::string take_option(TargetSpec& spec, std::string_view name, std::string value) {
  const bool git = spec.kind == "git";
  if (name == "serving") {
    spec.serving = ServingSpec{.url = std::move(value), .headers = {}};
    return "";
  }
  if (name == "branch" && git) {
    if (value.empty()) return "its branch is empty; leave ',branch=' away";
    spec.branch = std::move(value);
    return "";
  }
  const std::string allowed = git ? "branch=B and serving=URL" : "serving=URL";
  return "a target of kind '" + spec.kind + "' has no option '" + std::string(name) +
         "'; allowed: " + allowed;
}

int add_targets(const Common& common, const ServeOptions& options, config::Config& config) {
  std::set<std::string> given;
  for (const std::string& text : options.targets) {
    auto spec = parse_target_option(text);
    if (!spec.has_value()) return complain(common, kUsage, spec.error().message);
    if (!given.insert(spec->name).second) {
      return complain(common, kUsage,
                      "--target names '" + spec->name + "' twice; give each target its own name");
    }
    std::erase_if(config.targets, [&](const TargetSpec& t) { return t.name == spec->name; });
    config.targets.push_back(std::move(spec).value());
  }
  return kOk;
}

int complain_of_all(const Common& common, int code, const std::vector<std::string>& faults) {
  if (faults.size() == 1) return complain(common, code, faults.front());
  for (const std::string& fault : faults) say(fault);
  return complain(common, code,
                  "the configuration has " + std::to_string(faults.size()) + " fault(s), the " +
                      "first: " + faults.front());
}

}  // namespace

config::Rules config_rules(const Common& common, bool allow_exec) {
  config::Rules rules;
  rules.allow_exec = allow_exec;
  rules.serving = [](const ServingSpec& spec) {
    const auto reader = HttpReader::open({.url = spec.url, .headers = spec.headers});
    return reader.has_value() ? std::string() : reader.error().message;
  };
  rules.http = [](const HttpSpec& spec) { return wrong_with(spec); };
  rules.postgres = [](const PostgresSpec& spec) { return wrong_with(spec); };
  rules.exec = [](const ExecSpec& spec) { return wrong_with(spec); };
  rules.operations = [](const config::Config& config) {
    const Targets targets = targets_to_check(config.targets);
    const define::Surroundings around{.targets = targets,
                                      .definitions = config.operations,
                                      .remembers = remembers_of(config.targets)};
    std::map<std::string, define::Faults> faults;
    for (const auto& [name, definition] : config.operations) {
      auto wrong = check_definition(*definition, around);
      if (!wrong.empty()) faults.emplace(name, std::move(wrong));
    }
    return faults;
  };
  rules.state_dir_option = common.state_dir;
  const auto usual = state_place({});
  if (usual.has_value()) rules.state_dir_default = *usual;
  return rules;
}

Result<TargetSpec> parse_target_option(const std::string& text) {
  TargetSpec spec;
  const std::size_t equal = text.find('=');
  if (equal == std::string::npos) return not_a_target(text, "it lacks '='");
  const std::size_t end_of_kind = std::min(text.find_first_of(":,", equal), text.size());
  spec.name = text.substr(0, equal);
  spec.kind = text.substr(equal + 1, end_of_kind - equal - 1);
  if (spec.kind == "postgres") {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "target '" + spec.name +
                            "': a database is not given on the command line, where everybody sees "
                            "its password; write [target." +
                            spec.name + "] kind = \"postgres\", url = … into a --config file"};
  }
  if (spec.kind == "exec") {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "target '" + spec.name +
                            "': what may be run on this machine is written into a --config file: "
                            "[target." +
                            spec.name + "] kind = \"exec\""};
  }
  const bool placed = end_of_kind < text.size() && text[end_of_kind] == ':';
  // "memory" is nowhere.
  if (!placed && spec.kind != "memory") return not_a_target(text, "it lacks ':'");
  const std::string rest = text.substr(end_of_kind + (placed ? 1 : 0));
  std::size_t option = next_option(rest, 0);
  spec.location = rest.substr(0, option);
  while (option != std::string::npos) {
    const std::string_view name = option_at(rest, option);
    const std::size_t begin = option + name.size() + 2;
    const std::size_t end = std::min(next_option(rest, begin), rest.size());
    const std::string wrong = take_option(spec, name, rest.substr(begin, end - begin));
    if (!wrong.empty()) return not_a_target(text, wrong);
    option = end == rest.size() ? std::string::npos : end;
  }
  if (spec.location.empty() && spec.kind != "memory") return not_a_target(text, "no location");
  spec.policy = default_policy(spec.kind);
  return spec;
}

int read_settings(const Common& common, const ServeOptions& options, config::Config& config) {
  const config::Rules rules = config_rules(common, options.allow_exec);
  if (!options.config.empty()) {
    config::Loaded loaded = config::load(options.config, rules);
    std::vector<std::string> faults;
    for (const config::Fault& fault : loaded.faults) faults.push_back(config::to_string(fault));
    if (!faults.empty()) return complain_of_all(common, kConfig, faults);
    config = std::move(loaded.config);
  }
  if (!options.listen.empty()) {
    const auto endpoint = config::parse_endpoint(options.listen);
    if (!endpoint.has_value()) {
      return complain(common, kUsage, "--listen " + endpoint.error().message);
    }
    config.address = endpoint->address;
    config.port = endpoint->port;
  }
  if (const int code = add_targets(common, options, config); code != kOk) return code;
  if (!options.ledger.empty()) {
    auto choice = config::parse_ledger(options.ledger);
    if (!choice.has_value()) return complain(common, kUsage, "--ledger: " + choice.error().message);
    config.ledger = std::move(choice->path);
    // The rest of a [ledger] that names a server still holds for another one.
    if (choice->shared && config.shared_ledger) {
      config.shared_ledger->url = choice->shared->url;
    } else {
      config.shared_ledger = std::move(choice->shared);
    }
  }
  std::vector<std::string> faults;
  for (const config::Wrong& wrong : config::wrong_with(config, rules)) {
    faults.push_back(config::to_string(wrong));
  }
  return faults.empty() ? kOk : complain_of_all(common, kConfig, faults);
}

}  // namespace trued::cli
