// nodes.h: the processes that serve one ledger, as far as they can be seen from it.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <optional>
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

/// A stretch of the ledger's one chain of batches, and who wrote it.
struct Stretch {
  /// Why nobody is named. `older_program`: one that keeps no history took the ledger in between.
  /// `not_kept`: it was written before the history begins, or copied from another ledger.
  enum class Unknown : std::uint8_t { no, older_program, not_kept };

  std::uint64_t epoch = 0;        ///< the newest that it covers
  std::uint64_t first_epoch = 0;  ///< the oldest: another only where nobody is named
  std::string node;
  Unknown unknown = Unknown::no;
  std::optional<WallTime> began;  ///< by the clock of the ledger's server; nothing: not known
  /// The batches from `first` to `last`; `last` < `first`: none. Nothing: where they end is not
  /// known, since the next to act is not; they are the first ones of the stretch after this.
  struct Batches {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    [[nodiscard]] std::uint64_t count() const { return last + 1 - first; }
  };
  std::optional<Batches> batches;
  bool current = false;  ///< it is not over: who took the ledger last
};

/// A page of the history, newest first.
struct NodeHistory {
  std::vector<Stretch> stretches;
  std::uint64_t next = 0;  ///< `before` of the next page; 0: there is none
};

class Nodes {
 public:
  virtual ~Nodes() = default;
  /// By name. Those that ended in order are gone; those that fell silent stay for a day. Fails with
  /// what the ledger's server says; blocks.
  [[nodiscard]] virtual Result<std::vector<NodeRow>> list() = 0;
  /// Who acted when, and which batches are whose: of epochs below `before` (0: all), at most
  /// `limit` stretches, as far as the log goes back. As list() otherwise.
  [[nodiscard]] virtual Result<NodeHistory> history(std::uint64_t before, std::uint32_t limit) = 0;
};

}  // namespace trued
