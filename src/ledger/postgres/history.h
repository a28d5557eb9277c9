// history.h: who wrote which part of the chain, from the rows of the table `tenure`. Private. Pure.
//
//   epoch     3 (a)          4 (no row)      5 (b)
//   batches   11 … ?         ? … 50          51 … head
//
// One node writes at a time, so each epoch is one stretch of the one chain: from the batch after
// the one at which it was taken, to the one at which the next was. Where epochs have no row between
// two that have one, the border between their stretches is not known: then all the batches are told
// as nobody's, and a batch is never told as that of a node that may not have written it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/nodes.h"

namespace trued::postgres {

/// A row of the table.
struct Taken {
  std::uint64_t epoch = 0;
  std::string node;
  std::uint64_t batch = 0;  ///< with which the log ended then
  WallTime began{};
};

/// What a page is made of, of one snapshot.
struct Takes {
  std::uint64_t epoch = 0;     ///< of the head
  std::uint64_t batch = 0;     ///< of the head
  std::uint64_t base = 0;      ///< the last batch that the log begins after
  std::uint64_t before = 0;    ///< epochs from here on are not told
  std::optional<Taken> newer;  ///< the oldest row that is not told; nothing: there is none
  std::vector<Taken> rows;     ///< those before it, newest first
  bool all = false;            ///< and there are no older ones
};

/// REQUIRES: epochs fall, and are none beyond the head's.
[[nodiscard]] NodeHistory history_of(const Takes& takes, std::uint32_t limit);

}  // namespace trued::postgres
