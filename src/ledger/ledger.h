// ledger.h: the port to the store of operations and their event log.
//
// Set-based: one load and one commit for a whole turn of the engine. The ledger keeps, for each
// operation, a row (the fold of its events), its write-once intent, and its events; events of one
// commit form a batch, and each batch carries a hash over its events and the batch before, so that
// a changed history is found. Formats: ledger/codec.h (shared by every implementation).
//
// Invariants
//   (1) A batch is all or nothing. After `committed` it survives a crash of process and machine as
//       far as durability() says.
//   (2) At most one operation or tombstone for an identity (unique constraint).
//   (3) Events are never changed, and removed only by retention, which leaves a tombstone.
//   (4) row == fold(events), for every row; chain hash == recomputed, for every batch.
//   (5) After commit() returned `unknown`, nothing but settle_unknown() is called until that
//       answered.
//   (6) Where nodes share a ledger, only the one that took it last commits. After `fenced` nothing
//       that this node says counts any more.
//
// Threads: load, commit, settle_unknown and retire belong to the one engine thread. Readers come
// from open_reader(), each used by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "core/cause.h"
#include "core/identity.h"
#include "core/operation.h"
#include "ledger/durability.h"

namespace trued {

/// What changes for one operation in a batch.
struct Change {
  Operation row;              ///< after `events`
  bool insert = false;        ///< new: `intent` is stored with it
  std::string intent;         ///< canonical JSON of the input; only when insert
  std::vector<Event> events;  ///< at least one
  WallTime at{};
};

struct Batch {
  std::vector<Change> changes;  ///< each operation at most once; order is the order of the log
  WallTime at{};
};

enum class CommitOutcome : std::uint8_t {
  committed,
  rolled_back,  ///< nothing of it is in the ledger
  conflict,     ///< nothing of it is in the ledger, and it is decided anew: another writer holds
                ///< one of the identities, or the ledger promises less than it did
  unknown,      ///< storage failed: it may be in the ledger; see settle_unknown()
  fenced,  ///< nothing of it is or ever will be in the ledger: another node acts now (tenure.h)
};

struct CommitResult {
  CommitOutcome outcome = CommitOutcome::unknown;
  std::string message;  ///< why, when not committed
};

/// What the ledger holds for a list of identities, in the order asked.
struct Known {
  std::optional<Operation> operation;
  std::optional<Tombstone> tombstone;
};

struct EventRecord {
  std::uint64_t sequence = 0;  ///< position in the whole log
  std::uint64_t batch = 0;
  OperationId operation;
  WallTime at{};
  Event event;
};

/// Where a ledger stands: which one it is, and the number of its newest batch. It survives a
/// failover, and a copy that is put back says how far back it is.
struct LedgerPosition {
  Uuid ledger{};            ///< all zero while nothing is in it and it has no name yet
  std::uint64_t batch = 0;  ///< 0: none

  friend bool operator==(const LedgerPosition&, const LedgerPosition&) = default;
};

struct ListQuery {
  std::string scope, type, key, target;  ///< empty = any
  std::optional<State> state;
  std::optional<Status> status;
  std::optional<WallTime> since, until;  ///< by created_at: since <= t < until
  std::optional<OperationId> before;     ///< cursor: only operations older than this one
  std::uint32_t limit = 50;              ///< 1 to 1,000
  std::vector<std::string> scopes = {};  ///< of one of these, besides the rest; empty = any
};

/// Newest first. `more` tells whether a further page exists.
struct ListPage {
  std::vector<Operation> operations;
  bool more = false;
};

/// Dead letters (core/cause.h), oldest first in the order of acceptance.
struct DeadLetterQuery {
  std::vector<std::string> scopes = {};  ///< empty = any
  std::string type = {}, target = {};    ///< empty = any
  std::optional<Cause> cause = {};
  bool undecided = false;                    ///< only what needs a person, and all of that
  std::optional<WallTime> ended_until = {};  ///< ended_at() <= it
  std::uint64_t after = 0;                   ///< `position` of an earlier page
  std::uint32_t limit = 50;                  ///< 1 to 1,000
  std::uint32_t look_max = 5'000;            ///< operations looked at for one page
};
struct DeadLetterPage {
  std::vector<Operation> operations;
  /// Where a further page begins; 0 at the end. A page may hold fewer than `limit` and not be the
  /// last: it had looked at `look_max`.
  std::uint64_t position = 0;
  std::vector<std::uint64_t> positions = {};  ///< of each operation: a page may begin after it
};

struct Counts {
  std::uint64_t operations = 0;
  std::uint64_t open = 0;  ///< not settled
  std::uint64_t needs_action = 0;
  std::uint64_t events = 0;
  std::uint64_t batches = 0;
  std::uint64_t tombstones = 0;
  std::uint64_t bytes = 0;  ///< on disk; 0 for memory
};

/// Snapshot reads; may run beside the engine. Every call may fail with `io` (nothing happened).
class LedgerReader {
 public:
  virtual ~LedgerReader() = default;
  [[nodiscard]] virtual Result<std::optional<Operation>> find(const OperationId& id) = 0;
  [[nodiscard]] virtual Result<ListPage> list(const ListQuery& query) = 0;
  [[nodiscard]] virtual Result<DeadLetterPage> dead_letters(const DeadLetterQuery& query) = 0;
  [[nodiscard]] virtual Result<std::vector<EventRecord>> events(const OperationId& id) = 0;
  /// Canonical JSON of the input; nothing if the operation is not known.
  [[nodiscard]] virtual Result<std::optional<std::string>> intent(const OperationId& id) = 0;
  [[nodiscard]] virtual Result<Counts> counts() = 0;
  /// Where the ledger stands now.
  [[nodiscard]] virtual Result<LedgerPosition> position() = 0;
  /// Where it stood in the very snapshot that the last find(), list() or events() was answered
  /// from.
  [[nodiscard]] virtual LedgerPosition seen() const = 0;
};

/// One difference that an audit found, the first in the order of the log.
struct AuditFinding {
  std::string what;    ///< "chain", "row", "event", "intent", "tombstone", "schema"
  std::string where;   ///< batch number, operation id, …
  std::string detail;  ///< expected and found
};

struct AuditReport {
  int schema = 0;  ///< version of the file's format
  std::uint64_t batches = 0;
  std::uint64_t events = 0;
  std::uint64_t operations = 0;
  std::uint64_t intents = 0;
  std::uint64_t tombstones = 0;
  std::string head;  ///< hex of the newest chain hash: keep it elsewhere to notice a cut tail
  std::optional<AuditFinding> first;
};

class Ledger {
 public:
  virtual ~Ledger() = default;

  /// What is held under each identity, in order. Fails with `io`: nothing happened.
  [[nodiscard]] virtual Result<std::vector<Known>> load(
      const std::vector<Identity>& identities) = 0;
  /// Rows by id, in order.
  [[nodiscard]] virtual Result<std::vector<std::optional<Operation>>> load(
      const std::vector<OperationId>& ids) = 0;
  /// Every operation that is not settled, in the order of acceptance: for recovery at start.
  [[nodiscard]] virtual Result<void> each_open(const std::function<void(Operation&&)>& visit) = 0;

  /// One durable batch. Blocks until it is durable.
  [[nodiscard]] virtual CommitResult commit(const Batch& batch) = 0;
  /// After `unknown`: reopens the store and reads whether the last batch is in it. `committed`,
  /// `rolled_back` or `fenced`; `unknown` again while the store cannot be read.
  [[nodiscard]] virtual CommitResult settle_unknown() = 0;

  /// Moves operations that settled before their retention ran out (settled_at + retention <= now)
  /// to tombstones, at most `limit`; how many were moved. Their log stays verifiable.
  [[nodiscard]] virtual Result<std::uint32_t> retire(WallTime now, std::uint32_t limit) = 0;

  [[nodiscard]] virtual Result<std::unique_ptr<LedgerReader>> open_reader() = 0;
  /// What a committed batch survives: "fsync", "memory", …
  [[nodiscard]] virtual std::string durability() const = 0;
  /// The same with why and who follows, asked anew; may block as a read may. Any thread. Fails: it
  /// cannot be told now.
  [[nodiscard]] virtual Result<Durability> durability_now() {
    return fixed_durability(durability());
  }
  /// `found` is called, on the thread that commits, when a commit finds that the ledger promises
  /// something else than it did; false: that is not enough, and if it is less than before, nothing
  /// is written (`conflict`). Set before the first commit; may never be called.
  virtual void on_durability(std::function<bool(const Durability&)> found) { (void)found; }

  /// The newest batch that is known here to be committed; asks nobody. Any thread.
  [[nodiscard]] virtual LedgerPosition newest() const = 0;
};

}  // namespace trued
