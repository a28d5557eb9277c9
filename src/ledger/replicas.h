// replicas.h: the port to copies of the ledger that follow it, for reads that may be older.
//
//   read ──► replicas that can be used, those likely new enough first ──look──► new enough: served
//     ▲                                                                 └────► older: the next one
//     └── all of them older, and time is left: again, a little later ───┘ no time left: declined
//
// Invariants
//   (1) What is served is of the same ledger, of a server that follows another, and of batch
//       `batch_min` or later: this is looked at in the snapshot that the answer was read from.
//   (2) Nobody is asked but replicas. What is declined is for the primary.
//   (3) Every read ends once, unless the port goes away first.
//
// Needs no engine and writes nothing, so a node that does not act can read too.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"

namespace trued {

/// What is known of one replica.
struct ReplicaState {
  std::string name;
  bool usable = false;                  ///< reads go there
  std::string wrong;                    ///< why not; empty if they do
  std::optional<std::uint64_t> batch;   ///< where it stood when it was last asked
  std::optional<std::uint64_t> behind;  ///< batches, against the primary as last seen
  std::optional<Duration> stale;        ///< at most; see Freshness::stale
  WallTime since{};                     ///< it is, or is not, usable since then
};

/// How new an answer is, measured against the primary.
struct Freshness {
  LedgerPosition at;  ///< what the answer is of
  /// Batches that the primary had more when it was last seen; nothing if that was too long ago.
  std::optional<std::uint64_t> behind;
  /// All that was acknowledged until so long ago is in it. By the monotonic clock of this process,
  /// from before it asked the primary until the answer was there. Nothing if it is not known.
  std::optional<Duration> stale;
};

struct ReplicaWant {
  std::uint64_t batch_min = 0;          ///< older ones do not do
  std::optional<Duration> stale_max{};  ///< neither do those that may be staler
  Duration patience{};                  ///< for them to come so far
};

struct ServedBy {
  std::string name;
  Freshness how;
};

class ReplicaReads {
 public:
  /// Reads what is wanted. May be called several times, on different readers, one after another;
  /// the last call counts. What fails is tried at another replica.
  using Look = std::function<Result<void>(LedgerReader&)>;
  /// Nothing: no replica could serve it.
  using Done = std::move_only_function<void(std::optional<ServedBy>)>;

  virtual ~ReplicaReads() = default;
  /// Never blocks; `look` and `done` run on threads of the port, or `done` at once. Any thread.
  virtual void read(const ReplicaWant& want, Look look, Done done) = 0;
  /// In the order in which they were configured. Any thread.
  [[nodiscard]] virtual std::vector<ReplicaState> states() const = 0;
};

}  // namespace trued
