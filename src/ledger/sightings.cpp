#include "ledger/sightings.h"

#include <algorithm>

#include "base/assert.h"

namespace trued {

bool Sightings::add(std::chrono::nanoseconds asked, const LedgerPosition& at) {
  const bool same = seen_.empty() || (ledger_ == at.ledger && seen_.back().batch <= at.batch);
  if (!same) seen_.clear();
  ledger_ = at.ledger;
  if (!seen_.empty() && seen_.back().batch == at.batch) {
    seen_.back().asked = std::max(seen_.back().asked, asked);
    return same;
  }
  TRUED_ASSERT(seen_.empty() || seen_.back().batch < at.batch);  // ascending: whole_at() searches
  seen_.push_back({at.batch, asked});
  if (seen_.size() <= kept_max_) return same;
  // Every second of the older half goes: what is answered from the rest is looser, and holds.
  std::deque<Seen> kept;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (i >= seen_.size() / 2 || i % 2 == 0) kept.push_back(seen_[i]);
  }
  TRUED_ASSERT(kept.size() <= seen_.size() && kept.back().batch == at.batch);
  seen_ = std::move(kept);
  return same;
}

std::optional<LedgerPosition> Sightings::newest() const {
  if (seen_.empty()) return std::nullopt;
  return LedgerPosition{.ledger = ledger_, .batch = seen_.back().batch};
}

std::optional<std::chrono::nanoseconds> Sightings::whole_at(std::uint64_t batch) const {
  const auto after = std::ranges::upper_bound(seen_, batch, {}, &Seen::batch);
  if (after == seen_.begin()) return std::nullopt;
  return std::prev(after)->asked;
}

}  // namespace trued
