#include "ledger/postgres/durability.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>
#include <utility>

namespace trued::postgres {

// A setting that an engine does not know is missing from the text, and counts as off.
const char* const kReadTerms = R"sql(
SELECT coalesce(current_setting('fsync', true), ''),
  coalesce(current_setting('full_page_writes', true), ''),
  coalesce(current_setting('synchronous_commit', true), ''),
  coalesce(current_setting('synchronous_standby_names', true), ''),
  concat_ws(' ', current_setting('fsync', true), current_setting('full_page_writes', true),
    current_setting('synchronous_commit', true),
    current_setting('synchronous_standby_names', true)),
  pg_is_in_recovery()
)sql";

// Copies that are being made are no standbys.
const char* const kReadStandbys =
    "SELECT coalesce(application_name, ''), state, sync_state FROM pg_stat_replication "
    "WHERE state IS DISTINCT FROM 'backup' ORDER BY application_name, pid LIMIT 100";

namespace {

constexpr const char* kNobodySeen =
    "which standbys follow: the role may not look at pg_stat_replication (GRANT pg_monitor TO it)";
constexpr const char* kTheirDisks =
    "whether fsync and full_page_writes are on at the standbys: the primary does not know";

/// synchronous_standby_names, taken apart: "ANY 2 (a, b, c)", "FIRST 1 (a, b)", "2 (a, b)", "a, b".
struct Names {
  bool any = false;
  bool everybody = false;  ///< '*': nobody knows how many there are
  std::size_t needed = 1;
  std::vector<std::string> names;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.remove_suffix(1);
  }
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Without the quotes around it, and with doubled ones inside as one.
std::string unquoted(std::string_view name) {
  name = trimmed(name);
  if (name.size() < 2 || name.front() != '"' || name.back() != '"') return std::string(name);
  std::string out;
  for (std::size_t i = 1; i + 1 < name.size(); ++i) {
    out += name[i];
    if (name[i] == '"' && name[i + 1] == '"') ++i;
  }
  return out;
}

// Everything up to a comma or the closing parenthesis, outside of quotes.
std::vector<std::string> names_in(std::string_view list) {
  std::vector<std::string> names;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= list.size(); ++i) {
    const char c = i < list.size() ? list[i] : ')';
    if (c == '"') quoted = !quoted;
    const bool end = i == list.size() || (!quoted && (c == ',' || c == ')'));
    if (!end) continue;
    names.push_back(unquoted(list.substr(begin, i - begin)));
    begin = i + 1;
    if (c == ')') break;
  }
  return names;
}

Names parse(std::string_view text) {
  Names names;
  text = trimmed(text);
  // A name may be quoted, and hold anything then; a count stands before a parenthesis only.
  const std::size_t open = text.starts_with('"') ? std::string_view::npos : text.find('(');
  std::string_view list = text;
  if (open != std::string_view::npos) {
    std::string_view head = trimmed(text.substr(0, open));
    if (lower(head).starts_with("any")) {
      names.any = true;
      head = trimmed(head.substr(3));
    } else if (lower(head).starts_with("first")) {
      head = trimmed(head.substr(5));
    }
    (void)std::from_chars(head.data(), head.data() + head.size(), names.needed);
    list = text.substr(open + 1);
  }
  names.names = names_in(list);
  // The server takes it for everybody, quoted or not.
  names.everybody = std::ranges::find(names.names, "*") != names.names.end();
  return names;
}

bool may_be_waited_for(const Standby& standby) {
  return standby.sync == "quorum" || standby.sync == "sync" || standby.sync == "potential";
}

bool streams(const Standby& standby) { return standby.state == "streaming"; }

// Named, and not streaming.
std::string missing(const Names& names, const std::vector<Standby>& standbys) {
  std::string out;
  for (const std::string& name : names.names) {
    const bool there = std::ranges::any_of(standbys, [&](const Standby& standby) {
      return lower(standby.name) == lower(name) && streams(standby);
    });
    if (!there) out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

std::string standbys_of(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " standby" : " standbys");
}

// A commit that came back is where the settings say. Who is away decides on whether it comes back.
void judge(Durability& out, const Terms& terms, const Names& names) {
  out.sentence = "a commit waits for this server's disk and for " + standbys_of(names.needed) +
                 " of " +
                 (names.everybody ? std::string("those connected")
                                  : "the " + std::to_string(names.names.size()) + " named");
  out.unseen.emplace_back(kTheirDisks);
  if (terms.synchronous_commit == "remote_write") {
    out.sentence += ", for its memory only: a loss of power at all of them can take it back";
  }
  // Primary and standbys that were waited for, against all of them.
  const bool majority =
      names.any && !names.everybody && 2 * (names.needed + 1) > names.names.size() + 1;
  out.level = majority && terms.synchronous_commit != "remote_write" ? DurabilityLevel::quorum
                                                                     : DurabilityLevel::standby;
  if (!out.standbys) {
    out.unseen.emplace_back(kNobodySeen);
    return;
  }
  const auto candidates =
      static_cast<std::size_t>(std::ranges::count_if(*out.standbys, may_be_waited_for));
  const auto ready =
      static_cast<std::size_t>(std::ranges::count_if(*out.standbys, [](const Standby& standby) {
        return may_be_waited_for(standby) && streams(standby);
      }));
  if (!names.everybody && candidates > names.names.size()) {
    out.level = DurabilityLevel::standby;
    out.sentence += "; more standbys than names: several share one, so they are no majority";
  }
  out.commits_wait = ready < names.needed;
  if (out.commits_wait) {
    out.sentence += "; only " + std::to_string(ready) + " stream now, so commits wait";
  }
  if (const std::string away = names.everybody ? "" : missing(names, *out.standbys);
      !away.empty()) {
    out.sentence += "; not streaming: " + away;
  }
}

}  // namespace

Result<Terms> read_terms(Fields& row) {
  Terms terms;
  terms.fsync = row.text();
  terms.full_page_writes = row.text();
  terms.synchronous_commit = row.text();
  terms.synchronous_standby_names = row.text();
  terms.text = row.text();
  terms.in_recovery = row.truth();
  TRUED_TRY_VOID(row.check());
  return terms;
}

std::optional<std::vector<Standby>> read_standbys(const pg::Rows& rows) {
  std::vector<Standby> standbys;
  for (const auto& values : rows.values) {
    Fields row(values);
    Standby standby{.name = row.text(), .state = {}, .sync = {}};
    if (row.null()) return std::nullopt;
    standby.state = row.text();
    if (row.null()) return std::nullopt;
    standby.sync = row.text();
    if (!row.check().has_value()) return std::nullopt;
    standbys.push_back(std::move(standby));
  }
  return standbys;
}

Durability durability_of(const Terms& terms, std::optional<std::vector<Standby>> standbys) {
  Durability out;
  out.level = DurabilityLevel::none;
  out.standbys = std::move(standbys);
  if (terms.fsync != "on") {
    out.sentence = "fsync is " + terms.fsync +
                   ": a crash of the machine can take back or destroy what was committed";
  } else if (terms.synchronous_commit == "off") {
    out.sentence = "synchronous_commit is off: a crash of the server takes back the last commits";
  } else if (terms.full_page_writes != "on") {
    out.sentence = "full_page_writes is " + terms.full_page_writes +
                   ": a loss of power can tear a page, unless the file system never does";
  } else if (trimmed(terms.synchronous_standby_names).empty() ||
             terms.synchronous_commit == "local") {
    out.level = DurabilityLevel::fsync;
    out.sentence =
        "a commit waits for this server's disk and for no standby: a failover can lose the last "
        "ones";
  } else {
    judge(out, terms, parse(terms.synchronous_standby_names));
  }
  return out;
}

// Two questions, since not every engine that is asked the first can answer the second.
Result<Promise> ask_promise(const Ask& ask) {
  TRUED_TRY(const pg::Rows rows, ask(kReadTerms));
  if (rows.values.size() != 1) {
    return Error{.code = ErrorCode::corrupt, .message = "the server does not show its settings"};
  }
  Fields row(rows.values.front());
  Promise promise;
  TRUED_TRY(promise.terms, read_terms(row));
  if (promise.terms.in_recovery) {
    return Error{.code = ErrorCode::unavailable,
                 .retryable = true,
                 .message = "a standby answered: what the primary promises is not known"};
  }
  const auto followers = ask(kReadStandbys);
  promise.durability = durability_of(
      promise.terms, followers.has_value() ? read_standbys(*followers) : std::nullopt);
  return promise;
}

}  // namespace trued::postgres
