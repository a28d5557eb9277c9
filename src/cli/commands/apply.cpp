// trued apply: the operations of a file, made current on a running server: the difference first.
// trued definitions: which there are.
#include <cstdio>
#include <iostream>
#include <map>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "cli/settings.h"
#include "cli/texts.h"
#include "config/config.h"
#include "json/canonical.h"
#include "json/writer.h"

namespace trued::cli {
namespace {

// What is asked of the server; `expected` is what was looked at, null for a look.
std::string request(const config::Config& config, bool prune,
                    const std::map<std::string, std::int64_t>* expected) {
  std::string body;
  json::Writer out(body);
  out.begin_object().key("definitions").begin_object();
  for (const auto& [name, definition] : config.operations) {
    std::string tree;
    json::write_canonical(definition->tree, tree);
    out.key(name).raw(tree);
  }
  out.end_object().member("prune", prune).member("dry_run", expected == nullptr);
  if (expected != nullptr) {
    out.key("expected").begin_object();
    for (const auto& [name, number] : *expected) out.member(name, number);
    out.end_object();
  }
  out.end_object();
  return body;
}

std::string planned_line(const json::Value& each) {
  const std::string change = text_of(each, "change");
  const std::string name = text_of(each, "name");
  const std::string from = name + "@" + std::to_string(number_of(each, "from"));
  const std::string to = name + "@" + std::to_string(number_of(each, "to"));
  if (change == "added") return "+ " + to + " (new)";
  if (change == "changed") return "~ " + from + " -> " + to;
  if (change == "retired") return "- " + from + " (retired: nothing new begins with it)";
  if (change == "kept") return "  " + from + " (not in the file; stays. --prune retires it)";
  return "  " + from + " (same)";
}

void print_plan(const RemoteAnswer& answer) {
  for (const json::Value& each : items_of(answer.value, "definitions")) {
    print(plain(planned_line(each)));
    for (const json::Value& line : items_of(each, "differences")) {
      if (line.is_string()) print(plain("    " + line.as_string()));
    }
  }
}

// What the server has against the definitions, at their places in the file.
int show_refusal(const Common& common, Remote& remote, const config::Loaded& loaded,
                 const RemoteAnswer& answer) {
  const json::Value* errors = answer.value.find("errors");
  if (!common.json && errors != nullptr && errors->is_array()) {
    for (const json::Value& each : errors->items()) {
      const config::Fault fault =
          loaded.fault_of(text_of(each, "operation"),
                          define::Fault{text_of(each, "pointer"), text_of(each, "detail")});
      say(plain(config::to_string(fault)));
    }
  }
  return remote.show_problem(answer);
}

bool agreed() {
  std::fputs("Apply? [y/N] ", stderr);
  std::string line;
  if (!std::getline(std::cin, line)) return false;
  return line == "y" || line == "Y" || line == "yes";
}

int show_applied(const Common& common, const RemoteAnswer& answer) {
  const bool confirmed = is_true(answer.value, "confirmed");
  if (common.json) {
    print(answer.text);
    return confirmed ? kOk : kTempFail;
  }
  for (const json::Value& each : items_of(answer.value, "definitions")) {
    const std::string status = text_of(each, "status");
    if (status.empty()) continue;
    const std::string reason = text_of(each, "reason");
    print(plain(text_of(each, "name") + "@" + std::to_string(number_of(each, "to")) + " " + status +
                " (" + text_of(each, "operation") + ")" + (reason.empty() ? "" : ": " + reason)));
  }
  if (!confirmed) say("trued: not everything is confirmed; see: trued op show ID");
  return confirmed ? kOk : kTempFail;
}

}  // namespace

int apply(const Common& common, const ApplyOptions& options) {
  // Whether commands may be run is for the server to say; here nothing is.
  const config::Loaded loaded = config::load(options.file, config_rules(common, true));
  if (!loaded.faults.empty()) {
    for (const config::Fault& fault : loaded.faults) say(plain(config::to_string(fault)));
    return complain(common, kConfig,
                    options.file + " has " + std::to_string(loaded.faults.size()) +
                        " fault(s); nothing was sent");
  }
  Remote remote(common);
  const auto planned =
      remote.call("POST", "/v1/definitions", request(loaded.config, options.prune, nullptr));
  if (!planned.has_value()) return remote.show_failure(planned.error(), kOnlyLooked);
  if (planned->status != 200) return show_refusal(common, remote, loaded, *planned);
  const bool changes = is_true(planned->value, "changes");
  const bool only_look = options.dry_run || !changes;
  if (!common.json) print_plan(*planned);
  if (common.json && only_look) print(planned->text);
  if (!changes) say("trued: nothing to apply: the server has what the file says");
  if (only_look) return kOk;
  if (!options.yes) {
    if (common.json || ::isatty(STDIN_FILENO) == 0) {
      return complain(common, kUsage,
                      "nothing was applied: look at the difference (--dry-run), then say --yes");
    }
    if (!agreed()) return complain(common, kUsage, "nothing was applied");
  }
  std::map<std::string, std::int64_t> expected;
  for (const json::Value& each : items_of(planned->value, "definitions")) {
    expected[text_of(each, "name")] = number_of(each, "from");
  }
  const auto applied =
      remote.call("POST", "/v1/definitions", request(loaded.config, options.prune, &expected));
  if (!applied.has_value()) {
    return remote.show_failure(applied.error(),
                               "The server may have applied it; run it again: what is current by "
                               "then is the same and stays");
  }
  if (applied->status != 200 && applied->status != 202) {
    return show_refusal(common, remote, loaded, *applied);
  }
  return show_applied(common, *applied);
}

int definitions(const Common& common, const DefinitionsOptions& options) {
  Remote remote(common);
  const bool one = !options.name.empty();
  const auto answer =
      remote.call("GET", one ? "/v1/definitions/" + query_encode(options.name) : "/v1/definitions");
  if (!answer.has_value()) return remote.show_failure(answer.error(), kOnlyLooked);
  if (answer->status != 200) return remote.show_problem(*answer);
  if (common.json) {
    print(answer->text);
    return kOk;
  }
  const json::Value* list = answer->value.find(one ? "versions" : "definitions");
  if (list == nullptr || !list->is_array()) return complain(common, kInternal, "a strange answer");
  if (list->items().empty()) say("trued: no operation is defined; see: trued apply --help");
  for (const json::Value& each : list->items()) {
    const json::Value* tree = each.find("definition");
    const bool retired = tree == nullptr || tree->is_null();
    const std::string by = text_of(each, "applied_by");
    print(plain(text_of(each, "name") + "@" + std::to_string(number_of(each, "version")) +
                (retired ? " retired" : " at " + text_of(each, "target")) +
                (is_true(each, "current") ? ", current" : "") + ", applied " +
                text_of(each, "applied_at") + (by.empty() ? "" : " by " + by)));
    if (!one || retired) continue;
    std::string shown;
    json::write_canonical(*tree, shown);
    print(plain("    " + shown));
  }
  return kOk;
}

}  // namespace trued::cli
