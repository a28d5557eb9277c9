// copy.h: a ledger becomes another of the same content, wherever either of them is stored.
//
//   nothing ──create──► unfinished ──add (a page)…──► whole ──compare, audit──► finish ──► a ledger
//                         │    ▲
//                         └────┴── the process ended: the next goes on behind the last page
//
// Invariants
//   (1) The source is only read. It was audited before anything was written.
//   (2) What is unfinished is refused by whoever would serve or audit it, older programs among
//       them: whether it is finished is one durable fact, and finish() is what makes it one.
//   (3) Before finish() every row was read back and is what the source has, the copy's own audit
//       was clean and ended in the source's head, and the source was still what was copied.
//   (4) Of two copies to one destination the one that came later goes on; what the other still
//       sends does nothing.
//
// Tables are walked in the order of their keys and written in whole pages, so where to go on is
// told by what is there. Rows are copied as they are stored; no event, row or hash is made anew.
//
// Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"
#include "ledger/stored.h"

namespace trued {

/// `either`: bytes that the SQLite ledger keeps as text where they are JSON (codec.h).
enum class CellKind : std::uint8_t { number, bytes, text, either };

struct CopyColumn {
  const char* name;
  CellKind kind;
};

struct CopyTable {
  const char* name;
  std::span<const CopyColumn> columns;  ///< the first is its key: a number, from 1 on
};

/// What a ledger is made of, besides where it begins and ends (LedgerFrame).
inline constexpr std::size_t kCopyTables = 5;
[[nodiscard]] const std::array<CopyTable, kCopyTables>& copy_tables();
/// "a, b, c", each behind `prefix`.
[[nodiscard]] std::string column_list(const CopyTable& table, const std::string& prefix = "");

/// As it is stored; nothing for NULL.
using CopyCell = std::variant<std::monostate, std::int64_t, std::string>;
using CopyRow = std::vector<CopyCell>;
[[nodiscard]] std::uint64_t key_of(const CopyRow& row);

struct LedgerFrame {
  Ends ends;
  LogBase base;
  std::uint64_t epoch = 0;  ///< of a ledger that nodes take from each other
  std::string uuid;         ///< of a ledger that has one
};

/// One page: at least one row, then as many as stay below both.
struct CopyPage {
  std::uint32_t rows = 500;
  std::uint64_t bytes = std::uint64_t{8} << 20;
};

using CopyProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// A ledger's tables. Calls fail as their store says; nothing happened then.
class LedgerTables {
 public:
  virtual ~LedgerTables() = default;
  /// For people: "sqlite:/var/lib/trued/ledger.db", "postgresql://host/db, schema trued".
  [[nodiscard]] virtual std::string name() const = 0;
  /// The same for the same ledger, whatever it was called by.
  [[nodiscard]] virtual Result<std::string> identity() = 0;
  [[nodiscard]] virtual Result<LedgerFrame> frame() = 0;
  /// Of each of copy_tables().
  [[nodiscard]] virtual Result<std::array<std::uint64_t, kCopyTables>> counts() = 0;
  /// The rows behind `after`, in the order of their keys; none at the end.
  [[nodiscard]] virtual Result<std::vector<CopyRow>> rows(const CopyTable& table,
                                                          std::uint64_t after,
                                                          const CopyPage& page) = 0;
  [[nodiscard]] virtual Result<AuditReport> audit(const CopyProgress& progress) = 0;
};

/// What is copied: one snapshot of it, from the first call of frame(), counts() or rows() on.
/// As long as it lives nobody else acts on it, or check_unchanged() says so.
class CopySource : public LedgerTables {
 public:
  /// Of a batch of its log; nothing if it has none of that number (any more).
  [[nodiscard]] virtual Result<std::optional<Digest>> hash_of(std::uint64_t batch) = 0;
  /// `already_exists` if it is not what it was when it was opened: somebody acts on it. Ends the
  /// snapshot.
  [[nodiscard]] virtual Result<void> check_unchanged() = 0;
};

/// What an unfinished copy is of: the chain's hash stands for all of it.
struct CopyOrigin {
  std::string source;  ///< its name(), for people
  std::uint64_t batch = 0;
  Digest hash{};
};

class CopyDestination : public LedgerTables {
 public:
  enum class Found : std::uint8_t { nothing, unfinished, ledger };
  /// What is there. `unsupported`: a newer program wrote it.
  [[nodiscard]] virtual Result<Found> look() = 0;
  /// How a person takes away what is there: "DROP SCHEMA …", "remove the file …".
  [[nodiscard]] virtual std::string how_to_remove() const = 0;

  // Of what was found unfinished.
  [[nodiscard]] virtual Result<CopyOrigin> origin() = 0;
  /// Takes it over. Where to go on is certain afterwards.
  [[nodiscard]] virtual Result<void> resume() = 0;
  /// As resume(), and empties it.
  [[nodiscard]] virtual Result<void> begin_anew(const CopyOrigin& origin) = 0;

  /// Where nothing was found: the tables of a ledger, unfinished. `conflict`: somebody was faster.
  [[nodiscard]] virtual Result<void> create(const CopyOrigin& origin) = 0;

  // After resume(), begin_anew() or create(). `already_exists`: another copy took over.
  /// The key of the last row; 0 if there is none.
  [[nodiscard]] virtual Result<std::uint64_t> last(const CopyTable& table) = 0;
  /// All of them, durably, or none.
  [[nodiscard]] virtual Result<void> add(const CopyTable& table,
                                         const std::vector<CopyRow>& rows) = 0;
  [[nodiscard]] virtual Result<void> set_frame(const LedgerFrame& frame) = 0;
  /// It is a ledger from now on. `happened = maybe`: it may be one; another run tells.
  [[nodiscard]] virtual Result<void> finish() = 0;
};

struct CopyWatch {
  /// What is being done ("auditing the source", …), and how far it is.
  std::function<void(std::string_view stage, std::uint64_t done, std::uint64_t total)> progress;
  /// Something that a person should know, once.
  std::function<void(const std::string&)> notice;
};

struct CopyReport {
  AuditReport audit;          ///< of the copy; the source's said the same
  std::uint64_t written = 0;  ///< rows that this run wrote
  std::uint64_t found = 0;    ///< rows that an earlier run had written
  bool anew = false;          ///< what an earlier run had written was discarded
  bool before = false;        ///< it was finished already, and is whole
};

/// One run of one copy.
class LedgerCopy {
 public:
  LedgerCopy(CopySource& from, CopyDestination& to, CopyWatch watch, CopyPage page = {})
      : from_(from), to_(to), watch_(std::move(watch)), page_(page) {}

  /// `corrupt`: the source is not what its log says, or the copy not what the source is; it stays
  /// unfinished. `conflict`: the destination holds something else. `already_exists`: somebody acts
  /// on one of them.
  /// What may pass leaves what was copied; the next run goes on.
  [[nodiscard]] Result<CopyReport> run();
  /// True if an unfinished copy is left behind by a run that failed.
  [[nodiscard]] bool begun() const { return begun_; }

 private:
  using Found = CopyDestination::Found;

  [[nodiscard]] Result<CopyReport> run_all();
  [[nodiscard]] Result<void> read_source();
  [[nodiscard]] Result<void> audit_source();
  [[nodiscard]] Result<void> prepare(Found found);
  [[nodiscard]] Result<void> check_origin();
  [[nodiscard]] Result<bool> went_on(const CopyOrigin& origin);
  [[nodiscard]] Result<void> check_is_this();
  [[nodiscard]] Result<void> copy_rows();
  [[nodiscard]] Result<void> copy_table(const CopyTable& table);
  [[nodiscard]] Result<void> compare_rows();
  [[nodiscard]] Result<void> compare_table(const CopyTable& table);
  [[nodiscard]] Result<void> audit_copy();
  [[nodiscard]] CopyProgress stage(std::string_view name) const;
  [[nodiscard]] Error differs(const std::string& where, const std::string& detail) const;

  CopySource& from_;
  CopyDestination& to_;
  const CopyWatch watch_;
  const CopyPage page_;
  CopyReport report_;
  AuditReport source_audit_;
  LedgerFrame frame_;
  std::uint64_t total_ = 0;  ///< rows of the source
  std::uint64_t done_ = 0;   ///< of the stage
  bool begun_ = false;
};

}  // namespace trued
