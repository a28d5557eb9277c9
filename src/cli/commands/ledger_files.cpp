// trued audit, trued backup: the ledger's file, beside a running server or without one.
#include <filesystem>
#include <system_error>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/shared_ledger.h"
#include "config/config.h"
#include "json/writer.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::cli {
namespace {

// What was named is not what the command is for (65), or is, and is damaged (1).
int exit_code_for(const Error& error) {
  if (error.code == ErrorCode::corrupt) return kFailed;
  const bool refused =
      error.code == ErrorCode::not_found || error.code == ErrorCode::already_exists ||
      error.code == ErrorCode::invalid_argument || error.code == ErrorCode::unavailable;
  return refused ? kBadData : kConfig;
}

// Who looks for a ledger where only `trued exec` has been at work finds the one that it keeps.
std::string hint(const Common& common, const LedgerFileOptions& options) {
  const auto state = state_place(common);
  std::error_code failure;
  if (!options.ledger.empty() || !state.has_value() ||
      !std::filesystem::exists(*state + "/exec.db", failure)) {
    return "";
  }
  return "; the one of 'trued exec' is there: --ledger sqlite:" + *state + "/exec.db";
}

int fail(const Common& common, const LedgerFileOptions& options, const std::string& path,
         const Error& error) {
  const bool missing = error.code == ErrorCode::not_found;
  // A server that cannot be reached says nothing of the ledger on it.
  const bool away = config::is_shared_ledger(options.ledger) &&
                    (error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout);
  return complain(common, away ? kUnreachable : exit_code_for(error),
                  naming(error, path).message + (missing ? hint(common, options) : ""));
}

void print_json(const AuditReport& report) {
  std::string line;
  json::Writer out(line);
  out.begin_object().member("clean", !report.first.has_value());
  out.member("schema", std::uint64_t(report.schema));
  out.member("batches", report.batches).member("events", report.events);
  out.member("operations", report.operations).member("intents", report.intents);
  out.member("tombstones", report.tombstones).member("head", std::string_view(report.head));
  if (report.first) {
    out.key("first").begin_object().member("what", std::string_view(report.first->what));
    out.member("where", std::string_view(report.first->where));
    out.member("detail", std::string_view(report.first->detail)).end_object();
  }
  out.end_object();
  print(line);
}

// What an older file cannot prove is not passed over in silence.
std::string older(const AuditReport& report, bool file) {
  if (!file || report.schema >= kLedgerSchema) return "";
  constexpr int kTombstonesProved = 3;
  return "\nschema version " + std::to_string(report.schema) +
         ", audited as it is; 'trued serve' brings it to version " + std::to_string(kLedgerSchema) +
         (report.schema < kTombstonesProved ? ", in which every field of a tombstone can be proved"
                                            : "");
}

}  // namespace

namespace {

// The file, or the server without its password: for people.
Result<std::string> run_audit(const Common& common, const LedgerFileOptions& options,
                              Result<AuditReport>& report) {
  if (!config::is_shared_ledger(options.ledger)) {
    TRUED_TRY(std::string path, existing_ledger(common, options.ledger));
    ProgressLine line("auditing " + path);
    report = audit_sqlite(
        path, [&](std::uint64_t done, std::uint64_t total) { line.update(done, total); });
    return path;
  }
  TRUED_TRY(config::LedgerChoice choice, config::parse_ledger(options.ledger));
  if (!options.schema.empty()) choice.shared->schema = options.schema;
  std::string place = shown(*choice.shared);
  ProgressLine line("auditing " + place);
  report = audit_postgres(place_of(*choice.shared), [&](std::uint64_t done, std::uint64_t total) {
    line.update(done, total);
  });
  return place;
}

}  // namespace

int audit(const Common& common, const LedgerFileOptions& options) {
  Result<AuditReport> report = Error{};
  const auto path = run_audit(common, options, report);
  if (!path.has_value()) return complain(common, kUsage, path.error().message);
  if (!report.has_value()) {
    return fail(common, options, *path, report.error());
  }
  if (common.json) {
    print_json(*report);
  } else if (report->first) {
    print(plain("CHANGED: " + report->first->what + " at " + report->first->where + ": " +
                report->first->detail));
  } else {
    print("clean: " + std::to_string(report->operations) + " operations, " +
          std::to_string(report->events) + " records in " + std::to_string(report->batches) +
          " batches, " + std::to_string(report->tombstones) + " tombstones\nhead " + report->head +
          older(*report, !config::is_shared_ledger(options.ledger)));
  }
  return report->first ? kFailed : kOk;
}

int backup(const Common& common, const LedgerFileOptions& options) {
  if (config::is_shared_ledger(options.ledger)) {
    return complain(common, kUsage,
                    "a ledger on a PostgreSQL server is copied with PostgreSQL's own tools: "
                    "pg_basebackup with archived WAL for the whole server, pg_dump --schema=trued "
                    "for the ledger alone; 'trued audit --ledger postgresql://…' checks what was "
                    "restored");
  }
  const auto path = existing_ledger(common, options.ledger);
  if (!path.has_value()) return complain(common, kUsage, path.error().message);
  Result<std::uint64_t> bytes = Error{};
  {
    ProgressLine line("copying " + *path);
    bytes = backup_sqlite(*path, options.destination, [&](std::uint64_t done, std::uint64_t total) {
      line.update(done, total);
    });
  }
  if (!bytes.has_value()) {
    return fail(common, options, *path, bytes.error());
  }
  std::string text;
  if (common.json) {
    json::Writer out(text);
    out.begin_object().member("path", std::string_view(options.destination));
    out.member("bytes", *bytes).end_object();
  } else {
    text = options.destination + ": " + std::to_string(*bytes) +
           " bytes; check it with: trued audit --ledger sqlite:" + options.destination;
  }
  print(text);
  return kOk;
}

}  // namespace trued::cli
