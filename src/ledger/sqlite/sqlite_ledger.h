// sqlite_ledger.h: the durable ledger in one file, on SQLite (WAL, synchronous=FULL).
//
// One process owns the writing side (a lock beside the file names it); any number of readers see
// snapshots. A commit is one transaction for a whole turn. Format: schema.h, codec.h.
//
// An I/O error at COMMIT is `unknown`: a commit whose fsync failed is usually in the file. Then the
// connection is closed, the file reopened, everything readable written anew and synced, and the
// batch looked for (settle_unknown()): what was answered then cannot be undone by a later crash.
// That waits for readers of old snapshots (an audit, a backup).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "ledger/ledger.h"

namespace trued {

/// The version of the file's format that this program writes.
inline constexpr int kLedgerSchema = 4;

struct SqliteOptions {
  std::string path;
  std::uint64_t pages_max = 0;  ///< refuses to grow beyond; 0 = no limit. For tests of a full disk
  /// Told what happens to an older ledger: copied to "<path>.v<version>-backup", brought forward.
  std::function<void(const std::string&)> notice = {};
};

/// For a program that leaves SQLite to the ledger: it stops counting every allocation under one
/// lock. Before the first ledger is opened; does nothing later.
void tune_sqlite_for_ledger();

class SqliteLedger final : public Ledger {
 public:
  /// Opens or creates; an older ledger is copied and brought forward. Symbolic links are followed
  /// first. `already_exists`: another process owns it (named). `unavailable`: the file has several
  /// names (hard links). `invalid_argument`: it holds something else. `unsupported`: a newer
  /// schema. `corrupt` (also a log that was changed where it had been synced), `io`,
  /// `permission_denied` as they say. Nothing happened on failure.
  [[nodiscard]] static Result<std::unique_ptr<SqliteLedger>> open(const SqliteOptions& options);
  ~SqliteLedger() override;

  Result<std::vector<Known>> load(const std::vector<Identity>& identities) override;
  Result<std::vector<std::optional<Operation>>> load(const std::vector<OperationId>& ids) override;
  Result<void> each_open(const std::function<void(Operation&&)>& visit) override;
  CommitResult commit(const Batch& batch) override;
  CommitResult settle_unknown() override;
  Result<std::uint32_t> retire(WallTime now, std::uint32_t limit) override;
  Result<std::unique_ptr<LedgerReader>> open_reader() override;
  std::string durability() const override { return "fsync"; }
  LedgerPosition newest() const override;

  /// Lets the file grow to that many pages; for tests of a disk that is freed again.
  [[nodiscard]] Result<void> set_pages_max(std::uint64_t pages);

 private:
  class Impl;
  explicit SqliteLedger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Snapshot reads of a ledger file, beside a running server or without one. Fails like open().
[[nodiscard]] Result<std::unique_ptr<LedgerReader>> open_sqlite_reader(const std::string& path);

/// Called with how much is done of how much; for progress.
using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Recomputes the whole chain and every row, on one snapshot, beside a running server. A difference
/// is a finding in the report, and so is a ledger that is damaged or cut off; a failure means that
/// there is none to read: `not_found`, `invalid_argument` (something else), `unavailable` (hard
/// links), `io`. An older schema is audited as it is, a newer one is `unsupported`.
[[nodiscard]] Result<AuditReport> audit_sqlite(const std::string& path, const Progress& progress);

/// Copies the ledger while it is in use, whatever older schema it has. Written under a temporary
/// name, synced, then renamed; refuses an existing destination (`already_exists`). Returns the
/// bytes of the copy.
[[nodiscard]] Result<std::uint64_t> backup_sqlite(const std::string& path,
                                                  const std::string& destination,
                                                  const Progress& progress);

}  // namespace trued
