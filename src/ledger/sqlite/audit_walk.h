// audit_walk.h: one walk over one snapshot of a ledger, recomputing everything. Private.
//
// What it relies on: the chain fixes every record's number, operation, time and text. From that
// follow the rows (the fold of their records), the tombstones (their marks), the base (its record)
// and the intents (the fingerprint that was accepted). What the chain does not hold (an operation's
// way back through its records, indexes, the rows themselves) is derived or counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "ledger/codec.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::sqlite {

/// The first difference ends the walk; it is in the report. A failure means that the file cannot be
/// read at all.
class AuditWalk {
 public:
  /// `version` of the schema that the file has; each is audited as it is.
  AuditWalk(Connection& connection, int version, const Progress& progress)
      : connection_(connection), progress_(progress), version_(version) {}

  Result<AuditReport> run();

 private:
  // audit.cpp
  Result<void> check_file();
  Result<void> check_schema();
  Result<void> check_chain();
  bool add_records(Statement& records, int& code, std::uint64_t batch, BatchHash& hash,
                   std::uint64_t& count);
  void take_text(Statement& records, std::string_view body);
  Result<void> check_base();

  // audit_rows.cpp
  Result<void> check_rows();
  Result<void> check_row(Statement& row);
  Result<std::optional<Operation>> refold(std::uint64_t no, std::uint64_t last,
                                          const std::string& where);
  bool fold_record(std::optional<Operation>& folded, Statement& record, const std::string& where);
  void compare(const Operation& stored, const Operation& folded, Statement& row);
  Result<void> check_intent(const Operation& operation, std::uint64_t no);
  Result<void> check_strays();
  Result<void> check_tombstones();
  Result<void> check_grave(const Grave& grave, Statement& mark);

  void find(std::string what, std::string where, std::string detail) {
    if (!report_.first) {
      report_.first = AuditFinding{std::move(what), std::move(where), std::move(detail)};
    }
  }
  void advance();

  Connection& connection_;
  const Progress& progress_;
  const int version_;
  AuditReport report_;
  LogBase base_;
  std::string base_record_;         ///< the newest in the log; empty = none
  std::uint64_t event_texts_ = 0;   ///< records in the log that hold events
  std::uint64_t linked_texts_ = 0;  ///< of those, reached from a row
  std::uint64_t marks_ = 0;         ///< records in the log that retire an operation
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace trued::sqlite
