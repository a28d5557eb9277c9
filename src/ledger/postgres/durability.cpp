#include "ledger/postgres/durability.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>

namespace trued::postgres {

// Who may not look at others' replication sees rows without their state.
const char* const kReadSettings =
    "SELECT current_setting('fsync'), current_setting('full_page_writes'), "
    "current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), "
    "CASE WHEN EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IS NULL) THEN -1 ELSE "
    "(SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND "
    "state = 'streaming') END";

namespace {

/// synchronous_standby_names, taken apart: "ANY 2 (a, b, c)", "FIRST 1 (a, b)", "2 (a, b)", "a, b".
struct Names {
  bool any = false;
  bool everybody = false;  ///< '*': nobody knows how many there are
  int needed = 1;
  int named = 0;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

Names parse(std::string_view text) {
  Names names;
  const std::size_t open = text.find('(');
  std::string_view list = text;
  if (open != std::string_view::npos) {
    std::string_view head = trimmed(text.substr(0, open));
    if (lower(head).starts_with("any ")) {
      names.any = true;
      head = trimmed(head.substr(4));
    } else if (lower(head).starts_with("first ")) {
      head = trimmed(head.substr(6));
    }
    (void)std::from_chars(head.data(), head.data() + head.size(), names.needed);
    list = text.substr(open + 1);
    list = list.substr(0, list.rfind(')'));
  }
  bool quoted = false;
  names.named = 1;
  for (const char c : list) {
    if (c == '"') quoted = !quoted;
    if (c == ',' && !quoted) ++names.named;
    if (c == '*' && !quoted) names.everybody = true;
  }
  return names;
}

std::string sentence_of(const Settings& s, const Names& names) {
  const std::string count = std::to_string(names.needed);
  std::string out =
      "a commit waits for this server's disk and for " + count +
      (names.needed == 1 ? " standby" : " standbys") + " of " +
      (names.everybody ? std::string("those connected") : std::to_string(names.named));
  if (s.synchronous_commit == "remote_write") {
    out += ", for its memory only: a loss of power at all of them can take it back";
  }
  if (s.streaming >= 0 && s.streaming < names.needed) {
    out += "; only " + std::to_string(s.streaming) + " streams now, so commits wait";
  }
  return out;
}

}  // namespace

PostgresDurability durability_of(const Settings& s) {
  if (s.fsync != "on") {
    return {"none", "fsync is " + s.fsync +
                        ": a crash of the machine can take back or destroy "
                        "what was committed"};
  }
  if (s.synchronous_commit == "off") {
    return {"none", "synchronous_commit is off: a crash of the server takes back the last commits"};
  }
  if (s.full_page_writes != "on") {
    return {"none", "full_page_writes is " + s.full_page_writes +
                        ": a loss of power can tear a page, unless the file system never does"};
  }
  if (trimmed(s.synchronous_standby_names).empty() || s.synchronous_commit == "local") {
    return {"fsync",
            "a commit waits for this server's disk and for no standby: a failover can "
            "lose the last ones"};
  }
  const Names names = parse(s.synchronous_standby_names);
  // Primary and standbys that were waited for, against all of them.
  const bool majority = names.any && !names.everybody && 2 * (names.needed + 1) > names.named + 1;
  return {majority && s.synchronous_commit != "remote_write" ? "quorum" : "standby",
          sentence_of(s, names)};
}

}  // namespace trued::postgres
