// trued nodes: who serves the ledger, and what the one that acts holds.
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"

namespace trued::cli {
namespace {

std::string node_line(const json::Value& node) {
  const bool alive = is_true(node, "alive");
  const auto silent = Duration{number_of(node, "silent_ms")};
  std::string line = shown(node, "name") + "  " +
                     (alive ? shown(node, "role") : "silent for " + format_duration(silent));
  if (alive && !member_of(node, "epoch").is_null()) {
    line += ", epoch " + number_text(node, "epoch");
  }
  const std::string url = shown(node, "url");
  line += "  " + (url.empty() ? std::string("(no address that the others know)") : url);
  line += "  version " + shown(node, "version");
  const json::Value& holds = member_of(node, "holds");
  if (alive && !member_of(holds, "open").is_null()) {
    line += "  " + number_text(holds, "open") + " open (the oldest for " +
            format_duration(Duration{number_of(holds, "oldest_open_ms")}) + "), " +
            number_text(holds, "jobs_in_flight") + " under way, " +
            number_text(holds, "leased_to_workers") + " leased to workers";
  }
  if (is_true(node, "is_this")) line += "  (answers)";
  return line;
}

}  // namespace

int nodes(const Common& common) {
  Remote remote(common);
  const auto answer = remote.call("GET", "/v1/nodes");
  if (!answer.has_value()) return remote.show_failure(answer.error(), kOnlyLooked);
  constexpr int kOkStatus = 200;
  if (answer->status != kOkStatus) return remote.show_problem(*answer);
  if (common.json) {
    print(answer->text);
    return kOk;
  }
  for (const json::Value& node : items_of(answer->value, "nodes")) print(node_line(node));
  return kOk;
}

}  // namespace trued::cli
