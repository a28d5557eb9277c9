// audit_core.h: what an audit checks, whatever the ledger is stored in. Pure.
//
// Relies on this: the chain fixes every record's number, operation, time and text. From that follow
// the rows (the fold of their records), the tombstones (their marks), the base (its record) and the
// intents (the fingerprint that was accepted). What the chain does not hold (an operation's way
// back through its records, the rows themselves) is derived or counted.
//
//   begin ─► (begin_batch, add_record…, end_batch)… ─► end_chain ─► check_base ─► check_row… ─►
//   check_strays ─► check_tombstone… ─► end_tombstones
//
// The first difference is kept; after it nothing more needs to be called.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/ledger.h"
#include "ledger/stored.h"

namespace trued {

/// A record of the log as it is stored. Views live until the next one is asked for.
struct LogRecord {
  std::uint64_t sequence = 0;
  std::uint64_t operation = 0;
  std::uint64_t previous = 0;
  WallTime at{};
  std::optional<std::string_view> body;
  std::optional<std::string_view> digest;
};

/// An operation's row as it is stored.
struct StoredRow {
  std::uint64_t no = 0;
  std::uint64_t last = 0;
  Result<Operation> operation = Error{};
  std::string body;
  std::string identity;
  std::optional<WallTime> expires_at;
};

/// The record at a position of the log; nothing if there is none.
using RecordAt = std::function<Result<std::optional<LogRecord>>(std::uint64_t sequence)>;

class AuditCore {
 public:
  /// `version` as the SQLite ledger counts: what records, marks and the base hold.
  explicit AuditCore(int version) : version_(version) { report_.schema = version; }

  [[nodiscard]] bool found() const { return report_.first.has_value(); }
  [[nodiscard]] AuditReport& report() { return report_; }
  void find(std::string what, std::string where, std::string detail);

  void begin(const LogBase& base);
  void begin_batch(std::uint64_t no, WallTime at);
  void add_record(const LogRecord& record);
  void end_batch(std::uint64_t records, const std::optional<Digest>& stored);
  /// `stray`: a record beyond the last batch.
  void end_chain(std::optional<std::uint64_t> stray);
  void check_base();

  /// `intent`: nothing if there is none. Fails only if a record cannot be read.
  Result<void> check_row(const StoredRow& row, const RecordAt& record_at,
                         const std::function<Result<std::optional<std::string>>()>& intent);
  /// False if the rows account for every record of the log that holds events; otherwise one that
  /// they do not is asked for, and told to stray().
  [[nodiscard]] bool rows_are_whole() const { return linked_texts_ == event_texts_; }
  /// `row`: of the operation that the record belongs to, if that is there.
  void stray(std::uint64_t record, std::uint64_t operation, const std::optional<OperationId>& row);
  void no_stray();

  /// `mark`: the text of the record that the tombstone names, if it is there.
  [[nodiscard]] bool mark_is_dropped(const Grave& grave) const {
    return grave.record < base_.sequence;
  }
  void check_dropped(const Grave& grave);
  void check_marked(const Grave& grave, const std::optional<std::string_view>& mark);
  void end_tombstones();

 private:
  Result<std::optional<Operation>> refold(const StoredRow& row, const std::string& where,
                                          const RecordAt& record_at);
  bool fold_record(std::optional<Operation>& folded, const LogRecord& record,
                   const std::string& where);
  void compare(const StoredRow& row, const Operation& folded);
  void take_text(const LogRecord& record);

  const int version_;
  AuditReport report_;
  LogBase base_;
  Digest previous_{};
  std::uint64_t expected_ = 1;
  std::optional<BatchHash> hash_;
  std::uint64_t batch_ = 0;
  std::uint64_t in_batch_ = 0;
  std::string base_record_;         ///< the newest in the log; empty = none
  std::uint64_t event_texts_ = 0;   ///< records in the log that hold events
  std::uint64_t linked_texts_ = 0;  ///< of those, reached from a row
  std::uint64_t marks_ = 0;         ///< records in the log that retire an operation
  Digest dropped_{};                ///< over the tombstones older than the log
};

/// As Grave::bury_in(), as a schema of that version did it: before the third, by the mark's text.
[[nodiscard]] Digest bury_in(const Grave& grave, const Digest& tombs, int version);

}  // namespace trued
