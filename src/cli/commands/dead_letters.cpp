// trued dead-letters and trued worklist: what reached a bound, and what waits for a person.
#include <algorithm>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/remote.h"
#include "cli/texts.h"
#include "core/cause.h"
#include "json/writer.h"

namespace trued::cli {
namespace {

constexpr std::uint32_t kPageMax = 1'000;    // what a server takes at a time
constexpr std::uint32_t kPacedSeconds = 20;  // of one request, so that something is seen of it
constexpr const char* kIndent = "             ";

/// Parameters of a query, those that are not empty.
class Query {
 public:
  Query& add(const char* name, const std::string& value) {
    if (value.empty()) return *this;
    text_ += (text_.empty() ? "?" : "&") + std::string(name) + "=" + query_encode(value);
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// kOk, or it has complained: nothing was sent.
int check(const Common& common, const std::vector<GivenText>& given,
          const std::string& older_than = {}) {
  const auto wrong = not_utf8(given);
  if (!wrong.empty()) return complain_of_each(common, kUsage, wrong, "nothing was sent");
  if (older_than.empty()) return kOk;
  const auto span = parse_duration(older_than);
  if (span.has_value()) return kOk;
  return complain(common, kUsage, "--older-than " + span.error().message);
}

int check(const Common& common, const DeadLetterOptions& o) {
  std::vector<GivenText> given{{"--type", o.type},   {"--target", o.target}, {"--scope", o.scope},
                               {"--cause", o.cause}, {"--cursor", o.cursor}, {"--who", o.who},
                               {"--why", o.why}};
  for (const std::string& id : o.ids) given.push_back({"an id", id});
  return check(common, given, o.older_than);
}

void say_more(const json::Value& answer) {
  const std::string cursor = text_of(answer, "cursor");
  if (!cursor.empty()) say("more: --cursor " + plain(cursor));
}

std::string letter_text(const json::Value& letter) {
  const json::Value& operation = member_of(letter, "operation");
  std::string text = receipt_line(operation, use_colour());
  text += "\n" + std::string(kIndent) + shown(letter, "cause") + " since " +
          shown(letter, "ended_at") + ", owner " + shown(letter, "owner") + ": " +
          shown(operation, "reason");
  const std::string expires = shown(letter, "expires_at");
  if (!expires.empty()) text += "\n" + std::string(kIndent) + "can be redriven until " + expires;
  if (is_true(letter, "poison")) {
    text += "\n" + std::string(kIndent) + "POISON: it ended the same " +
            number_text(letter, "endings") + " times in a row";
  }
  const json::Value& left = member_of(letter, "left");
  if (left.is_object()) {
    text += "\n" + std::string(kIndent) + "left by a redrive (" + shown(left, "code") +
            "): " + shown(left, "detail");
  }
  return text;
}

std::string body_of(const DeadLetterOptions& o, std::uint32_t limit, const std::string& cursor) {
  std::string body;
  json::Writer out(body);
  const auto put = [&](const char* name, const std::string& text) {
    if (!text.empty()) out.key(name).exact(text);
  };
  out.begin_object();
  if (!o.ids.empty()) {
    out.key("ids").begin_array();
    for (const std::string& id : o.ids) out.exact(id);
    out.end_array();
  } else {
    out.key("filter").begin_object();
    put("type", o.type);
    put("target", o.target);
    put("scope", o.scope);
    put("cause", o.cause);
    put("older_than", o.older_than);
    out.end_object().member("limit", limit);
    put("cursor", cursor);
  }
  if (o.rate > 0) out.member("rate", o.rate);
  if (o.poison) out.member("poison", true);
  if (o.may_repeat) out.member("may_repeat", true);
  if (o.dry_run) out.member("dry_run", true);
  put("who", o.who);
  put("why", o.why);
  out.end_object();
  return body;
}

void print_entries(const json::Value& answer, bool dry_run) {
  const auto line = [](const char* what, const json::Value& entry) {
    return what + shown(entry, "id") + "  " + shown(entry, "target") + "  " + shown(entry, "key");
  };
  for (const json::Value& entry : items_of(answer, "redriven")) {
    print(line(dry_run ? "would be redriven  " : "redriven  ", entry) + "  (" +
          shown(entry, "cause") + ")");
  }
  for (const json::Value& entry : items_of(answer, "left")) {
    print(line("left      ", entry) + "  " + shown(entry, "code") + ": " + shown(entry, "detail"));
  }
}

bool names_some(const DeadLetterOptions& o) {
  return !o.type.empty() || !o.target.empty() || !o.scope.empty() || !o.cause.empty() ||
         !o.older_than.empty();
}

// kOk, or it has complained.
int check_choice(const Common& common, const DeadLetterOptions& o) {
  if (!o.ids.empty() && (names_some(o) || o.all || !o.cursor.empty())) {
    return complain(common, kUsage, "give ids or say which by options, not both");
  }
  if (o.ids.size() > kPageMax) return complain(common, kUsage, "at most 1000 ids at once");
  if (o.ids.empty() && !names_some(o) && !o.all) {
    return complain(common, kUsage,
                    "say which: ids, --type, --target, --scope, --cause, --older-than, or --all");
  }
  return kOk;
}

/// How far a redrive has come.
struct Progress {
  std::uint64_t pages = 0;
  std::uint64_t redriven = 0;
  std::uint64_t left = 0;
  std::string cursor = {};  ///< where the next page begins
};

std::string counted(const DeadLetterOptions& o, const Progress& done) {
  return std::to_string(done.redriven) + (o.dry_run ? " would be redriven, " : " redriven, ") +
         std::to_string(done.left) + " left";
}

// A page has failed; what went before it stands.
int show_broken_off(const Common& common, Remote& remote, const DeadLetterOptions& o,
                    const Progress& done, const Result<RemoteAnswer>& answer) {
  if (done.pages == 0 && !answer.has_value()) {
    return remote.show_failure(answer.error(),
                               "The server may have redriven some; run it again: they are no dead "
                               "letters any more");
  }
  if (done.pages == 0) return remote.show_problem(*answer);
  std::string why = answer.has_value() ? "the server answered " + std::to_string(answer->status)
                                       : answer.error().message;
  if (answer.has_value() && answer->value.is_object()) why = problem_text(answer->value);
  return complain(
      common, kTempFail,
      why + ". " + counted(o, done) + " so far; go on with --cursor " + plain(done.cursor));
}

std::string work_text(const json::Value& work) {
  const json::Value& operation = member_of(work, "operation");
  std::string text = receipt_text(operation, use_colour(), false);
  text += "\n  " + shown(work, "cause") + " since " + shown(work, "since") + "; " +
          shown(work, "owner") + " decides by " + shown(work, "decide_by") +
          (is_true(work, "overdue") ? " (OVERDUE)" : "");
  for (const json::Value& attempt : items_of(work, "attempts")) {
    text += "\n  attempt " + number_text(attempt, "attempt") + " at " +
            shown(attempt, "started_at") + ": " + shown(attempt, "outcome");
    const std::string reason = shown(attempt, "reason");
    if (!reason.empty()) text += ", " + reason;
    text += "; read back " + number_text(attempt, "reads") + " time(s)";
  }
  for (const json::Value& late : items_of(work, "late_evidence")) {
    text += "\n  too late: " + event_line(late);
  }
  for (const json::Value& choice : items_of(work, "choices")) {
    const std::string word = shown(choice, "choice");
    const std::string id = shown(operation, "id");
    const bool verdict = word.starts_with("it_");
    text += "\n  trued op " + (verdict ? "resolve " + id + " " + word : word + " " + id) +
            "\n      " + shown(choice, "effect");
  }
  return text;
}

}  // namespace

int dead_letters_list(const Common& common, const DeadLetterOptions& o) {
  if (const int code = check(common, o); code != kOk) return code;
  Query query;
  query.add("type", o.type).add("target", o.target).add("scope", o.scope).add("cause", o.cause);
  query.add("older_than", o.older_than).add("cursor", o.cursor);
  query.add("limit", std::to_string(o.limit.value_or(50)));
  if (o.poison) query.add("poison", "true");
  Remote remote(common);
  const auto answer = remote.call("GET", "/v1/dead-letters" + query.text());
  if (!answer.has_value()) return remote.show_failure(answer.error(), kOnlyLooked);
  if (answer->status != 200) return remote.show_problem(*answer);
  if (common.json) {
    print(answer->text);
    return kOk;
  }
  for (const char* list : {"dead_letters", "poison"}) {
    for (const json::Value& letter : items_of(answer->value, list)) print(letter_text(letter));
  }
  say_more(answer->value);
  return kOk;
}

int dead_letters_redrive(const Common& common, const DeadLetterOptions& o) {
  if (const int code = check(common, o); code != kOk) return code;
  if (const int code = check_choice(common, o); code != kOk) return code;
  Remote remote(common);
  const std::uint32_t page_max = o.rate > 0 ? std::min(o.rate * kPacedSeconds, kPageMax) : kPageMax;
  Progress done{.cursor = o.cursor};
  std::uint64_t rest = o.limit.value_or(0) == 0 ? ~std::uint64_t{0} : *o.limit;
  do {
    const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(rest, page_max));
    const auto answer =
        remote.call("POST", "/v1/dead-letters/redrive", body_of(o, limit, done.cursor));
    if (!answer.has_value() || answer->status != 200) {
      return show_broken_off(common, remote, o, done, answer);
    }
    const std::size_t redriven = items_of(answer->value, "redriven").size();
    const std::size_t kept = items_of(answer->value, "left").size();
    ++done.pages;
    done.redriven += redriven;
    done.left += kept;
    rest -= std::min<std::uint64_t>(rest, redriven + kept);
    common.json ? print(answer->text) : print_entries(answer->value, o.dry_run);
    done.cursor = text_of(answer->value, "cursor");
  } while (!done.cursor.empty() && rest > 0);
  // What a query finds and leaves is as it should be; what was named was meant.
  const int code = !o.ids.empty() && done.left > 0 ? kBadData : kOk;
  if (common.json) return code;
  say(counted(o, done));
  if (!done.cursor.empty()) say("more: --cursor " + plain(done.cursor));
  return code;
}

int worklist(const Common& common, const WorklistOptions& o) {
  const int code = check(common, {{"--type", o.type},
                                  {"--target", o.target},
                                  {"--scope", o.scope},
                                  {"--owner", o.owner},
                                  {"--cursor", o.cursor}});
  if (code != kOk) return code;
  Query query;
  query.add("type", o.type).add("target", o.target).add("scope", o.scope).add("owner", o.owner);
  query.add("cursor", o.cursor).add("limit", std::to_string(o.limit));
  if (o.overdue) query.add("overdue", "true");
  Remote remote(common);
  const auto answer = remote.call("GET", "/v1/worklist" + query.text());
  if (!answer.has_value()) return remote.show_failure(answer.error(), kOnlyLooked);
  if (answer->status != 200) return remote.show_problem(*answer);
  if (common.json) {
    print(answer->text);
    return kOk;
  }
  const auto& works = items_of(answer->value, "worklist");
  for (const json::Value& work : works) print(work_text(work));
  if (works.empty() && text_of(answer->value, "cursor").empty())
    say("nobody has to decide anything");
  say_more(answer->value);
  return kOk;
}

}  // namespace trued::cli
