#include "ledger/copy.h"

#include <numeric>
#include <utility>

#include "base/assert.h"

namespace trued {
namespace {

using enum CellKind;

constexpr CopyColumn kRecord[] = {{"sequence", number}, {"batch", number}, {"operation", number},
                                  {"previous", number}, {"at", number},    {"body", either},
                                  {"digest", bytes}};
constexpr CopyColumn kBatch[] = {
    {"no", number}, {"at", number}, {"records", number}, {"hash", bytes}};
constexpr CopyColumn kOperation[] = {
    {"no", number},         {"id", bytes},          {"identity", bytes}, {"state", number},
    {"created_at", number}, {"expires_at", number}, {"last", number},    {"scope", text},
    {"type", text},         {"key", text},          {"target", text},    {"body", either}};
constexpr CopyColumn kIntent[] = {{"no", number}, {"body", text}};
constexpr CopyColumn kTombstone[] = {
    {"operation", number}, {"identity", bytes},    {"id", bytes},          {"fingerprint", bytes},
    {"state", number},     {"settled_at", number}, {"retired_at", number}, {"record", number}};
constexpr std::array<CopyTable, kCopyTables> kTables{
    CopyTable{"record", kRecord}, CopyTable{"batch", kBatch}, CopyTable{"operation", kOperation},
    CopyTable{"intent", kIntent}, CopyTable{"tombstone", kTombstone}};

std::uint64_t sum(const std::array<std::uint64_t, kCopyTables>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

/// The rows of one table, one after the other.
class Walk {
 public:
  Walk(LedgerTables& ledger, const CopyTable& table, const CopyPage& page)
      : ledger_(ledger), table_(table), page_(page) {}
  /// Null at the end. Lives until the next call.
  Result<const CopyRow*> next() {
    const CopyRow* row = nullptr;
    TRUED_ASSERT(at_ <= rows_.size());
    if (at_ == rows_.size()) {
      at_ = 0;
      TRUED_TRY(rows_, ledger_.rows(table_, after_, page_));
      if (rows_.empty()) return row;
    }
    row = &rows_[at_++];
    after_ = key_of(*row);
    return row;
  }

 private:
  LedgerTables& ledger_;
  const CopyTable& table_;
  const CopyPage& page_;
  std::vector<CopyRow> rows_;
  std::size_t at_ = 0;
  std::uint64_t after_ = 0;
};

std::string row_name(const CopyTable& table, const CopyRow& row) {
  return std::string(table.name) + " " + std::to_string(key_of(row));
}

// Both are named, so that a person can look at them; what they hold may be anybody's.
std::string first_difference(const CopyTable& table, const CopyRow& a, const CopyRow& b) {
  TRUED_ASSERT(a.size() == table.columns.size() && b.size() == table.columns.size());
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (a.at(i) != b.at(i)) return table.columns[i].name;
  }
  return "";
}

std::string shown_end(std::uint64_t batch, const Digest& hash) {
  return "batch " + std::to_string(batch) + ", head " + hash.hex();
}

}  // namespace

const std::array<CopyTable, kCopyTables>& copy_tables() { return kTables; }

std::string column_list(const CopyTable& table, const std::string& prefix) {
  std::string list;
  for (const CopyColumn& column : table.columns) {
    list += (list.empty() ? "" : ", ") + prefix + column.name;
  }
  return list;
}

std::uint64_t key_of(const CopyRow& row) {
  TRUED_ASSERT(!row.empty());
  return static_cast<std::uint64_t>(std::get<std::int64_t>(row.front()));
}

CopyProgress LedgerCopy::stage(std::string_view name) const {
  return [this, name](std::uint64_t done, std::uint64_t total) {
    if (watch_.progress) watch_.progress(name, done, total);
  };
}

Result<CopyReport> LedgerCopy::run() {
  auto done = run_all();
  if (done.has_value() || !begun_) return done;
  Error error = done.error();
  if (error.code == ErrorCode::corrupt) {
    error.message += "; the copy " + to_.name() + " stays unfinished and cannot be served";
  } else if (error.code != ErrorCode::conflict && error.code != ErrorCode::already_exists) {
    error.message += "; the copy is unfinished: the same command goes on where it was";
  }
  return error;
}

Result<CopyReport> LedgerCopy::run_all() {
  TRUED_ASSERT(page_.rows > 0 && page_.bytes > 0);
  TRUED_TRY_VOID(read_source());
  TRUED_TRY(const Found found, to_.look());
  begun_ = found == Found::unfinished;
  // What cannot be is said before hours of reading.
  if (found == Found::ledger) TRUED_TRY_VOID(check_is_this());
  if (found == Found::unfinished) TRUED_TRY_VOID(check_origin());
  TRUED_TRY_VOID(audit_source());
  if (!report_.before) {
    TRUED_TRY_VOID(prepare(found));
    TRUED_ASSERT(begun_);  // from here on a failure leaves something behind
    TRUED_TRY_VOID(copy_rows());
    TRUED_TRY_VOID(to_.set_frame(frame_));
  }
  TRUED_TRY_VOID(compare_rows());
  TRUED_TRY_VOID(audit_copy());
  TRUED_TRY_VOID(from_.check_unchanged());
  if (!report_.before) TRUED_TRY_VOID(to_.finish());
  begun_ = false;
  return report_;
}

// Where it cannot even be told where the source ends, its audit says more.
Result<void> LedgerCopy::read_source() {
  auto frame = from_.frame();
  if (!frame.has_value()) {
    if (frame.error().code == ErrorCode::corrupt) TRUED_TRY_VOID(audit_source());
    return frame.error();
  }
  frame_ = *frame;
  return {};
}

// What a changed source would give is no ledger, and what was changed must not get lost on the way.
Result<void> LedgerCopy::audit_source() {
  TRUED_TRY(source_audit_, from_.audit(stage("auditing the source")));
  if (source_audit_.first) {
    const AuditFinding& first = *source_audit_.first;
    return Error{.code = ErrorCode::corrupt,
                 .message = "the source " + from_.name() + " is not what its log says (" +
                            first.what + " at " + first.where + ": " + first.detail +
                            "), and nothing is copied from it: see what 'trued audit' says of it, "
                            "and go back to a backup"};
  }
  if (frame_.ends.hash.hex() != source_audit_.head) {
    return Error{.code = ErrorCode::already_exists,
                 .retryable = true,
                 .message = "the source " + from_.name() +
                            " went on while it was audited: stop what acts on it, and run this "
                            "again"};
  }
  TRUED_TRY(const auto counts, from_.counts());
  total_ = sum(counts);
  return {};
}

Result<void> LedgerCopy::prepare(Found found) {
  TRUED_ASSERT(found != Found::ledger);  // nothing is written into one
  TRUED_ASSERT(!report_.anew || found == Found::unfinished);
  const CopyOrigin origin{from_.name(), frame_.ends.batch, frame_.ends.hash};
  if (found == Found::nothing) {
    TRUED_TRY_VOID(to_.create(origin));
    begun_ = true;
    return {};
  }
  if (report_.anew) return to_.begin_anew(origin);
  TRUED_TRY_VOID(to_.resume());
  TRUED_TRY(const auto counts, to_.counts());
  report_.found = sum(counts);
  return {};
}

// Whether the source is the ledger that the copy was begun of, and has more in it by now.
Result<bool> LedgerCopy::went_on(const CopyOrigin& origin) {
  if (origin.batch == 0) return true;
  if (origin.batch == frame_.base.batch) return origin.hash == frame_.base.hash;
  TRUED_TRY(const auto hash, from_.hash_of(origin.batch));
  return hash == origin.hash;
}

// An unfinished copy is gone on with, or begun anew, if it is this ledger's.
Result<void> LedgerCopy::check_origin() {
  TRUED_TRY(const CopyOrigin origin, to_.origin());
  if (origin.batch == frame_.ends.batch && origin.hash == frame_.ends.hash) return {};
  TRUED_TRY(const bool same, went_on(origin));
  if (!same) {
    return Error{.code = ErrorCode::conflict,
                 .message = to_.name() + " holds the unfinished copy of another ledger (of " +
                            origin.source + ", " + shown_end(origin.batch, origin.hash) +
                            "; the source has " + shown_end(frame_.ends.batch, frame_.ends.hash) +
                            "): finish that one, or take it away (" + to_.how_to_remove() +
                            "), or name another destination"};
  }
  if (watch_.notice) {
    watch_.notice("the source has changed since this copy was begun (at " +
                  shown_end(origin.batch, origin.hash) + "): it begins anew");
  }
  report_.anew = true;
  return {};
}

// The run that finished it may have been killed before it could say so.
Result<void> LedgerCopy::check_is_this() {
  TRUED_TRY(const std::string here, from_.identity());
  TRUED_TRY(const std::string where, to_.identity());
  if (here == where) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = from_.name() + " and " + to_.name() +
                            " are the same ledger: name another destination"};
  }
  TRUED_TRY(const LedgerFrame there, to_.frame());
  if (there.ends == frame_.ends && there.base == frame_.base && frame_.ends.batch > 0) {
    report_.before = true;
    return {};
  }
  return Error{.code = ErrorCode::conflict,
               .message = to_.name() + " holds a ledger already (" +
                          shown_end(there.ends.batch, there.ends.hash) +
                          "), and a copy needs an empty place: name another, or, if nobody needs "
                          "that one, take it away (" +
                          to_.how_to_remove() + ")"};
}

Result<void> LedgerCopy::copy_rows() {
  done_ = report_.found;
  stage("copying")(done_, total_);
  for (const CopyTable& table : kTables) TRUED_TRY_VOID(copy_table(table));
  return {};
}

Result<void> LedgerCopy::copy_table(const CopyTable& table) {
  TRUED_TRY(std::uint64_t after, to_.last(table));
  while (true) {
    TRUED_TRY(const auto rows, from_.rows(table, after, page_));
    if (rows.empty()) return {};
    TRUED_TRY_VOID(to_.add(table, rows));
    after = key_of(rows.back());
    report_.written += rows.size();
    done_ += rows.size();
    stage("copying")(done_, total_);
  }
}

Error LedgerCopy::differs(const std::string& where, const std::string& detail) const {
  return {.code = ErrorCode::corrupt,
          .message = "the copy " + to_.name() + " is not what the source " + from_.name() +
                     " is: " + where + ": " + detail +
                     "; one of them was changed by something else. Take the copy away (" +
                     to_.how_to_remove() + ") and begin again"};
}

Result<void> LedgerCopy::compare_rows() {
  done_ = 0;
  for (const CopyTable& table : kTables) TRUED_TRY_VOID(compare_table(table));
  return {};
}

Result<void> LedgerCopy::compare_table(const CopyTable& table) {
  Walk here(from_, table, page_);
  Walk there(to_, table, page_);
  while (true) {
    TRUED_TRY(const CopyRow* meant, here.next());
    TRUED_TRY(const CopyRow* copied, there.next());
    if (meant == nullptr && copied == nullptr) return {};
    if (copied == nullptr || (meant != nullptr && key_of(*meant) < key_of(*copied))) {
      return differs(row_name(table, *meant), "it is missing");
    }
    if (meant == nullptr || key_of(*copied) < key_of(*meant)) {
      return differs(row_name(table, *copied), "the source has none");
    }
    if (const std::string column = first_difference(table, *meant, *copied); !column.empty()) {
      return differs(row_name(table, *meant), "its " + column + " is another");
    }
    if (++done_ % page_.rows == 0) stage("comparing")(done_, total_);
  }
}

Result<void> LedgerCopy::audit_copy() {
  TRUED_TRY(report_.audit, to_.audit(stage("auditing the copy")));
  const AuditReport& copy = report_.audit;
  if (copy.first) {
    return differs(copy.first->what + " at " + copy.first->where, copy.first->detail);
  }
  const auto same = [](const AuditReport& a, const AuditReport& b) {
    return a.head == b.head && a.batches == b.batches && a.events == b.events &&
           a.operations == b.operations && a.intents == b.intents && a.tombstones == b.tombstones;
  };
  if (same(copy, source_audit_)) return {};
  return differs("its audit", "it ends in head " + copy.head + " after " +
                                  std::to_string(copy.batches) + " batches, the source in head " +
                                  source_audit_.head + " after " +
                                  std::to_string(source_audit_.batches));
}

}  // namespace trued
