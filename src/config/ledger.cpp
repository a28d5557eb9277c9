#include "config/ledger.h"

#include <algorithm>

#include "config/postgres.h"
#include "core/ids.h"

namespace trued::config {
namespace {

constexpr Duration kLeaseMin{1'000};
constexpr Duration kLeaseMax{10 * 60'000};

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
  if (!table.has("url")) {
    table.fault("url", "is missing: postgresql://USER@HOST/DATABASE");
  } else if (!is_shared_ledger(shared.url)) {
    table.fault("url",
                "expected postgresql://USER@HOST/DATABASE; a file is written as ledger = "
                "\"sqlite:/path/to/ledger.db\"");
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
