#include "ledger/postgres/history.h"

#include <algorithm>

#include "base/assert.h"

namespace trued::postgres {
namespace {

/// Where the stretch begins that follows the one that is looked at.
struct Upper {
  std::uint64_t epoch = 0;
  std::uint64_t batch = 0;
  bool open = false;  ///< nothing follows
};

// Rows that contradict each other are the audit's to tell; here they make no batches.
Stretch::Batches between(std::uint64_t after, std::uint64_t upto) {
  return {.first = after + 1, .last = std::max(after, upto)};
}

Stretch nobody(std::uint64_t first_epoch, std::uint64_t after, const Upper& upper,
               Stretch::Unknown why) {
  TRUED_ASSERT(upper.epoch > first_epoch && why != Stretch::Unknown::no);
  return {.epoch = upper.epoch - 1,
          .first_epoch = first_epoch,
          .node = {},
          .unknown = why,
          .began = {},
          .batches = between(after, upper.batch),
          .current = upper.open};
}

Stretch stretch_of(const Taken& row, const Upper& upper) {
  Stretch stretch{.epoch = row.epoch,
                  .first_epoch = row.epoch,
                  .node = row.node,
                  .unknown = Stretch::Unknown::no,
                  .began = row.began,
                  .batches = between(row.batch, upper.batch),
                  .current = upper.open};
  if (upper.epoch == row.epoch + 1) return stretch;
  // Whoever came in between wrote some of them, if there are any.
  stretch.current = false;
  if (stretch.batches->count() > 0) stretch.batches.reset();
  return stretch;
}

}  // namespace

NodeHistory history_of(const Takes& takes, std::uint32_t limit) {
  TRUED_ASSERT(limit > 0);
  std::vector<Stretch> all;
  Upper upper{.epoch = takes.epoch + 1, .batch = takes.batch, .open = true};
  if (takes.newer) upper = {.epoch = takes.newer->epoch, .batch = takes.newer->batch};
  const auto is_told = [&] { return upper.epoch - 1 < takes.before; };
  for (const Taken& row : takes.rows) {
    TRUED_ASSERT(row.epoch < upper.epoch);
    if (row.epoch + 1 < upper.epoch && is_told()) {
      all.push_back(nobody(row.epoch + 1, row.batch, upper, Stretch::Unknown::older_program));
    }
    all.push_back(stretch_of(row, upper));
    upper = {.epoch = row.epoch, .batch = row.batch};
  }
  // What came before the oldest row; where retention took rows away there is nothing of theirs
  // left.
  const bool something = upper.batch > takes.base || (upper.open && takes.epoch > 0);
  if (takes.all && something && is_told()) {
    all.push_back(nobody(0, takes.base, upper, Stretch::Unknown::not_kept));
  }
  const bool more = all.size() > limit || !takes.all;
  if (all.size() > limit) all.resize(limit);
  NodeHistory history{.stretches = std::move(all)};
  if (more && !history.stretches.empty()) history.next = history.stretches.back().first_epoch;
  return history;
}

}  // namespace trued::postgres
