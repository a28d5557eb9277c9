// audit_walk.h: one walk over one snapshot of a ledger, recomputing everything. Private.
//
// What is checked is told by audit_core.h. What a ledger of that version is made of is known.
// Nothing is said of `base.opened`, which only counts: no answer depends on it.
#pragma once

#include <cstdint>

#include "ledger/audit_core.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::sqlite {

/// The first difference ends the walk; it is in the report. A failure means that the file cannot be
/// read at all.
class AuditWalk {
 public:
  /// `version` of the schema that the file has; each is audited as it is.
  AuditWalk(Connection& connection, int version, const Progress& progress)
      : connection_(connection), progress_(progress), version_(version), core_(version) {}

  Result<AuditReport> run();

 private:
  // audit.cpp
  Result<void> check_file();
  Result<void> check_schema();
  Result<void> check_content();
  Result<void> check_chain();

  // audit_rows.cpp
  Result<void> check_rows();
  Result<void> check_strays();
  Result<void> check_tombstones();
  Result<void> check_reduced();

  void advance();

  Connection& connection_;
  const Progress& progress_;
  const int version_;
  AuditCore core_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace trued::sqlite
