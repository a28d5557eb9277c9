// locks.h: whose turn it is on each artifact.
//
// Every operation takes a ticket for each of its artifacts (target + name, or what a definition
// says that it takes turns at); tickets of one artifact
// are served in the order in which they were taken. An operation may run when it is first at all of
// its artifacts. Tickets of one operation are taken together, so the order is one order for all and
// nobody can wait in a circle.
//
// Invariant: an operation has a ticket at each of its artifacts, or at none.
// Threads: one.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/operation.h"

namespace trued {

class ArtifactLocks {
 public:
  /// Takes a ticket at each of `names` (a name that comes twice counts once) of the operation's
  /// target. True if it may run now. Asserts that it has none yet.
  bool enqueue(const Operation& operation, std::vector<std::string> names);

  /// Gives the tickets back; the operations that may run because of it, in order. Harmless if it
  /// has none.
  std::vector<OperationId> release(const OperationId& id);

  /// True when it has tickets.
  [[nodiscard]] bool holds(const OperationId& id) const { return holders_.contains(id); }

  /// True when it has tickets and is first at all of its artifacts.
  [[nodiscard]] bool may_run(const OperationId& id) const;

  /// Who is before `id` at one of its artifacts, for the reason shown; nothing if nobody is.
  [[nodiscard]] const OperationId* ahead_of(const OperationId& id) const;

  /// The names of the operation's artifacts.
  [[nodiscard]] static std::vector<std::string> names_of(const Operation& operation);

  /// Artifacts somebody holds or waits for.
  [[nodiscard]] std::size_t size() const { return queues_.size(); }

 private:
  struct Holder {
    std::vector<std::string> keys;
    std::size_t behind = 0;  ///< artifacts at which somebody is before it
  };
  struct IdHash {
    std::size_t operator()(const OperationId& id) const;
  };

  std::unordered_map<std::string, std::deque<OperationId>> queues_;
  std::unordered_map<OperationId, Holder, IdHash> holders_;
};

}  // namespace trued
