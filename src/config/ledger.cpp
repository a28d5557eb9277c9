#include "config/ledger.h"

#include "config/postgres.h"

namespace trued::config {
namespace {

constexpr Duration kLeaseMin{1'000};
constexpr Duration kLeaseMax{10 * 60'000};

void read_shared(Table& table, Config& config) {
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
  table.check_names();
  config.shared_ledger = std::move(shared);
}

}  // namespace

void read_ledger(Table& root, Faults& faults, Config& config) {
  if (root.is_table("ledger")) {
    Table table(*root.table("ledger"), faults, "ledger");
    return read_shared(table, config);
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
