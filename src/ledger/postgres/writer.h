// writer.h: the writing side of the ledger: the head, commits, doubts. Private.
//
//   clear ──commit: committed, rolled back, conflict──► clear
//     │ └──commit: no answer, or not handed on to the standbys──► in doubt ──settle──► clear
//     └──retire: no answer──► adrift ──regain, before anything else──► clear
//   any ──the head is another's──► overtaken, for ever
//
// Threads: one.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ledger/postgres/batch_statement.h"
#include "ledger/postgres/durability.h"
#include "ledger/postgres/link.h"
#include "ledger/postgres/postgres_tenure.h"
#include "ledger/postgres/rows.h"

namespace trued::postgres {

struct IdHash {
  std::size_t operator()(const OperationId& id) const;
};

class Writer {
 public:
  Writer(const Site& site, Claim claim, Duration call_max)
      : link_(site, "trued", call_max, Link::Flush::as_set, Link::Plans::by_index),
        condition_{
            .epoch = claim.epoch, .holder = std::move(claim.holder), .settled = 0, .terms = {}} {}

  /// Reads where the log ends; `conflict` if the claim does not hold.
  Result<void> open();
  /// One statement that reads, on the writer's connection.
  Result<pg::Rows> read(std::string_view text, const pg::Parameters& parameters);
  /// Remembers where an operation stands, so that a commit need not ask.
  void note(const Stored& stored);

  CommitResult commit(const Batch& batch);
  CommitResult settle_unknown();
  Result<std::uint32_t> retire(WallTime now, std::uint32_t limit);
  /// Called with what the server promises, when a commit found out that it is something else.
  void on_durability(std::function<bool(const Durability&)> found) { found_ = std::move(found); }
  /// Somebody else read the terms. Any thread.
  void terms_elsewhere(const std::string& text);

  /// The newest that is known to be committed.
  [[nodiscard]] std::uint64_t batch() const { return ends_.batch; }

 private:
  enum class Head : std::uint8_t { ours, overtaken };

  Error failure(const pg::PgError& e) const { return plain(link_.site(), e); }
  Result<void> find_places(const Batch& batch);
  Result<std::unique_ptr<BatchStatement>> statement_of(const Batch& batch);
  CommitResult send(BatchStatement& statement);
  /// Reads what the server promises now: false if that is less than it was, and not enough.
  Result<bool> read_promise();
  /// The same on a connection of its own age, unless nobody found anything else elsewhere.
  Result<bool> keeps_promise();
  CommitResult judge(const pg::PgError& e, const BatchStatement& statement);
  CommitResult mismatch();
  CommitResult doubt(const Ends& next, std::string why);
  void apply(const Ends& next);
  Result<bool> buried(const BatchStatement& statement);
  Result<Head> hold_head();
  Result<CommitResult> fate_under_another();

  Link link_;
  Condition condition_;
  DurabilityLevel level_ = DurabilityLevel::unknown;  ///< by the terms of condition_
  std::function<bool(const Durability&)> found_;
  std::mutex elsewhere_mutex_;
  std::optional<std::string> elsewhere_;  ///< under elsewhere_mutex_
  Ends ends_;                             ///< as committed
  std::unordered_map<OperationId, Place, IdHash> places_;
  /// Of the batch being written, or in doubt.
  struct Pending {
    Ends next;
    std::vector<std::pair<OperationId, Place>> places;
    std::vector<OperationId> settled;
  };
  Pending pending_;
  bool unsettled_ = false;
  bool adrift_ = false;  ///< whether the last retirement came about is not known
  bool overtaken_ = false;
};

/// One retirement, in a transaction that the caller has begun and ends, on a head that is locked.
/// Moves `ends` on; how many operations were retired.
[[nodiscard]] Result<std::uint32_t> retire_some(Link& link, Ends& ends, WallTime now,
                                                std::uint32_t limit);

}  // namespace trued::postgres
