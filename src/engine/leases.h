// leases.h: the desk at which work is handed out: who waits for a worker, which workers wait for
// work, and what is on its way between the two.
//
//   operation: waiting ─offered─► reserved ─prepared─► handed over ─► leased ─► ended
//   poll:      open ────────────────────────────────► answered
//
// An offer brings an operation and a poll together; the attempt then begins, what stands before it
// is read, and only when the lease is durable is the poll answered with it. Who has been offered
// something is waited for beyond its time, but not for long.
//
// Invariants
//   (1) Every poll's reply is called exactly once.
//   (2) Waiting operations are offered by priority, then in the order of acceptance, among those
//       that the poll takes.
//   (3) A poll is never promised more than it asked for.
//
// One thread, the engine's. Nothing here is durable: leases themselves are (core/operation.h,
// Heartbeat); after a restart who waited waits again, and workers ask again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/lease.h"
#include "engine/stats.h"

namespace trued {

class Leases {
 public:
  using Mono = std::chrono::milliseconds;
  using PollNo = std::uint64_t;
  using Payload = std::shared_ptr<std::optional<std::string>>;

  struct Offer {
    OperationId id;
    PollNo poll = 0;
  };
  /// A lease that could not be handed to the worker for which it was made.
  struct Returned {
    OperationId id;
    AttemptNo attempt{1};
  };

  /// `leases_max`: of this target at a time; 0 for no bound.
  void add_target(const std::string& name, std::uint32_t leases_max);
  [[nodiscard]] bool has_target(const std::string& name) const { return desks_.contains(name); }

  // Operations
  /// The operation as it is now. `waits`: for a worker.
  void follow(const Operation& operation, bool waits);
  /// It does not wait any more, and nobody was promised it.
  void forget(const OperationId& id);

  // Polls
  void ask(LeaseAsk ask, Mono until, WallTime wall, LeaseReply reply);
  /// Who may be handed what, one pair at a time, until there is none; reserve() it or hold_back().
  [[nodiscard]] std::optional<Offer> next_offer(Mono now);
  void reserve(const Offer& offer);
  /// Nothing of that target is offered until `again`: its gate is closed.
  void hold_back(const std::string& target, Mono again);

  // Between the two
  void prepare(const OperationId& id, Payload payload) { prepared_[id] = std::move(payload); }
  /// The worker who is to have it: the one it was reserved for, or another that takes it; null if
  /// nobody waits any more.
  [[nodiscard]] const LeaseAsk* taker(const Operation& operation);
  /// It is durably the taker's, from `begun` on; that it is may have been in doubt until `now`. The
  /// poll is answered by settle() and send(). False if it has gone meanwhile.
  [[nodiscard]] bool hand_over(const OperationId& id, Lease lease, Mono begun, Mono now);
  /// It came to nothing: no worker was told of it.
  void drop(const OperationId& id);

  /// Answers the polls that have what they get, or whose time is over. Leases whose poll has gone
  /// come back.
  [[nodiscard]] std::vector<Returned> settle(Mono now);
  /// Answers every poll with what it has; with `problem` where that is nothing. What comes back is
  /// the caller's to see to, as of settle().
  std::vector<Returned> dismiss(const std::optional<EngineProblem>& problem, Mono now);
  /// Hands those answers out.
  void send();
  /// When settle() or next_offer() may have something to do; nothing if that hangs on others.
  [[nodiscard]] std::optional<Mono> wake(Mono now) const;

  // For status
  void seen(const std::string& target, const std::string& worker, WallTime at);
  void count_lost(const std::string& target);
  [[nodiscard]] std::vector<LeaseStats> stats(WallTime now) const;

 private:
  struct Poll {
    LeaseAsk ask;
    Mono until{};
    std::optional<Mono> answer_by;  ///< some of it is ready
    bool passed_over = false;       ///< it was looked at, and there was nothing (more) for it
    LeaseReply reply;
    std::set<OperationId> reserved;
    std::vector<Lease> ready;
  };
  using Rank = std::pair<Priority, OperationId>;
  using Shelf = std::pair<std::string, std::string>;  ///< type and scope
  struct Desk {
    std::uint32_t leases_max = 0;
    Mono closed_until{};
    std::uint32_t reserved = 0;
    std::map<Shelf, std::set<Rank>> shelves;
    std::map<OperationId, std::string> leased;  ///< and to whom
    std::map<std::string, WallTime> workers;    ///< when they were heard of
    std::uint64_t handed_out = 0;
    std::uint64_t lost = 0;
  };
  struct Place {
    std::string target;
    Shelf shelf;
    Rank rank;
  };

  [[nodiscard]] bool takes(const Poll& poll, const std::string& target, const Shelf& shelf) const;
  [[nodiscard]] bool is_gone(const Poll& poll) const { return poll.ask.gone && poll.ask.gone(); }
  [[nodiscard]] bool has_room(const Poll& poll) const {
    return poll.reserved.size() + poll.ready.size() < poll.ask.max;
  }
  [[nodiscard]] std::optional<Rank> best_for(const Poll& poll, Mono now) const;
  [[nodiscard]] bool due(const Poll& poll, Mono now) const;
  /// Answers it with what is still worth something to it; the rest comes back.
  void answer(Poll& poll, const std::optional<EngineProblem>& problem, Mono now,
              std::vector<Returned>& returned);
  void release(const OperationId& id);

  std::map<std::string, Desk, std::less<>> desks_;
  std::map<OperationId, Place> places_;  ///< of those who wait
  std::map<PollNo, Poll> polls_;
  std::vector<std::pair<LeaseReply, LeaseAnswer>> answered_;  ///< not sent yet
  PollNo poll_no_ = 0;
  std::map<OperationId, std::pair<PollNo, std::string>> reserved_;  ///< with the target
  std::map<OperationId, Payload> prepared_;
};

}  // namespace trued
