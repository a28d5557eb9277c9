// trued check: a configuration as a whole, by the rules that trued serve keeps.
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/settings.h"
#include "cli/shared_ledger.h"
#include "embed/build_target.h"
#include "json/writer.h"
#include "target/exec/exec_target.h"
#include "target/postgres/install.h"

namespace trued::cli {
namespace {

namespace fs = std::filesystem;

void write_faults(json::Writer& out, const std::vector<config::Fault>& faults) {
  out.key("faults").begin_array();
  for (const config::Fault& fault : faults) {
    out.begin_object().member("file", std::string_view(fault.file));
    out.member("line", fault.line).member("column", fault.column);
    out.member("message", std::string_view(fault.message)).end_object();
  }
  out.end_array();
}

void write_targets(json::Writer& out, const config::Config& config) {
  out.key("targets").begin_array();
  for (const TargetSpec& spec : config.targets) {
    out.begin_object().member("name", std::string_view(spec.name));
    out.member("kind", std::string_view(spec.kind));
    out.member("location", std::string_view(spec.location));
    if (!spec.branch.empty() && spec.kind == "git")
      out.member("branch", std::string_view(spec.branch));
    if (spec.serving) out.member("serving", std::string_view(spec.serving->url));
    out.end_object();
  }
  out.end_array();
}

/// What the program would use, so that a person sees what was checked.
struct Places {
  std::string listen, ledger, state;
};

Places places_of(const Common& common, const config::Config& config) {
  Places places;
  const bool v6 = config.address.find(':') != std::string::npos;
  places.listen =
      (v6 ? "[" + config.address + "]" : config.address) + ":" + std::to_string(config.port);
  Common placed = common;
  if (placed.state_dir.empty()) placed.state_dir = config.state_dir;
  const auto state = state_place(placed);
  if (state.has_value()) places.state = *state;
  const auto ledger = existing_ledger(placed, config.ledger);
  if (config.shared_ledger) {
    places.ledger = shown(*config.shared_ledger);
  } else if (ledger.has_value()) {
    places.ledger = *ledger;
  }
  return places;
}

void print_json(const std::string& file, const config::Loaded& loaded, const Places& places,
                bool connected) {
  const config::Config& config = loaded.config;
  std::string line;
  json::Writer out(line);
  out.begin_object().member("ok", loaded.faults.empty()).member("file", std::string_view(file));
  if (!loaded.faults.empty()) {
    write_faults(out, loaded.faults);
  } else {
    out.member("listen", std::string_view(places.listen));
    out.member("ledger", std::string_view(places.ledger));
    out.member("state_dir", std::string_view(places.state));
    write_targets(out, config);
    out.key("operations").begin_array();
    for (const auto& [name, definition] : config.operations) {
      out.begin_object().member("name", std::string_view(name));
      out.member("target", std::string_view(definition->target));
      out.member("digest", std::string_view("sha256:" + definition->digest.hex())).end_object();
    }
    out.end_array();
    out.key("tokens").begin_array();
    for (const config::TokenSpec& token : config.tokens) out.string(token.name);
    out.end_array().member("connected", connected);
  }
  out.end_object();
  print(line);
}

void print_text(const std::string& file, const config::Loaded& loaded, const Places& places,
                bool connected) {
  for (const config::Fault& fault : loaded.faults) print(plain(config::to_string(fault)));
  if (!loaded.faults.empty()) return;
  const config::Config& config = loaded.config;
  print(file + ": fine, " + std::to_string(config.targets.size()) + " target(s)" +
        (connected ? ", each opened, " : ", ") + std::to_string(config.operations.size()) +
        " operation(s), " + std::to_string(config.tokens.size()) + " token(s)");
  print("  listen " + places.listen + ", ledger " + places.ledger);
  for (const TargetSpec& spec : config.targets) {
    print(plain("  target " + spec.name + ": " + spec.kind + " " + spec.location +
                (spec.kind == "git" && !spec.branch.empty() ? " branch " + spec.branch : "") +
                (spec.serving ? ", served at " + spec.serving->url : "")));
  }
  for (const auto& [name, definition] : config.operations) {
    print(plain("  operation " + name + ": at " + definition->target + ", " +
                std::to_string(definition->artifacts.size()) + " artifact(s) read back" +
                (definition->artifacts.empty() ? ": never confirmed" : "")));
  }
}

/// What a connector keeps for itself while it is only tried: nothing of the server's is touched.
class TrialState {
 public:
  TrialState() {
    std::error_code failure;
    std::string name = (fs::temp_directory_path(failure) / "trued-check-XXXXXX").string();
    if (!failure && ::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  TrialState(const TrialState&) = delete;
  TrialState& operator=(const TrialState&) = delete;
  ~TrialState() {
    std::error_code failure;
    if (!path_.empty()) fs::remove_all(path_, failure);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What opening does not show: a database is not asked anything until it is needed. Empty if its
// marker table is as it should be.
std::string wrong_with_database(const TargetSpec& spec, const std::string& file) {
  constexpr Duration kPatience{10'000};
  const auto steps = plan_marker_table(spec.postgres, kPatience);
  if (!steps.has_value()) return "target '" + spec.name + "': " + steps.error().message;
  if (steps->empty()) return "";
  return "target '" + spec.name + "': the marker table " + spec.postgres.marker_table +
         " is not as it should be (" + steps->front().what + "); run: trued target install " +
         spec.name + " --config " + shell_quoted(file);
}

// Opens every target; those that cannot be are faults like others.
Result<void> connect_all(const std::string& file, config::Loaded& loaded) {
  const TrialState state;
  if (state.path().empty()) {
    return Error{.code = ErrorCode::io,
                 .message =
                     "cannot create a temporary directory to try the targets with; set "
                     "TMPDIR to one that can be written to"};
  }
  for (const TargetSpec& spec : loaded.config.targets) {
    const auto target = build_target(spec, state.path());
    std::string wrong = target.has_value() ? "" : target.error().message;
    if (target.has_value() && spec.kind == "postgres") wrong = wrong_with_database(spec, file);
    if (target.has_value() && spec.kind == "exec") wrong = missing_for(spec.exec);
    if (wrong.empty()) continue;
    config::Fault fault = loaded.places[spec.name];
    fault.file = file;
    fault.message = std::move(wrong);
    loaded.faults.push_back(std::move(fault));
  }
  return {};
}

}  // namespace

int check(const Common& common, const CheckOptions& options) {
  config::Loaded loaded = config::load(options.file, config_rules(common, options.allow_exec));
  const bool connect = options.connect && loaded.faults.empty();
  if (connect) {
    const auto tried = connect_all(options.file, loaded);
    if (!tried.has_value()) return complain(common, kConfig, tried.error().message);
  }
  const Places places = places_of(common, loaded.config);
  common.json ? print_json(options.file, loaded, places, connect)
              : print_text(options.file, loaded, places, connect);
  return loaded.faults.empty() ? kOk : kConfig;
}

}  // namespace trued::cli
