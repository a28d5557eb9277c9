// trued op: looking at operations, and deciding about them.
#include <algorithm>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "cli/texts.h"
#include "core/operation.h"
#include "json/canonical.h"
#include "json/writer.h"

namespace trued::cli {
namespace {

std::string path_of(const OpOptions& options, const std::string& below = {}) {
  return "/v1/operations/" + query_encode(options.id) + below;
}

// kOk, or it has complained: what is not UTF-8 names nothing that a server could know.
int check_texts(const Common& common, const std::vector<GivenText>& given) {
  const auto wrong = not_utf8(given);
  return wrong.empty() ? kOk : complain_of_each(common, kUsage, wrong, "nothing was sent");
}

// kOk, or it has complained: only a level that there is, and what a header can carry.
int check_level(const Common& common, const LevelOptions& level) {
  const std::string word = level.consistency.substr(0, level.consistency.find(';'));
  const bool known = word == "strong" || word == "session" || word == "monotonic" ||
                     word == "eventual" || level.consistency.empty();
  if (!known) {
    return complain(
        common, kUsage,
        "there is no level '" + plain(word) + "'; known: strong, session, monotonic, eventual");
  }
  const auto visible = [](char c) { return c >= ' ' && c <= '~'; };
  if (!std::ranges::all_of(level.consistency + level.session, visible)) {
    return complain(common, kUsage,
                    "--session is the session of an earlier answer, and --consistency a level: "
                    "both are visible ASCII");
  }
  if (word != "session" || !level.session.empty()) return kOk;
  return complain(common, kUsage,
                  "--consistency session needs --session TOKEN: 'session' in the --json output of "
                  "what was written or looked at before; begin with monotonic");
}

std::vector<io::Header> headers_of(const LevelOptions& level) {
  std::vector<io::Header> headers;
  if (!level.consistency.empty()) headers.push_back({"Trued-Consistency", level.consistency});
  if (!level.session.empty()) headers.push_back({"Trued-Session", level.session});
  return headers;
}

// To whoever asked for a level; programs find it in the answer.
void say_level(const Common& common, const LevelOptions& level, const RemoteAnswer& answer) {
  if (common.json || (level.consistency.empty() && level.session.empty())) return;
  say("served: " + plain(answer.served));
  say("session: " + plain(answer.session));
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

// Every word of an enumeration whose first value is 0.
template <class Enumeration>
std::string all_of() {
  constexpr auto kLast = [] {
    if constexpr (std::is_same_v<Enumeration, Status>)
      return Status::needs_action;
    else
      return State::canceled;
  }();
  std::string words;
  for (int i = 0; i <= static_cast<int>(kLast); ++i) {
    words += (i == 0 ? "" : ", ") + std::string(to_string(static_cast<Enumeration>(i)));
  }
  return words;
}

}  // namespace

int op_list(const Common& common, const ListOptions& options) {
  const int code = check_texts(common, {{"--type", options.type},
                                        {"--status", options.status},
                                        {"--state", options.state},
                                        {"--scope", options.scope},
                                        {"--key", options.key},
                                        {"--target", options.target},
                                        {"--since", options.since},
                                        {"--until", options.until},
                                        {"--cursor", options.cursor}});
  if (code != kOk) return code;
  if (!options.status.empty() && !parse_status(options.status)) {
    return complain(common, kUsage,
                    "there is no status '" + options.status + "'; known: " + all_of<Status>());
  }
  if (!options.state.empty() && !parse_state(options.state)) {
    return complain(common, kUsage,
                    "there is no state '" + options.state + "'; known: " + all_of<State>());
  }
  if (const int wrong = check_level(common, options.level); wrong != kOk) return wrong;
  Remote remote(common);
  const auto answer =
      remote.call("GET", "/v1/operations" + query_of(options), {}, headers_of(options.level));
  if (!answer.has_value()) return remote.show_failure(answer.error(), kOnlyLooked);
  say_level(common, options.level, *answer);
  if (answer->status != 200) return remote.show_problem(*answer);
  if (common.json) {
    print(answer->emitted());
    return kOk;
  }
  const json::Value* list = answer->value.find("operations");
  if (list == nullptr || !list->is_array()) return complain(common, kInternal, "a strange answer");
  for (const json::Value& one : list->items()) print(receipt_line(one, use_colour()));
  const std::string cursor = text_of(answer->value, "cursor");
  if (!cursor.empty()) say("more: --cursor " + plain(cursor));
  return kOk;
}

int op_show(const Common& common, const OpOptions& options) {
  if (const int code = check_texts(common, {{"the id", options.id}}); code != kOk) return code;
  std::string below;
  if (!options.wait.empty()) {
    auto wait = parse_duration(options.wait);
    if (!wait.has_value()) return complain(common, kUsage, "--wait " + wait.error().message);
    below = "?wait=" + std::to_string(std::chrono::ceil<std::chrono::seconds>(*wait).count());
  }
  if (const int wrong = check_level(common, options.level); wrong != kOk) return wrong;
  Remote remote(common);
  const auto answer = remote.call("GET", path_of(options, below), {}, headers_of(options.level));
  if (answer.has_value()) say_level(common, options.level, *answer);
  return remote.show_receipt(answer, kOnlyLooked);
}

int op_events(const Common& common, const OpOptions& options) {
  if (const int code = check_texts(common, {{"the id", options.id}}); code != kOk) return code;
  if (const int wrong = check_level(common, options.level); wrong != kOk) return wrong;
  Remote remote(common);
  const auto answer =
      remote.call("GET", path_of(options, "/events"), {}, headers_of(options.level));
  if (!answer.has_value()) return remote.show_failure(answer.error(), kOnlyLooked);
  say_level(common, options.level, *answer);
  if (answer->status != 200) return remote.show_problem(*answer);
  const json::Value* events = answer->value.find("events");
  if (common.json || events == nullptr || !events->is_array()) {
    print(answer->emitted());
    return kOk;
  }
  for (const json::Value& event : events->items()) print(event_line(event));
  return kOk;
}

int op_act(const Common& common, const OpOptions& options, const std::string& action) {
  const int wrong =
      check_texts(common, {{"the id", options.id}, {"--who", options.who}, {"--why", options.why}});
  if (wrong != kOk) return wrong;
  std::string body;
  json::Writer out(body);
  out.begin_object();
  if (!options.verdict.empty()) out.key("verdict").exact(options.verdict);
  if (!options.who.empty()) out.key("who").exact(options.who);
  if (!options.why.empty()) out.key("why").exact(options.why);
  out.end_object();
  Remote remote(common);
  const auto answer = remote.call("POST", path_of(options, "/" + action), body);
  const int code = remote.show_receipt(
      answer, "It may have been decided; see: trued op show " + shell_quoted(options.id));
  if (!answer.has_value() || answer->status != 200) return code;
  // Deciding succeeded even where the operation itself ended otherwise; what was only set going
  // again has not ended.
  return code == kTempFail ? kTempFail : kOk;
}

}  // namespace trued::cli
