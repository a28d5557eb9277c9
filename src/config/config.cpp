#include "config/config.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "config/exec.h"
#include "config/http.h"
#include "config/ledger.h"
#include "config/operations.h"
#include "config/postgres.h"
#include "config/rules.h"
#include "config/table.h"
#include "core/ids.h"
#include "core/operation.h"

namespace trued::config {
namespace {

constexpr std::int64_t kCountMax = 1'000'000;

void read_retry(Table& parent, Faults& faults, RetryPolicy& retry) {
  const toml::table* found = parent.table("retry");
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".retry");
  table.number("attempts_max", retry.attempts_max, 1, 100);
  table.duration("first", retry.first);
  table.number("factor", retry.factor, 1, 10);
  table.duration("cap", retry.cap);
  table.check_names();
}

void read_settle(Table& parent, Faults& faults, const char* name, SettlePolicy& settle) {
  const toml::table* found = parent.table(name);
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + "." + name);
  table.duration("within", settle.within);
  table.number("reads_max", settle.reads_max, 1, 1'000);
  table.duration("first", settle.first);
  table.duration("cap", settle.cap);
  table.check_names();
}

void read_budget(Table& parent, Faults& faults, BudgetPolicy& budget) {
  const toml::table* found = parent.table_or_false("budget", budget.enabled);
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".budget");
  table.share("ratio", budget.ratio_permille);
  table.number("floor_per_second", budget.floor_per_second, 0, kCountMax);
  table.check_names();
}

void read_breaker(Table& parent, Faults& faults, BreakerPolicy& breaker) {
  const toml::table* found = parent.table_or_false("breaker", breaker.enabled);
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".breaker");
  table.number("consecutive", breaker.consecutive, 1, 1'000);
  table.share("rate", breaker.rate_permille);
  table.number("minimum", breaker.minimum, 1, kCountMax);
  table.duration("window", breaker.window);
  table.duration("open", breaker.open);
  table.duration("open_max", breaker.open_max);
  table.check_names();
}

void read_limits(Table& parent, Faults& faults, GatePolicy& gates) {
  const toml::table* found = parent.table("limits");
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".limits");
  table.number("concurrency", gates.concurrency, 1, 1'000);
  table.number("per_second", gates.rate.per_second, 1, kCountMax);
  table.number("burst", gates.rate.burst, 1, kCountMax);
  table.check_names();
}

void read_serving(Table& parent, Faults& faults, TargetSpec& spec) {
  const toml::table* found = parent.table("serving");
  if (found == nullptr) return;
  Table table(*found, faults, parent.path() + ".serving");
  ServingSpec serving;
  std::string kind = "http";
  table.text("kind", kind);
  if (kind != "http") table.fault("kind", "a serving level is read by kind \"http\"");
  table.text("url", serving.url);
  std::vector<HttpHeader> headers;
  read_headers(table, faults, headers);
  for (HttpHeader& header : headers) {
    serving.headers.emplace_back(std::move(header.name), std::move(header.value));
  }
  read_settle(table, faults, "settle", spec.policy.serving);
  table.check_names();
  spec.serving = std::move(serving);
}

void read_place(Table& table, TargetSpec& spec) {
  if (spec.kind == "file") {
    table.text("directory", spec.location);
  } else if (spec.kind == "git") {
    table.text("repository", spec.location);
    table.text("branch", spec.branch);
    if (table.has("branch") && spec.branch.empty()) table.fault("branch", "is empty; leave it out");
    table.text("author_name", spec.author_name);
    table.text("author_email", spec.author_email);
    table.secret("bearer_token", spec.bearer_token);
    table.text("username", spec.username);
    table.secret("password", spec.password);
    // One that cannot be read has its fault already, and is not missing besides.
    if (table.has("password") && spec.password.empty()) spec.password = "?";
  }
}

void read_care(Table& table, Care& care) {
  constexpr std::size_t kOwnerBytesMax = 200;
  table.text("owner", care.owner);
  const bool words = std::ranges::all_of(
      care.owner, [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != '\x7f'; });
  if (care.owner.empty() || care.owner.size() > kOwnerBytesMax || !words) {
    table.fault("owner", "expected who decides here, in 1 to 200 bytes of one line");
  }
  table.duration("decide_within", care.decide_within);
  if (care.decide_within.count() <= 0) {
    table.fault("decide_within", "expected more than nothing, such as \"4h\"");
  }
  table.number("poison_after", care.poison_after, 2, 1'000);
}

void read_target(const std::string& name, const toml::table& found, Faults& faults,
                 Config& config) {
  Table table(found, faults, "target." + name);
  TargetSpec spec;
  spec.name = name;
  if (name.starts_with("trued."))
    table.fault("kind", "names that begin with 'trued.' are the program's own");
  table.text("kind", spec.kind);
  spec.policy = default_policy(spec.kind);
  read_place(table, spec);
  if (spec.kind == "http") {
    read_http(table, faults, spec.http);
    spec.location = spec.http.base_url;
  } else if (spec.kind == "postgres") {
    read_postgres(table, spec.postgres);
    spec.location = without_password(spec.postgres.url);
  } else if (spec.kind == "exec") {
    read_exec(table, faults, spec.exec);
    spec.location = spec.exec.directory;
  } else if (spec.kind == "worker") {
    table.duration("lease", spec.worker.lease);
    table.flag("deduplicates", spec.worker.deduplicates);
    spec.policy.lease = spec.worker.lease;
    spec.location = "workers";
  } else {
    read_serving(table, faults, spec);
  }
  read_retry(table, faults, spec.policy.retry);
  read_settle(table, faults, "settle", spec.policy.store);
  read_settle(table, faults, "unreadable", spec.policy.unreadable);
  read_budget(table, faults, spec.policy.gates.budget);
  read_breaker(table, faults, spec.policy.gates.breaker);
  read_limits(table, faults, spec.policy.gates);
  table.duration("effect_timeout", spec.policy.effect_timeout);
  table.duration("deadline", spec.policy.deadline);
  table.duration("retention", spec.policy.retention);
  table.flag("verify", spec.policy.verify);
  std::string on_failure(to_string(spec.policy.on_failure));
  table.text("on_failure", on_failure);
  const auto parsed = parse_on_failure(on_failure);
  if (!parsed) table.fault("on_failure", "expected \"replay\", \"reexecute\" or \"poison\"");
  spec.policy.on_failure = parsed.value_or(OnFailure::replay);
  read_care(table, config.cares[name]);
  table.check_names();
  config.targets.push_back(std::move(spec));
}

void read_rights(Table& table, Rights& rights) {
  table.texts("scopes", rights.scopes);
  if (table.has("scopes") && rights.scopes.empty()) {
    table.fault("scopes", "names no scope; leave it out for every one");
  }
  for (const std::string& scope : rights.scopes) {
    if (valid_name(scope)) continue;
    table.fault("scopes", "'" + scope + "' is no scope: 1 to 64 characters of [A-Za-z0-9_.-]");
  }
  std::ranges::sort(rights.scopes);
  rights.scopes.erase(std::ranges::unique(rights.scopes).begin(), rights.scopes.end());
  std::vector<std::string> actions;
  table.texts("actions", actions);
  if (!table.has("actions")) return;
  rights.actions.fill(false);
  if (actions.empty()) table.fault("actions", "names no action; leave it out for all of them");
  for (const std::string& action : actions) {
    const auto known = std::ranges::find(kActionNames, action);
    if (known == kActionNames.end()) {
      table.fault("actions", "there is no action '" + action +
                                 "'; "
                                 "known: submit, read, resolve, apply, work");
    } else {
      rights.actions.at(static_cast<std::size_t>(known - kActionNames.begin())) = true;
    }
  }
}

void read_tokens(const toml::table& found, Faults& faults, Config& config) {
  for (const auto& [key, node] : found) {
    const std::string name(key.str());
    const toml::table* one = node.as_table();
    if (one == nullptr) {
      faults.add(node.source(), "token." + name + ": expected a table with a secret");
      continue;
    }
    Table table(*one, faults, "token." + name);
    std::string secret;
    table.secret("secret", secret);
    if (!table.has("secret")) table.fault("secret", "is missing: ${env:NAME} or ${file:PATH}");
    Rights rights;
    read_rights(table, rights);
    table.check_names();
    constexpr std::size_t kSecretBytesMin = 16;
    if (!secret.empty() && secret.size() < kSecretBytesMin) {
      table.fault("secret", "a token has at least 16 bytes");
    }
    config.tokens.push_back({name, sha256(secret), std::move(rights)});
  }
}

void read_server(Table& root, Faults& faults, Config& config) {
  std::string listen = config.address + ":" + std::to_string(config.port);
  root.text("listen", listen);
  const auto endpoint = parse_endpoint(listen);
  if (!endpoint.has_value()) {
    root.fault("listen", endpoint.error().message);
  } else {
    config.address = endpoint->address;
    config.port = endpoint->port;
  }
  read_ledger(root, faults, config);
  read_node(root, faults, config);
  root.text("state_dir", config.state_dir);
  root.texts("allowed_hosts", config.allowed_hosts);
  root.texts("allowed_origins", config.allowed_origins);
  root.number("body_bytes_max", config.body_bytes_max, 1'024, std::int64_t{1} << 30);
  root.number("open_max", config.open_max, 1, 10 * kCountMax);
  root.number("runner_threads", config.runner_threads, 1, 256);
  root.duration("drain_grace", config.drain_grace);
  root.flag("allow_exec", config.allow_exec);
}

// Where a setting stands; where it does not, the table that it is missing from.
const toml::source_region& place_of(const toml::table& document,
                                    const std::vector<std::string>& path) {
  const toml::node* at = &document;
  for (const std::string& part : path) {
    const toml::table* table = at->as_table();
    const toml::node* below = table == nullptr ? nullptr : table->get(part);
    if (below == nullptr) break;
    at = below;
  }
  return at->source();
}

// What only shows between definitions and targets. One that is unsound by itself hides nothing of
// the others; what names it cannot be judged until it is mended.
void check_operations(const Rules& rules, const toml::table* declared, Loaded& loaded) {
  const Config& config = loaded.config;
  const auto unsound = [&](const std::string& name) {
    return declared != nullptr && declared->contains(name) && !config.operations.contains(name);
  };
  const auto names_unsound = [&](const define::Definition& definition, const std::string& pointer) {
    if (definition.compensate && pointer.starts_with("/compensate")) {
      return unsound(definition.compensate->operation);
    }
    return std::ranges::any_of(definition.requirements, [&](const define::Requirement& each) {
      return pointer == each.pointer + "/operation" && unsound(each.type);
    });
  };
  for (const auto& [name, wrong] : rules.operations(config)) {
    for (const define::Fault& fault : wrong) {
      if (names_unsound(*config.operations.at(name), fault.pointer)) continue;
      loaded.faults.push_back(loaded.fault_of(name, fault));
    }
  }
}

}  // namespace

std::string to_string(const Fault& fault) {
  if (fault.line == 0) return fault.file + ": " + fault.message;
  return fault.file + ":" + std::to_string(fault.line) + ":" + std::to_string(fault.column) + ": " +
         fault.message;
}

Loaded parse(const std::string& text, const std::string& path, const Rules& rules) {
  Loaded loaded;
  loaded.file = path;
  Faults faults(path, loaded.faults);
  toml::table document;
  try {
    document = toml::parse(text, path);
  } catch (const toml::parse_error& e) {
    faults.add(e.source(), std::string(e.description()));
    return loaded;
  }
  Table root(document, faults, "");
  read_server(root, faults, loaded.config);
  if (const toml::table* targets = root.table("target")) {
    for (const auto& [name, node] : *targets) {
      const toml::table* one = node.as_table();
      if (one == nullptr) {
        faults.add(node.source(), "target." + std::string(name.str()) + ": expected a table");
        continue;
      }
      read_target(std::string(name.str()), *one, faults, loaded.config);
      const toml::source_position& begin = one->source().begin;
      loaded.places[std::string(name.str())] = {path, begin.line, begin.column, ""};
    }
  }
  const std::size_t before = loaded.faults.size();
  const toml::table* operations = root.table("operation");
  if (operations != nullptr) read_operations(*operations, faults, loaded);
  const std::size_t of_operations = loaded.faults.size() - before;
  if (const toml::table* tokens = root.table("token")) {
    read_tokens(*tokens, faults, loaded.config);
  }
  root.check_names();
  for (const Wrong& wrong : wrong_with(loaded.config, rules)) {
    faults.add(place_of(document, wrong.path), to_string(wrong));
  }
  // A target with a fault is not there to be checked against.
  const bool rest_is_sound = loaded.faults.size() == of_operations;
  if (rest_is_sound && rules.operations) check_operations(rules, operations, loaded);
  return loaded;
}

Loaded load(const std::string& path, const Rules& rules) {
  std::error_code failure;
  if (std::filesystem::is_directory(path, failure)) {
    Loaded loaded;
    loaded.faults.push_back({path, 0, 0, "is a directory; give the file itself"});
    return loaded;
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) {
    Loaded loaded;
    loaded.faults.push_back({path, 0, 0, "the file cannot be read"});
    return loaded;
  }
  return parse(text.str(), path, rules);
}

Result<Endpoint> parse_endpoint(const std::string& text) {
  const auto malformed = [&](const std::string& why) {
    return Error{
        .code = ErrorCode::invalid_argument,
        .message = "'" + text + "': " + why + "; expected ADDRESS:PORT such as 127.0.0.1:7117"};
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return malformed("it has no port");
  if (colon == 0) return malformed("it has no address");
  Endpoint endpoint;
  endpoint.address = text.substr(0, colon);
  if (endpoint.address.starts_with('[') && endpoint.address.ends_with(']')) {
    endpoint.address = endpoint.address.substr(1, endpoint.address.size() - 2);
  }
  if (endpoint.address == "localhost") endpoint.address = "127.0.0.1";
  const std::string port = text.substr(colon + 1);
  const char* end = port.data() + port.size();
  const auto [at, failure] = std::from_chars(port.data(), end, endpoint.port);
  if (failure == std::errc::result_out_of_range && at == end) {
    return malformed("port " + port + " is out of range, 0 to 65535");
  }
  if (failure != std::errc{} || at != end) return malformed("'" + port + "' is no port");
  return endpoint;
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address == "localhost";
}

std::optional<std::string> ledger_path(const std::string& text) {
  constexpr std::string_view kScheme = "sqlite:";
  if (text.starts_with(kScheme)) return text.substr(kScheme.size());
  if (text.find("://") != std::string::npos) return std::nullopt;
  return text;
}

}  // namespace trued::config
