// trued ledger copy: a ledger moves to another place, row by row, and is proved to have arrived.
#include <memory>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/shared_ledger.h"
#include "config/config.h"
#include "json/writer.h"
#include "ledger/copy.h"
#include "ledger/postgres/postgres_copy.h"
#include "ledger/sqlite/sqlite_copy.h"

namespace trued::cli {
namespace {

int exit_code_for(const Error& error, bool begun) {
  switch (error.code) {
    case ErrorCode::corrupt:
      return kFailed;
    case ErrorCode::already_exists:
      return kUnreachable;
    case ErrorCode::conflict:
    case ErrorCode::invalid_argument:
    case ErrorCode::not_found:
      return kBadData;
    case ErrorCode::unavailable:
    case ErrorCode::timeout:
      return begun ? kTempFail : kUnreachable;
    case ErrorCode::io:
      return begun ? kTempFail : kConfig;
    case ErrorCode::permission_denied:
    case ErrorCode::unsupported:
    case ErrorCode::too_large:
    case ErrorCode::cancelled:
    case ErrorCode::internal:
      return kConfig;
  }
  return kInternal;
}

/// What is being done, for who waits: a line that changes for a person, now and then a line for a
/// log.
class Stages {
 public:
  void update(std::string_view stage, std::uint64_t done, std::uint64_t total) {
    if (line_ == nullptr || stage != stage_) {
      line_.reset();
      stage_ = stage;
      line_ = std::make_unique<ProgressLine>(stage_);
    }
    line_->update(done, total);
    const auto now = SystemClock().monotonic();
    if (terminal_ || now - said_ < std::chrono::nanoseconds(kEvery)) return;
    said_ = now;
    say("trued: " + stage_ + ": " + std::to_string(done) + " of " + std::to_string(total));
  }
  void notice(const std::string& text) {
    line_.reset();
    say("trued: " + plain(text));
  }
  void end() { line_.reset(); }

 private:
  static constexpr Duration kEvery{10'000};

  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  std::unique_ptr<ProgressLine> line_;
  std::string stage_;
  std::chrono::nanoseconds said_ = SystemClock().monotonic();
};

/// Both places, as they were given.
struct Places {
  config::LedgerChoice from, to;
};

Result<config::LedgerChoice> parse_end(const char* option, const std::string& text) {
  auto choice = config::parse_ledger(text);
  if (choice.has_value() && (choice->shared || !choice->path.empty())) return choice;
  if (choice.has_value()) choice = Error{.code = ErrorCode::invalid_argument, .message = "no path"};
  Error error = choice.error();
  error.message = std::string(option) + ": " + error.message;
  return error;
}

Result<Places> parse_places(const LedgerCopyOptions& options) {
  Places places;
  TRUED_TRY(places.from, parse_end("--from", options.from));
  TRUED_TRY(places.to, parse_end("--to", options.to));
  const auto refuse = [](const char* why) {
    return Error{.code = ErrorCode::invalid_argument, .message = why};
  };
  if (!places.from.shared && !places.to.shared) {
    return refuse("a ledger in a file is copied to a file with 'trued backup', while it is in use");
  }
  const bool both = places.from.shared && places.to.shared;
  if (!options.from_schema.empty() && !both) {
    return refuse("--from-schema is for two ledgers on servers; give --schema");
  }
  if (both && !options.from_schema.empty()) places.from.shared->schema = options.from_schema;
  if (!options.schema.empty()) {
    (places.to.shared ? places.to : places.from).shared->schema = options.schema;
  }
  return places;
}

Result<std::unique_ptr<CopySource>> open_source(const config::LedgerChoice& choice,
                                                Stages& stages) {
  if (!choice.shared) return naming(open_sqlite_source(choice.path), choice.path);
  return open_postgres_source(place_of(*choice.shared),
                              [&](const std::string& text) { stages.notice(text); });
}

Result<std::unique_ptr<CopyDestination>> open_destination(const config::LedgerChoice& choice) {
  if (!choice.shared) return naming(open_sqlite_destination(choice.path), choice.path);
  return open_postgres_destination(place_of(*choice.shared));
}

void print_json(const CopyReport& report, const std::string& from, const std::string& to) {
  std::string line;
  json::Writer out(line);
  out.begin_object().member("copied", true);
  out.member("from", std::string_view(from)).member("to", std::string_view(to));
  out.member("head", std::string_view(report.audit.head));
  out.member("batches", report.audit.batches).member("events", report.audit.events);
  out.member("operations", report.audit.operations).member("intents", report.audit.intents);
  out.member("tombstones", report.audit.tombstones);
  out.member("rows_written", report.written).member("rows_found", report.found);
  out.member("begun_anew", report.anew).member("was_finished", report.before).end_object();
  print(line);
}

void print_text(const CopyReport& report, const std::string& from, const std::string& to) {
  const AuditReport& audit = report.audit;
  print((report.before ? "copied before: " : "copied: ") + std::to_string(audit.operations) +
        " operations, " + std::to_string(audit.events) + " records in " +
        std::to_string(audit.batches) + " batches, " + std::to_string(audit.tombstones) +
        " tombstones; every row was compared, and the copy's audit is clean\nhead " + audit.head);
  print(plain("from now on serve " + to + " alone: what " + from +
              " accepts or carries out from here on, the copy does not know of"));
}

}  // namespace

int ledger_copy(const Common& common, const LedgerCopyOptions& options) {
  const auto places = parse_places(options);
  if (!places.has_value()) return complain(common, kUsage, places.error().message);
  Stages stages;
  bool begun = false;
  const auto fail = [&](const Error& error) {
    stages.end();
    return complain(common, exit_code_for(error, begun), error.message);
  };
  const auto to = open_destination(places->to);
  if (!to.has_value()) return fail(to.error());
  const auto from = open_source(places->from, stages);
  if (!from.has_value()) return fail(from.error());
  LedgerCopy copy(**from, **to,
                  {.progress = [&](std::string_view stage, std::uint64_t done,
                                   std::uint64_t total) { stages.update(stage, done, total); },
                   .notice = [&](const std::string& text) { stages.notice(text); }});
  const auto report = copy.run();
  begun = copy.begun();
  if (!report.has_value()) return fail(report.error());
  stages.end();
  if (common.json) {
    print_json(*report, (*from)->name(), (*to)->name());
  } else {
    print_text(*report, (*from)->name(), (*to)->name());
  }
  return kOk;
}

}  // namespace trued::cli
