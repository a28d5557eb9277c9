#include "config/ledger.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "config/postgres.h"
#include "core/ids.h"

namespace trued::config {
namespace {

constexpr Duration kLeaseMin{1'000};
constexpr Duration kLeaseMax{10 * 60'000};

void read_minimum(Table& table, Config& config) {
  table.text("minimum_durability", config.minimum_durability);
  const std::string& word = config.minimum_durability;
  if (word == "quorum" || word == "standby" || word == "fsync" || word == "none") return;
  table.fault("minimum_durability", "expected \"quorum\", \"standby\", \"fsync\" or \"none\"");
  config.minimum_durability = "none";
}

// A ledger in a file, with a floor under it.
void read_file(Table& table, Config& config, const std::string& url) {
  if (!url.empty()) config.ledger = *ledger_path(url);
  for (const char* name : {"password", "schema", "lease", "replicas", "replica", "replica_wait"}) {
    if (table.has(name)) table.fault(name, "is for a ledger on a server; this one is a file");
  }
}

constexpr Duration kReplicaWaitMax{10'000};
constexpr const char* kReplicaUrl = "expected postgresql://USER@HOST/DATABASE of a replica";

// Empty if nothing is.
std::string wrong_with_replica(const std::string& url, bool secret) {
  if (!is_shared_ledger(url)) return kReplicaUrl;
  if (secret || !holds_password(url)) return "";
  return "a password does not belong into the file; write [ledger.replica.NAME] with url and "
         "password = \"${env:NAME}\"";
}

// Names stand in answers and logs; these two mean the ledger itself there.
std::string wrong_with_name(const SharedLedger& shared, const std::string& name) {
  if (!valid_name(name)) return "a replica's name has 1 to 64 characters of [A-Za-z0-9_.-]";
  if (name == "primary" || name == "file") return "'" + name + "' means the ledger itself";
  const bool twice =
      std::ranges::find(shared.replicas, name, &LedgerReplica::name) != shared.replicas.end();
  return twice ? "there are two replicas of that name" : "";
}

void read_replicas(Table& table, Faults& faults, SharedLedger& shared) {
  std::vector<std::string> urls;
  table.texts("replicas", urls);
  for (const std::string& url : urls) {
    if (const auto wrong = wrong_with_replica(url, false); !wrong.empty()) {
      table.fault("replicas", wrong);
    }
    const std::string name = "replica-" + std::to_string(shared.replicas.size() + 1);
    shared.replicas.push_back({.name = name, .url = url, .password = shared.password});
  }
  const toml::table* named = table.table("replica");
  if (named == nullptr) return;
  for (const auto& [key, node] : *named) {
    const std::string name(key.str());
    const std::string path = "ledger.replica." + name;
    if (node.as_table() == nullptr) {
      faults.add(node.source(), path + ": expected a table with url");
      continue;
    }
    if (const auto wrong = wrong_with_name(shared, name); !wrong.empty()) {
      faults.add(node.source(), path + ": " + wrong);
    }
    Table one(*node.as_table(), faults, path);
    LedgerReplica replica{.name = name, .url = {}, .password = shared.password};
    bool secret = false;
    one.text_or_secret("url", replica.url, &secret);
    one.secret("password", replica.password);
    if (const auto wrong = wrong_with_replica(replica.url, secret); !wrong.empty()) {
      one.fault("url", wrong);
    }
    one.check_names();
    shared.replicas.push_back(std::move(replica));
  }
}

void read_shared(Table& table, Faults& faults, Config& config) {
  SharedLedger shared;
  bool secret = false;
  table.text_or_secret("url", shared.url, &secret);
  table.secret("password", shared.password);
  table.text("schema", shared.schema);
  table.duration("lease", shared.lease);
  read_minimum(table, config);
  const bool of_a_server = table.has("password") || table.has("schema") || table.has("lease");
  const bool in_file = table.has("url") ? ledger_path(shared.url).has_value()
                                        : table.has("minimum_durability") && !of_a_server;
  if (in_file) {
    read_file(table, config, shared.url);
    return table.check_names();
  }
  if (!table.has("url")) {
    table.fault("url", "is missing: postgresql://USER@HOST/DATABASE, or sqlite:/path/to/ledger.db");
  } else if (!is_shared_ledger(shared.url)) {
    table.fault("url", "expected postgresql://USER@HOST/DATABASE or sqlite:/path/to/ledger.db");
  } else if (!secret && holds_password(shared.url)) {
    table.fault("url", "a password does not belong into the file; add password = \"${env:NAME}\"");
  }
  if (shared.lease < kLeaseMin || shared.lease > kLeaseMax) {
    table.fault("lease", "expected 1s to 10m");
  }
  table.duration("replica_wait", shared.replica_wait);
  if (shared.replica_wait > kReplicaWaitMax) table.fault("replica_wait", "expected 0s to 10s");
  read_replicas(table, faults, shared);
  table.check_names();
  config.shared_ledger = std::move(shared);
}

// "http://HOST:PORT" and nothing else.
bool is_plain_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  constexpr int kPortMax = 65'535;
  if (!url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  const std::size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = url.substr(0, colon);
  const bool v6 = host.starts_with('[') && host.ends_with(']');
  const bool fits = std::ranges::all_of(host, [&](unsigned char c) {
    return c > ' ' && c < 0x7f &&
           (v6 || std::string_view(":/@?#[]").find(static_cast<char>(c)) == std::string_view::npos);
  });
  int port = 0;
  const std::string_view digits = url.substr(colon + 1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return fits && read.ec == std::errc() && read.ptr == digits.data() + digits.size() && port > 0 &&
         port <= kPortMax;
}

}  // namespace

void read_ledger(Table& root, Faults& faults, Config& config) {
  if (root.is_table("ledger")) {
    Table table(*root.table("ledger"), faults, "ledger");
    return read_shared(table, faults, config);
  }
  std::string text;
  root.text("ledger", text);
  auto choice = parse_ledger(text);
  if (!choice.has_value()) return root.fault("ledger", choice.error().message);
  config.ledger = std::move(choice->path);
  config.shared_ledger = std::move(choice->shared);
}

void read_node(Table& root, Faults& faults, Config& config) {
  const toml::table* found = root.table("node");
  if (found == nullptr) return;
  Table table(*found, faults, "node");
  NodeSpec& node = config.node;
  table.text("name", node.name);
  table.text("advertise", node.advertise);
  constexpr std::size_t kNameBytesMax = 100;
  const bool printable =
      std::ranges::all_of(node.name, [](unsigned char c) { return c > ' ' && c < 0x7f; });
  if (table.has("name") && (node.name.empty() || node.name.size() > kNameBytesMax || !printable)) {
    table.fault("name", "expected 1 to 100 printable ASCII characters without blanks");
  }
  if (table.has("advertise") && !is_plain_url(node.advertise)) {
    table.fault("advertise", "expected http://HOST:PORT, at which the other nodes reach this one");
  }
  table.check_names();
}

Result<LedgerChoice> parse_ledger(const std::string& text) {
  LedgerChoice choice;
  if (is_shared_ledger(text)) {
    if (holds_password(text)) {
      return Error{.code = ErrorCode::invalid_argument,
                   .message =
                       "a password does not belong here, where others see it: give it as "
                       "password = \"${env:NAME}\" in the table [ledger] of a "
                       "configuration, as PGPASSWORD, or in ~/.pgpass"};
    }
    choice.shared = SharedLedger{.url = text, .password = {}};
    return choice;
  }
  const auto path = ledger_path(text);
  if (!path) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "expected \"sqlite:/path/to/ledger.db\" or \"postgresql://…\""};
  }
  choice.path = *path;
  return choice;
}

bool is_shared_ledger(const std::string& text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

}  // namespace trued::config
