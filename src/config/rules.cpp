#include "config/rules.h"

#include <algorithm>
#include <string_view>

#include "config/places.h"
#include "core/ids.h"

namespace trued::config {
namespace {

/// Collects what is wrong with one target.
class TargetRules {
 public:
  TargetRules(const TargetSpec& spec, const Config& config, const Rules& rules,
              std::vector<Wrong>& out)
      : spec_(spec), allow_exec_(config.allow_exec || rules.allow_exec), rules_(rules), out_(out) {}

  void check() {
    if (!valid_name(spec_.name)) {
      add({"kind"}, "a target's name has 1 to 64 characters of [A-Za-z0-9_.-]");
    }
    if (spec_.kind == "file") {
      if (spec_.location.empty()) add({"directory"}, "is missing: say which one is written to");
    } else if (spec_.kind == "git") {
      check_repository();
      check_author();
      // None is the one that the repository's HEAD names.
      const std::string wrong = spec_.branch.empty() ? "" : wrong_with_branch(spec_.branch);
      if (!wrong.empty()) {
        add({"branch"}, "'" + spec_.branch + "' is no name for a branch: " + wrong);
      }
    } else if (spec_.kind == "http") {
      check_http();
    } else if (spec_.kind == "postgres") {
      if (rules_.postgres) add_all(rules_.postgres(spec_.postgres));
      if (spec_.serving) add({"serving"}, "is not for kind \"postgres\": it is read by its calls");
    } else if (spec_.kind == "exec") {
      check_exec();
    } else if (spec_.kind == "worker") {
      check_worker();
    } else if (spec_.kind != "memory") {
      const std::string known = "file, git, memory, http, postgres, exec, worker";
      add({"kind"}, spec_.kind.empty() ? "is missing; known: " + known
                                       : "there is no kind '" + spec_.kind + "'; known: " + known);
    }
    if (spec_.serving) {
      const std::string wrong = rules_.serving(*spec_.serving);
      if (!wrong.empty()) add({"serving", "url"}, wrong);
    }
    check_bounds();
  }

 private:
  void add(std::vector<std::string> path, std::string message) {
    path.insert(path.begin(), {"target", spec_.name});
    out_.push_back({std::move(path), std::move(message)});
  }

  void add_all(std::vector<SpecFault> faults) {
    for (SpecFault& fault : faults) {
      const std::size_t dot = fault.setting.find('.');
      std::vector<std::string> path{fault.setting.substr(0, dot)};
      if (dot != std::string::npos) path.push_back(fault.setting.substr(dot + 1));
      add(std::move(path), std::move(fault.detail));
    }
  }

  void check_repository() {
    const std::string& where = spec_.location;
    const bool url = is_http_url(where);
    if (where.empty()) {
      add({"repository"}, "is missing: a path, or an http(s) URL");
    } else if (!url && where.find("://") != std::string::npos) {
      add({"repository"}, "'" + where.substr(0, where.find("://") + 3) +
                              "' is not supported: give a path, or an http:// or https:// URL");
    } else if (url) {
      const std::size_t host = where.find("://") + 3;
      const std::string authority = where.substr(host, where.find('/', host) - host);
      if (authority.empty()) add({"repository"}, "'" + where + "' names no host");
      if (authority.find('@') != std::string::npos) {
        add({"repository"}, "holds credentials; give them as username and password");
      }
    }
    const bool credentials =
        !spec_.username.empty() || !spec_.password.empty() || !spec_.bearer_token.empty();
    if (credentials && !url && !where.empty()) {
      const char* name = !spec_.username.empty()   ? "username"
                         : !spec_.password.empty() ? "password"
                                                   : "bearer_token";
      add({name}, "credentials are for a repository over http(s); a path needs none");
    } else if (!spec_.username.empty() && spec_.password.empty()) {
      add({"username"}, "is without a password: add password = \"${env:NAME}\"");
    }
  }

  void check_http() {
    if (!rules_.http) return;
    add_all(rules_.http(spec_.http));
    const Duration total = spec_.http.total_timeout;
    if (total > spec_.policy.effect_timeout) {
      add({"timeouts", "total"}, format_duration(total) + " is longer than effect_timeout, " +
                                     format_duration(spec_.policy.effect_timeout) +
                                     ", after which an attempt counts as unknown");
    }
  }

  void check_worker() {
    constexpr Duration kLeaseMin{1'000};
    constexpr Duration kLeaseMax{3'600'000};
    const Duration lease = spec_.worker.lease;
    if (lease < kLeaseMin || lease > kLeaseMax) {
      add({"lease"}, format_duration(lease) +
                         " is out of range; expected 1s to 1h: the time for "
                         "which a worker may be silent");
    }
    if (spec_.serving) add({"serving"}, "is not for kind \"worker\": it is read by other targets");
  }

  void check_exec() {
    if (!allow_exec_) {
      add({"kind"},
          "\"exec\" runs commands on this machine, which is off; allow_exec = true at the top of "
          "the file, or --allow-exec, allows it");
    }
    if (rules_.exec) add_all(rules_.exec(spec_.exec));
    if (spec_.serving) add({"serving"}, "is not for kind \"exec\": it is read by its calls");
    if (spec_.exec.timeout > spec_.policy.effect_timeout) {
      add({"timeout"}, format_duration(spec_.exec.timeout) + " is longer than effect_timeout, " +
                           format_duration(spec_.policy.effect_timeout) +
                           ", after which an attempt counts as unknown");
    }
  }

  // git writes "NAME <EMAIL>" into every commit and refuses what would break that line.
  void check_author() {
    const auto bad = [](const std::string& text) {
      return text.find_first_not_of(" .,:;<>\"\\'") == std::string::npos ||
             text.find_first_of("<>\n") != std::string::npos;
    };
    if (bad(spec_.author_name))
      add({"author_name"}, "cannot stand in a commit: it is empty or holds <, >");
    if (bad(spec_.author_email))
      add({"author_email"}, "cannot stand in a commit: it is empty or holds <, >");
  }

  void check_pause(const char* table, Duration first, Duration cap) {
    if (first <= cap) return;
    add({table, "first"}, format_duration(first) + " is longer than cap, " + format_duration(cap) +
                              ", which bounds every pause");
  }

  void check_gates(const GatePolicy& gates) {
    const BreakerPolicy& breaker = gates.breaker;
    if (breaker.open.count() < 1) add({"breaker", "open"}, "is no time; expected at least 1ms");
    if (breaker.open > breaker.open_max) {
      add({"breaker", "open"}, format_duration(breaker.open) + " is longer than open_max, " +
                                   format_duration(breaker.open_max) +
                                   ", which bounds every pause");
    }
    if (breaker.window < Duration{1'000}) {
      add({"breaker", "window"},
          format_duration(breaker.window) + " is too short to say anything; expected at least 1s");
    }
    if (breaker.rate_permille == 0) {
      add({"breaker", "rate"},
          "0 would open the breaker of a target that answers everybody; "
          "breaker = false switches it off");
    }
    if (gates.rate.burst > 0 && gates.rate.per_second == 0) {
      add({"limits", "burst"}, "means nothing without per_second: add it, or leave burst out");
    }
  }

  void check_bounds() {
    const Policy& policy = spec_.policy;
    check_pause("retry", policy.retry.first, policy.retry.cap);
    check_pause("settle", policy.store.first, policy.store.cap);
    check_pause("unreadable", policy.unreadable.first, policy.unreadable.cap);
    if (spec_.serving && policy.serving.first > policy.serving.cap) {
      add({"serving", "settle", "first"}, format_duration(policy.serving.first) +
                                              " is longer than cap, " +
                                              format_duration(policy.serving.cap));
    }
    check_gates(policy.gates);
    const std::string sum = check_retention(policy, spec_.serving.has_value());
    if (!sum.empty()) add({"retention"}, sum);
  }

  const TargetSpec& spec_;
  bool allow_exec_;
  const Rules& rules_;
  std::vector<Wrong>& out_;
};

// Whose token it is decides what it may do, so one secret cannot be two people's.
void check_tokens(const Config& config, std::vector<Wrong>& out) {
  // One that could not be read has its fault already.
  const Digest none = sha256("");
  for (std::size_t i = 0; i < config.tokens.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const TokenSpec& token = config.tokens.at(i);
      if (token.sha256 == none || token.sha256 != config.tokens.at(j).sha256) continue;
      out.push_back({{"token", token.name, "secret"},
                     "is that of token '" + config.tokens.at(j).name + "' too; give each its own"});
    }
  }
}

}  // namespace

std::string to_string(const Wrong& wrong) {
  std::string text;
  for (const std::string& part : wrong.path) text += (text.empty() ? "" : ".") + part;
  return text + ": " + wrong.message;
}

std::vector<Wrong> wrong_with(const Config& config, const Rules& rules) {
  std::vector<Wrong> out;
  if (!is_loopback(config.address) && config.tokens.empty()) {
    out.push_back({{"listen"},
                   "refusing to listen at " + config.address +
                       " without a token: add [token.NAME] secret = \"${env:…}\" to the "
                       "configuration, or listen at 127.0.0.1"});
  }
  const std::string& minimum = config.minimum_durability;
  if (!config.shared_ledger && (minimum == "standby" || minimum == "quorum")) {
    out.push_back({{"ledger", "minimum_durability"},
                   "\"" + minimum +
                       "\" can never be met by a ledger in a file: a commit there is on this "
                       "machine's disk alone (\"fsync\"). Put the ledger on a PostgreSQL server "
                       "with synchronous standbys (url = \"postgresql://…\"), or ask for "
                       "\"fsync\""});
  }
  if (config.shared_ledger && rules.postgres) {
    const PostgresSpec where{.url = config.shared_ledger->url,
                             .password = config.shared_ledger->password};
    for (SpecFault& fault : rules.postgres(where)) {
      out.push_back({{"ledger", fault.setting}, std::move(fault.detail)});
    }
  }
  for (const TargetSpec& spec : config.targets) TargetRules(spec, config, rules, out).check();
  check_places(config, rules, out);
  check_tokens(config, out);
  return out;
}

std::string wrong_with_branch(const std::string& name) {
  constexpr std::string_view kForbidden = " ~^:?*[\\";
  if (name.empty()) return "it is empty";
  if (name.starts_with('-')) return "it starts with '-'";
  if (name == "@") return "it is '@'";
  if (name.starts_with('/') || name.ends_with('/') || name.find("//") != std::string::npos) {
    return "a part between slashes is empty";
  }
  if (name.ends_with('.')) return "it ends with '.'";
  if (name.find("..") != std::string::npos) return "it holds '..'";
  if (name.find("@{") != std::string::npos) return "it holds '@{'";
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "it holds a control character";
    if (kForbidden.find(c) != std::string_view::npos) {
      return std::string("it holds '") + c + "'";
    }
  }
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = std::string_view(name).substr(begin, end - begin);
    if (part.starts_with('.')) return "a part of it starts with '.'";
    if (part.ends_with(".lock")) return "a part of it ends with '.lock'";
    begin = end + 1;
  }
  return "";
}

bool is_http_url(const std::string& text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

}  // namespace trued::config
