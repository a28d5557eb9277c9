// trued op: looking at operations, and deciding about them.
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "json/canonical.h"
#include "json/writer.h"

namespace trued::cli {
namespace {

std::string path_of(const OpOptions& options, const std::string& below = {}) {
  return "/v1/operations/" + query_encode(options.id) + below;
}

std::string query_of(const ListOptions& options) {
  std::string query = "?limit=" + std::to_string(options.limit);
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) query += std::string("&") + name + "=" + query_encode(value);
  };
  add("type", options.type);
  add("status", options.status);
  add("state", options.state);
  add("scope", options.scope);
  add("key", options.key);
  add("target", options.target);
  add("since", options.since);
  add("until", options.until);
  add("cursor", options.cursor);
  return query;
}

// The members that are not in every event, as "name=value" pairs.
std::string event_line(const json::Value& event) {
  std::string line = text_of(event, "at") + "  " + text_of(event, "event");
  for (const auto& [name, value] : event.members()) {
    const bool everywhere =
        name == "at" || name == "event" || name == "sequence" || name == "batch";
    if (everywhere || value.is_null()) continue;
    line += "  " + name + "=";
    if (value.is_string()) {
      line += value.as_string();
    } else if (value.is_array() && value.items().size() > 1) {
      line += "[" + std::to_string(value.items().size()) + "]";
    } else {
      json::write_canonical(value, line);
    }
  }
  return line;
}

}  // namespace

int op_list(const Common& common, const ListOptions& options) {
  Remote remote(common);
  const auto answer = remote.call("GET", "/v1/operations" + query_of(options));
  if (!answer.has_value()) return remote.show_failure(answer.error());
  if (answer->status != 200) return remote.show_problem(*answer);
  if (common.json) {
    print(answer->text);
    return kOk;
  }
  const json::Value* list = answer->value.find("operations");
  if (list == nullptr || !list->is_array()) return complain(common, kInternal, "a strange answer");
  for (const json::Value& one : list->items()) print(receipt_line(one, use_colour()));
  const std::string cursor = text_of(answer->value, "cursor");
  if (!cursor.empty()) say("more: --cursor " + cursor);
  return kOk;
}

int op_show(const Common& common, const OpOptions& options) {
  std::string below;
  if (!options.wait.empty()) {
    auto wait = parse_duration(options.wait);
    if (!wait.has_value()) return complain(common, kUsage, wait.error().message);
    below = "?wait=" + std::to_string(std::chrono::ceil<std::chrono::seconds>(*wait).count());
  }
  Remote remote(common);
  return remote.show_receipt(remote.call("GET", path_of(options, below)));
}

int op_events(const Common& common, const OpOptions& options) {
  Remote remote(common);
  const auto answer = remote.call("GET", path_of(options, "/events"));
  if (!answer.has_value()) return remote.show_failure(answer.error());
  if (answer->status != 200) return remote.show_problem(*answer);
  const json::Value* events = answer->value.find("events");
  if (common.json || events == nullptr || !events->is_array()) {
    print(answer->text);
    return kOk;
  }
  for (const json::Value& event : events->items()) print(event_line(event));
  return kOk;
}

int op_act(const Common& common, const OpOptions& options, const std::string& action) {
  std::string body;
  json::Writer out(body);
  out.begin_object();
  if (!options.verdict.empty()) out.member("verdict", std::string_view(options.verdict));
  if (!options.who.empty()) out.member("who", std::string_view(options.who));
  if (!options.why.empty()) out.member("why", std::string_view(options.why));
  out.end_object();
  Remote remote(common);
  const auto answer = remote.call("POST", path_of(options, "/" + action), body);
  const int code = remote.show_receipt(answer);
  // Deciding succeeded even where the operation itself ended otherwise.
  return answer.has_value() && answer->status == 200 ? kOk : code;
}

}  // namespace trued::cli
