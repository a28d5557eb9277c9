#include "engine/gates.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace trued {
namespace {

constexpr std::size_t at(Line line) { return static_cast<std::size_t>(line); }

static_assert(kCallKinds == static_cast<std::size_t>(CallKind::read) + 1);
static_assert(kHeldReasons == static_cast<std::size_t>(HeldBy::line) + 1);

}  // namespace

std::string_view to_string(CallKind kind) {
  switch (kind) {
    case CallKind::first:
      return "first";
    case CallKind::retry:
      return "retry";
    case CallKind::read:
      return "read";
  }
  return "first";
}

std::string_view to_string(HeldBy by) {
  switch (by) {
    case HeldBy::breaker:
      return "breaker";
    case HeldBy::budget:
      return "budget";
    case HeldBy::rate:
      return "rate";
    case HeldBy::line:
      return "line";
  }
  return "line";
}

Line line_for(CallKind kind, const GateTicket& ticket) {
  if (kind == CallKind::read) return Line::reads;
  const bool unpaid = kind == CallKind::retry && ticket.reserved == 0;
  return unpaid ? Line::retries : Line::attempts;
}

TargetGate::TargetGate(const GatePolicy& policy, std::uint32_t pace, Duration patience,
                       bool careful)
    : breaker_(policy.breaker, patience),
      budget_(policy.budget),
      rate_(policy.rate),
      pace_(std::max(pace, 1U)),
      window_max_(pace_ * (careful ? kAheadCareful : kAheadMax)),
      window_(pace_ * (careful ? kAheadCareful : kAheadAtFirst)),
      patience_(patience) {
  assert_invariants();
}

void TargetGate::assert_invariants() const {
  TRUED_ASSERT(pace_ > 0 && pace_ <= window_ && window_ <= window_max_);
  TRUED_ASSERT(shut_->load() == (breaker_.state() == BreakerState::open));
  TRUED_ASSERT(held(Line::none) == 0);
  // Whoever is counted in a line has a place there; who has left it may still have one.
  TRUED_ASSERT(held(Line::reads) == 0 || !lines_.at(at(Line::reads)).empty());
  TRUED_ASSERT(held(Line::attempts) == 0 || !lines_.at(at(Line::attempts)).empty());
  TRUED_ASSERT(held(Line::retries) == 0 || !lines_.at(at(Line::retries)).empty());
}

void TargetGate::follow_breaker() {
  const bool open = breaker_.state() == BreakerState::open;
  if (open) window_ = pace_;
  shut_->store(open);
}

void TargetGate::came_back() {
  // What is not filled says nothing of how much would be too much. One more for each window.
  if (in_flight_ * 2 < window_ || ++returned_ < window_) return;
  returned_ = 0;
  window_ = std::min(window_ + 1, window_max_);
  assert_invariants();
}

void TargetGate::overfull(Duration now) {
  if (halved_ != Duration{0} && now - halved_ < kHalvedOnce) return;
  halved_ = now;
  window_ = std::max(window_ / 2, pace_);
  assert_invariants();
}

void TargetGate::pass(Duration now, Random& random) {
  breaker_.pass(now);
  if (breaker_.overdue(now)) {
    CircuitBreaker::Ballot nobody;
    breaker_.failed(nobody, now, random.next(), true);
    TRUED_ASSERT(breaker_.state() == BreakerState::open);
  }
  follow_breaker();
  assert_invariants();
}

std::optional<GateRefusal> TargetGate::refusal(const GateTicket& ticket, const GateCall& call,
                                               Duration now) {
  if (call.urgent) return std::nullopt;
  if (!breaker_.admits()) return GateRefusal{HeldBy::breaker, breaker_.ask_again(now)};
  if (!rate_.admits(now)) return GateRefusal{HeldBy::rate, rate_.ask_again(now)};
  const bool unpaid = call.kind == CallKind::retry && ticket.reserved == 0;
  if (unpaid && (held(Line::retries) > 0 || !budget_.covers(call.cost, now))) {
    return GateRefusal{HeldBy::budget, budget_.ask_again(call.cost, now)};
  }
  const Line own = call.kind == CallKind::read ? Line::reads : Line::attempts;
  if (held(own) > 0 || in_flight_ >= window_) return GateRefusal{HeldBy::line, now};
  return std::nullopt;
}

std::optional<GateRefusal> TargetGate::ask(GateTicket& ticket, GateTaken& taken,
                                           const GateCall& call, Duration now) {
  if (auto refused = refusal(ticket, call, now)) return refused;
  admit(ticket, taken, call, now);
  return std::nullopt;
}

void TargetGate::admit(GateTicket& ticket, GateTaken& taken, const GateCall& call, Duration now) {
  rate_.force(now);
  if (call.kind == CallKind::first && !call.anew) budget_.call(now);
  if (call.kind == CallKind::retry) {
    if (ticket.reserved == 0 && budget_.reserve(call.cost, now)) ticket.reserved = call.cost;
    if (ticket.reserved > 0) budget_.begin(ticket.reserved, now);
    ticket.reserved = 0;
  }
  TRUED_ASSERT(ticket.probe <= breaker_.openings());
  if (breaker_.probes() && breaker_.admits() && ticket.probe != breaker_.openings()) {
    breaker_.begin_probe(now);
    ticket.probe = breaker_.openings();
    ++taken.probes;
  }
  ++calls_.at(static_cast<std::size_t>(call.kind));
  ticket.unbegun = false;
  ticket.said_held = false;
  enter(ticket, taken);
  TRUED_ASSERT(ticket.inside && in_flight_ > 0);
}

void TargetGate::count_held(GateTicket& ticket, HeldBy by) {
  if (std::exchange(ticket.said_held, true)) return;
  ++held_since_start_.at(static_cast<std::size_t>(by));
}

void TargetGate::still(const GateTicket& ticket, Duration now) {
  if (ticket.probe != 0 && ticket.probe == breaker_.openings()) breaker_.still(now);
}

void TargetGate::enter(GateTicket& ticket, GateTaken& taken) {
  if (ticket.inside) return;
  ticket.inside = true;
  ++taken.inside;
  ++in_flight_;
}

std::optional<GateRefusal> TargetGate::reserve(GateTicket& ticket, std::uint32_t cost,
                                               Duration now) {
  // Who already waits for it comes first.
  TRUED_ASSERT(ticket.reserved == 0);
  if (held(Line::retries) == 0 && budget_.reserve(cost, now)) {
    ticket.reserved = cost;
    return std::nullopt;
  }
  return GateRefusal{HeldBy::budget, budget_.ask_again(cost, now)};
}

void TargetGate::vote(GateTicket& ticket, Answered answered, std::uint64_t probe, Duration now,
                      Random& random) {
  breaker_.pass(now);
  const bool counts = probe != 0 && probe == breaker_.openings();
  if (answered == Answered::yes) breaker_.answered(ticket.ballot, now, counts);
  if (answered == Answered::no) breaker_.failed(ticket.ballot, now, random.next(), counts);
  follow_breaker();
  assert_invariants();
}

void TargetGate::settle(const OperationId& id, const GateTicket& before, GateTicket& after,
                        const GateTaken& taken) {
  // Calls may follow one another within a turn: what was counted in is counted out, one by one.
  const std::uint32_t were_inside = (before.inside ? 1U : 0U) + taken.inside;
  const std::uint32_t is_inside = after.inside ? 1U : 0U;
  TRUED_ASSERT(is_inside <= were_inside && in_flight_ >= were_inside);
  in_flight_ -= were_inside - is_inside;
  const auto counts = [&](const GateTicket& ticket) {
    return ticket.probe != 0 && ticket.probe == breaker_.openings() ? 1U : 0U;
  };
  // A probe that had its say has ended with it: the breaker is half-open no more.
  for (std::uint32_t out = counts(before) + taken.probes; out > counts(after); --out) {
    breaker_.end_probe();
  }
  if (before.line == after.line) return;
  if (before.line != Line::none) leave(before.line);
  if (after.line == Line::none) return;
  ++held_.at(at(after.line));
  after.place = ++place_;
  lines_.at(at(after.line)).push(after.priority, after.place, id);
  assert_invariants();
}

void TargetGate::leave(Line line) {
  TRUED_ASSERT(line != Line::none && held(line) > 0);
  --held_.at(at(line));
}

void TargetGate::cancel(GateTicket& ticket) {
  if (ticket.reserved > 0) budget_.cancel(ticket.reserved);
  ticket.reserved = 0;
}

void TargetGate::give_back(GateTicket& ticket) {
  cancel(ticket);
  ticket.line = Line::none;
  ticket.admitted = false;
  ticket.wants_worker = false;
  ticket.inside = false;
  ticket.probe = 0;
  TRUED_ASSERT(ticket.reserved == 0);
}

std::optional<std::pair<OperationId, std::uint64_t>> TargetGate::front(Line line) const {
  const auto& queue = lines_.at(at(line));
  if (queue.empty()) return std::nullopt;
  const auto [id, place] = queue.front();
  return std::pair(id, place);
}

void TargetGate::pop(Line line) {
  TRUED_ASSERT(line != Line::none);
  (void)lines_.at(at(line)).pop();
}

bool TargetGate::may_release(Line line, std::uint32_t cost, Duration now) {
  if (!has_room(now)) return false;
  return line != Line::retries || budget_.covers(cost, now);
}

std::optional<Duration> TargetGate::wake(Duration now) {
  if (!any_held()) return std::nullopt;
  if (breaker_.state() == BreakerState::open) return breaker_.open_until();
  // A probe that never ends is given up some time.
  if (!breaker_.admits()) return now + patience_;
  if (!rate_.admits(now)) return rate_.ask_again(now);
  if (in_flight_ >= window_) return std::nullopt;
  const bool only_retries = held(Line::reads) + held(Line::attempts) == 0;
  TRUED_ASSERT(!only_retries || held(Line::retries) > 0);
  return only_retries ? budget_.ask_again(RetryBudget::kCostUnknown, now) : now;
}

GateStats TargetGate::stats(Duration now) {
  GateStats stats;
  stats.breaker = breaker_.state();
  stats.breaker_enabled = breaker_.enabled();
  stats.breaker_opened = breaker_.openings();
  stats.failures_in_a_row = breaker_.in_a_row();
  stats.budget_enabled = budget_.enabled();
  stats.budget_left = budget_.left(now);
  stats.rate_limited = rate_.limits();
  stats.rate_left = rate_.left(now);
  stats.concurrency = pace_;
  stats.in_flight = in_flight_;
  stats.held_attempts = held(Line::attempts);
  stats.held_retries = held(Line::retries);
  stats.held_reads = held(Line::reads);
  stats.calls = calls_;
  stats.held_by = held_since_start_;
  return stats;
}

}  // namespace trued
