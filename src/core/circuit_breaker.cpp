#include "core/circuit_breaker.h"

#include <algorithm>

#include "base/assert.h"

namespace trued {

std::string_view to_string(BreakerState state) {
  switch (state) {
    case BreakerState::closed:
      return "closed";
    case BreakerState::open:
      return "open";
    case BreakerState::half_open:
      return "half_open";
  }
  return "closed";
}

CircuitBreaker::CircuitBreaker(const BreakerPolicy& policy, Duration patience)
    : policy_(policy),
      patience_(patience),
      slice_span_(std::max(policy.window / kSlices, Duration{1})) {
  policy_.open = std::max(policy_.open, Duration{1});
  policy_.open_max = std::max(policy_.open_max, policy_.open);
  assert_invariants();
}

void CircuitBreaker::assert_invariants() const {
  TRUED_ASSERT(probes_out_ <= kProbesMax);
  TRUED_ASSERT(probes_out_ == 0 || state_ == BreakerState::half_open);
  TRUED_ASSERT(in_a_row_ == 0 || state_ == BreakerState::closed);
  TRUED_ASSERT(in_a_row_ < std::max(policy_.consecutive, 1U));
  TRUED_ASSERT(state_ == BreakerState::closed || openings_ > 0);
  TRUED_ASSERT(openings_ == 0 || growth_ < openings_);
  TRUED_ASSERT(policy_.open.count() > 0 && policy_.open <= policy_.open_max);
  TRUED_ASSERT(row_ > 0 && newest_ >= 0);
  Slice sum;
  for (const Slice& each : slices_) {
    sum.answered += each.answered;
    sum.failed += each.failed;
  }
  TRUED_ASSERT(sum.answered == sum_.answered && sum.failed == sum_.failed);
}

void CircuitBreaker::enter(BreakerState state, Duration now) {
  state_ = state;
  since_ = now;
  probes_out_ = 0;
  in_a_row_ = 0;
  ++row_;
  TRUED_ASSERT(state != BreakerState::half_open || admits());
}

void CircuitBreaker::pass(Duration now) {
  if (state_ == BreakerState::open && now >= open_until_) enter(BreakerState::half_open, now);
}

bool CircuitBreaker::admits() const {
  switch (state_) {
    case BreakerState::closed:
      return true;
    case BreakerState::open:
      return false;
    case BreakerState::half_open:
      return probes_out_ < kProbesMax;
  }
  return true;
}

Duration CircuitBreaker::ask_again(Duration now) const {
  return state_ == BreakerState::open ? std::max(open_until_, now) : now;
}

void CircuitBreaker::begin_probe(Duration now) {
  TRUED_ASSERT(probes() && admits());
  ++probes_out_;
  last_probe_ = now;
  TRUED_ASSERT(probes_out_ <= kProbesMax);
}

void CircuitBreaker::end_probe() {
  if (state_ == BreakerState::half_open && probes_out_ > 0) --probes_out_;
}

bool CircuitBreaker::overdue(Duration now) const {
  return state_ == BreakerState::half_open && probes_out_ > 0 && now - last_probe_ > patience_;
}

void CircuitBreaker::forget_old(Duration now) {
  const std::int64_t current = now / slice_span_;
  if (current <= newest_) return;
  const std::int64_t steps = std::min(current - newest_, kSlices);
  for (std::int64_t i = 1; i <= steps; ++i) {
    Slice& old = slices_.at(static_cast<std::size_t>((current - steps + i) % kSlices));
    TRUED_ASSERT(sum_.answered >= old.answered && sum_.failed >= old.failed);
    sum_.answered -= old.answered;
    sum_.failed -= old.failed;
    old = {};
  }
  newest_ = current;
}

bool CircuitBreaker::rate_exceeded() const {
  const std::uint64_t votes = std::uint64_t{sum_.answered} + sum_.failed;
  return votes >= std::max(policy_.minimum, 1U) &&
         std::uint64_t{sum_.failed} * 1'000 >= votes * policy_.rate_permille;
}

void CircuitBreaker::answered(Ballot& ballot, Duration now, bool probe) {
  if (!policy_.enabled) return;
  if (state_ != BreakerState::closed) {
    if (!probe || state_ != BreakerState::half_open) return;
    return enter(BreakerState::closed, now);
  }
  forget_old(now);
  join(ballot);
  if (in_a_row_ > 0) {
    in_a_row_ = 0;
    ++row_;
  }
  TRUED_ASSERT(ballot.openings == openings_ && ballot.answered <= newest_);
  if (counted(ballot.answered)) return;
  ballot.answered = newest_;
  ++slice().answered;
  ++sum_.answered;
  assert_invariants();
}

void CircuitBreaker::failed(Ballot& ballot, Duration now, std::uint64_t entropy, bool probe) {
  if (!policy_.enabled) return;
  if (state_ != BreakerState::closed) {
    if (probe && state_ == BreakerState::half_open) open(now, entropy);
    return;
  }
  forget_old(now);
  join(ballot);
  TRUED_ASSERT(ballot.row <= row_ && ballot.failed <= newest_);
  if (ballot.row != row_) {
    ballot.row = row_;
    ++in_a_row_;
  }
  if (!counted(ballot.failed)) {
    ballot.failed = newest_;
    ++slice().failed;
    ++sum_.failed;
  }
  if (in_a_row_ >= std::max(policy_.consecutive, 1U) || rate_exceeded()) open(now, entropy);
  assert_invariants();
}

// Votes from before an opening are forgotten with what they were counted in.
void CircuitBreaker::join(Ballot& ballot) const {
  if (ballot.openings == openings_) return;
  ballot.openings = openings_;
  ballot.failed = -1;
  ballot.answered = -1;
}

void CircuitBreaker::open(Duration now, std::uint64_t entropy) {
  const bool stayed_closed =
      state_ == BreakerState::closed && (openings_ == 0 || now - since_ >= policy_.window);
  growth_ = stayed_closed ? 0 : growth_ + 1;
  Duration pause = policy_.open;
  for (std::uint32_t i = 0; i < growth_ && pause < policy_.open_max; ++i) {
    pause = pause > policy_.open_max / 2 ? policy_.open_max : pause * 2;
  }
  const Duration half = pause / 2;
  const auto span = static_cast<std::uint64_t>((pause - half).count()) + 1;
  TRUED_ASSERT(pause >= policy_.open && pause <= policy_.open_max);
  enter(BreakerState::open, now);
  open_until_ = now + half + Duration{static_cast<Duration::rep>(entropy % span)};
  TRUED_ASSERT(open_until_ - now >= half && open_until_ - now <= pause);
  ++openings_;
  // What was counted until now says nothing of a target that comes back.
  slices_ = {};
  sum_ = {};
  assert_invariants();
}

}  // namespace trued
