// trued nodes: who serves the ledger, what the one that acts holds, and who acted before.
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "cli/texts.h"

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

std::string author_of(const json::Value& stretch) {
  if (!member_of(stretch, "node").is_null()) return shown(stretch, "node");
  return text_of(stretch, "unknown") == "older_program"
             ? "(unknown: an older program, which keeps no history)"
             : "(unknown: before the history begins, or copied from another ledger)";
}

std::string batches_of(const json::Value& stretch) {
  if (member_of(stretch, "batches").is_null()) {
    return "batches: where they end is not known";
  }
  if (number_of(stretch, "batches") == 0) return "no batches";
  std::string text = "batches " + number_text(stretch, "first_batch") + " to " +
                     number_text(stretch, "last_batch");
  if (text_of(stretch, "unknown") == "older_program") {
    text += ", the first of them perhaps by the one before";
  }
  return text;
}

std::string stretch_line(const json::Value& stretch) {
  const std::string epoch = number_text(stretch, "epoch");
  const std::string first = number_text(stretch, "first_epoch");
  std::string line = epoch == first ? "epoch " + epoch : "epochs " + first + " to " + epoch;
  line += "  " + author_of(stretch) + "  " + batches_of(stretch);
  const std::string began = shown(stretch, "began_at");
  if (!began.empty()) line += "  since " + began;
  if (is_true(stretch, "current")) line += "  (the newest)";
  return line;
}

void show_history(const json::Value& answer) {
  for (const json::Value& stretch : items_of(answer, "history")) print(stretch_line(stretch));
  const std::string note = shown(answer, "note");
  if (!note.empty()) say(note);
  const std::string cursor = shown(answer, "cursor");
  if (!cursor.empty()) say("more: --cursor " + cursor);
}

std::string path_of(const NodesOptions& options) {
  if (!options.history) return "/v1/nodes";
  return "/v1/nodes/history?limit=" + std::to_string(options.limit) +
         (options.cursor.empty() ? "" : "&cursor=" + query_encode(options.cursor));
}

}  // namespace

int nodes(const Common& common, const NodesOptions& options) {
  const auto wrong = not_utf8({{"--cursor", options.cursor}});
  if (!wrong.empty()) return complain_of_each(common, kUsage, wrong, "nothing was sent");
  Remote remote(common);
  const auto answer = remote.call("GET", path_of(options));
  if (!answer.has_value()) return remote.show_failure(answer.error(), kOnlyLooked);
  constexpr int kOkStatus = 200;
  if (answer->status != kOkStatus) return remote.show_problem(*answer);
  if (common.json) {
    print(answer->text);
    return kOk;
  }
  if (options.history) {
    show_history(answer->value);
    return kOk;
  }
  for (const json::Value& node : items_of(answer->value, "nodes")) print(node_line(node));
  return kOk;
}

}  // namespace trued::cli
