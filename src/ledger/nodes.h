// nodes.h: the processes that serve one ledger, as far as they can be seen from it.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace trued {

/// What a node says of itself, and when it said it last.
struct NodeRow {
  std::string name;
  std::string url;          ///< at which the others reach it; empty: they cannot
  std::string version;      ///< of the program
  std::string role;         ///< "acting", "standby"
  std::uint64_t epoch = 0;  ///< of its tenure, while it acts
  std::string detail;       ///< a JSON object: what it holds; as it says
  WallTime began{};         ///< by the clock of the ledger's server
  Duration silent{};        ///< since it was heard of, by the same clock
  bool alive = false;       ///< it was heard of within the time that it promised
  bool is_this = false;     ///< who answers
};

class Nodes {
 public:
  virtual ~Nodes() = default;
  /// By name. Those that ended in order are gone; those that fell silent stay for a day. Fails with
  /// what the ledger's server says; blocks.
  [[nodiscard]] virtual Result<std::vector<NodeRow>> list() = 0;
};

}  // namespace trued
