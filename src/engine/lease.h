// lease.h: what workers ask the engine for, and what they are answered. Plain values.
//
// A worker asks for work (LeaseAsk) and is handed leases: attempts that are its own until the lease
// runs out. It keeps a lease by heartbeats and ends it by saying what came of it. The number of the
// attempt is the fencing token: what is said of an older one is kept as evidence and moves nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/operation.h"
#include "engine/submission.h"

namespace trued {

/// Somebody asks for work. Callbacks run on the engine's thread and must not block.
struct LeaseAsk {
  std::string worker;                                         ///< its name, for people
  std::vector<std::string> targets = {};                      ///< empty: all that workers carry out
  std::vector<std::string> types = {};                        ///< empty: all
  std::uint32_t max = 1;                                      ///< leases at a time
  std::function<bool(const std::string& scope)> covers = {};  ///< null: every scope
  std::function<bool()> gone = {};  ///< who asked does not wait any more; null: always waits
};

/// One attempt in a worker's hands.
struct Lease {
  std::shared_ptr<const Operation> operation;  ///< as it was handed out
  std::shared_ptr<const Intent> intent;
  std::string payload;  ///< JSON: the effect's call, filled in
  WallTime until{};
  Duration span{};                      ///< what every heartbeat gives
  std::chrono::milliseconds told_by{};  ///< on the monotonic clock: nobody is told of it later
};

/// May be empty: nothing came up in time.
using LeaseAnswer = std::variant<std::vector<Lease>, EngineProblem>;
using LeaseReply = std::move_only_function<void(LeaseAnswer)>;

/// What became of what a worker said.
struct WorkAnswer {
  std::shared_ptr<const Operation> operation;
  /// It moved the operation. Otherwise it is kept as evidence alone: it came too late.
  bool counted = false;
  bool repeated = false;  ///< it had been said before, and nothing was recorded again
};
using WorkReply = std::move_only_function<void(std::variant<WorkAnswer, EngineProblem>)>;

}  // namespace trued
