// postgres_tenure.h: which of several nodes acts on a ledger that lies on a PostgreSQL server.
//
// The holder raises a beat in the ledger, a few times a lease. A candidate that sees the same beat
// for the holder's whole lease and a margin, by its own clock, raises the epoch, which every commit
// is conditional on. The lease counts from before the renewal was sent; one that the server could
// not hand on to the standbys it is told to wait for does not count, as no commit would.
//
// What the engine promises of a commit it promises of the epoch: where a failover may lose commits
// (no synchronous standby), it may bring back an older epoch too. A holder that finds itself
// unknown there has lost; two that hold at once, one on each side, only the engine can keep apart.
//
// Threads: holds(), lost(), claim() any; the rest the one that made it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "ledger/postgres/postgres_place.h"
#include "ledger/tenure.h"

namespace trued {

/// What commits are conditional on: who took the ledger, and which take that was.
struct Claim {
  std::uint64_t epoch = 0;
  std::string holder;  ///< of this one take alone
};

struct TenureOptions {
  std::string node = "trued";  ///< for people: who acts
  std::string url = {};        ///< at which other nodes reach it; empty: they cannot
  Duration lease{10'000};
  Duration margin{1'000};  ///< for clocks that differ in speed
};

/// Who held the ledger when a candidate looked.
struct Holder {
  std::string node;
  std::string url;  ///< empty: it was given back, or cannot be reached
  std::uint64_t epoch = 0;
  Duration lease{};
};

class PostgresTenure final : public Tenure {
 public:
  /// Connects, creates the ledger's tables if there are none; holds nothing yet. `unsupported`: the
  /// ledger is newer than this program.
  [[nodiscard]] static Result<std::unique_ptr<PostgresTenure>> open(const PostgresPlace& place,
                                                                    TenureOptions options);
  /// Stops renewing, without giving back: the next has to wait for the lease.
  ~PostgresTenure() override;

  /// One look at the ledger: true if it was free, given back, or its holder was silent for long
  /// enough, and is ours now. False: somebody else holds it (who() says). Call it again after
  /// pause(), after errors too: they may pass.
  [[nodiscard]] Result<bool> try_take();
  [[nodiscard]] Holder who() const;
  [[nodiscard]] Duration pause() const;

  [[nodiscard]] bool holds() const override;
  /// Another node took over. Never false again.
  [[nodiscard]] bool lost() const;
  [[nodiscard]] Claim claim() const;
  /// Gives it back, so that the next need not wait. Only when nothing is under way any more.
  /// holds() is false from then on.
  void release();

 private:
  class Impl;
  explicit PostgresTenure(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued
