#include "sim/gate_auditor.h"

#include <algorithm>
#include <utility>

namespace trued::sim {
namespace {

constexpr std::uint64_t kProbes = 2;
constexpr Duration kBudgetWindow{10'000};

}  // namespace

void GateAuditor::forget_row(Target& target) {
  target.in_a_row.clear();
  target.open = false;
  target.through = 0;
}

void GateAuditor::on_started(const Operation& row) {
  // What a person wishes for is nobody's retry.
  const bool wished = row.due_for == Due::start ||
                      (row.sent && row.attempts_counted == 0 && row.effect != EffectKind::not_sent);
  if (row.attempts == 0 || wished) ++targets_[row.target].first;
  // What never left us is made up for by the next, which costs what that one did; unless that was
  // paid for in an earlier life of the process.
  const Attempt& last = attempts_[row.id];
  const bool made_up = row.attempts > 0 && last.number == row.attempts && !last.called;
  std::uint64_t price = row.effect == EffectKind::unknown ? 2 : 1;
  if (made_up) price = last.began < life_began_ ? 0 : last.price;
  if (wished) price = 0;
  attempts_[row.id] = {.number = row.attempts + 1,
                       .began = trace_.now(),
                       .asked_while_down = false,
                       .called = false,
                       .price = price};
}

bool GateAuditor::all_seen() const {
  return options_.commit_rolled_back == 0 && options_.commit_unknown == 0;
}

void GateAuditor::check_budget(const Operation& row, const Target& target) {
  const BudgetPolicy& budget = options_.policy.gates.budget;
  // First attempts of batches that did not come in have paid as well, and nobody sees them.
  if (!budget.enabled || !all_seen()) return;
  const auto windows = static_cast<std::uint64_t>((trace_.now() - life_began_) / kBudgetWindow) + 2;
  const std::uint64_t granted =
      2 * target.first * budget.ratio_permille + windows * budget.floor_per_second * 10 * 1'000;
  if (target.cost * 1'000 <= granted) return;
  trace_.violation("(8) " + row.target +
                   " is sent retries beyond its budget: " + std::to_string(target.cost) +
                   " after " + std::to_string(target.first) + " first attempts");
}

void GateAuditor::on_ended(const Operation& row, const EffectEnded& ended) {
  Target& target = targets_[row.target];
  switch (ended.kind) {
    case EffectKind::acknowledged:
    case EffectKind::rejected_final:
    case EffectKind::skipped:
      return forget_row(target);
    case EffectKind::none:
    case EffectKind::rejected_retryable:
      return;
    case EffectKind::unknown:
    case EffectKind::not_sent:
      break;
  }
  const Attempt& attempt = attempts_[row.id];
  const bool asked = attempt.asked_while_down && attempt.number == ended.attempt.value();
  const BreakerPolicy& breaker = options_.policy.gates.breaker;
  if (!target.down || !asked || !breaker.enabled || target.open) return;
  target.in_a_row.insert(row.id);
  if (target.in_a_row.size() < breaker.consecutive) return;
  target.open = true;
  target.open_since = trace_.now();
  trace_.say(row.target, " must be left alone from now on");
}

void GateAuditor::on_read_back(const Operation& row, const ReadBack& read) {
  const bool answered = std::ranges::any_of(read.reads, [](const Observation& seen) {
    return seen.level == Level::store && seen.seen != Seen::unreadable;
  });
  if (answered) forget_row(targets_[row.target]);
}

void GateAuditor::on_settled(const Operation& row, const Settled& event, WallTime at) {
  const bool held =
      event.state == State::failed && event.reason.find("held: ") != std::string::npos;
  if (held && at < row.deadline) {
    trace_.violation("(8) " + to_string(row.id) +
                     " failed because it was held, before its deadline");
  }
}

void GateAuditor::on_perform(const Operation& row, AttemptNo number) {
  Target& target = targets_[row.target];
  Attempt& attempt = attempts_[row.id];
  if (attempt.number == number.value()) attempt.called = true;
  // What never reached it is no load on it, however often it was begun.
  // A worker may carry out what was handed to it in an earlier life of the process: paid then.
  if (!called_.insert(row.id).second && attempt.began >= life_began_) {
    target.cost += std::exchange(attempt.price, 0);
    check_budget(row, target);
  }
  if (!target.down || attempt.number != number.value()) return;
  attempt.asked_while_down = true;
  if (!target.open || attempt.began <= target.open_since) return;
  ++target.through;
  const Duration pause = std::max(options_.policy.gates.breaker.open / 2, Duration{1});
  // What a batch told that did not come in opened it already; it is told again with the next.
  const Duration unseen{all_seen() ? 0 : 2'000};
  const auto pauses =
      static_cast<std::uint64_t>((trace_.now() - target.open_since + unseen) / pause);
  if (target.through <= kProbes * pauses) return;
  trace_.violation("(8) " + row.target + " is down, and " + std::to_string(target.through) +
                   " attempts came through an open breaker");
}

void GateAuditor::on_outage(const std::string& name, bool down) {
  trace_.say(name, down ? " is down" : " is back");
  Target& target = targets_[name];
  target.down = down;
  forget_row(target);
}

void GateAuditor::on_takeover() {
  life_began_ = trace_.now();
  for (auto& [name, target] : targets_) {
    forget_row(target);
    target.first = 0;
    target.cost = 0;
  }
}

}  // namespace trued::sim
