#include "engine/leases.h"

#include <algorithm>
#include <utility>

namespace trued {
namespace {

/// For what it was offered a poll is waited for so long beyond its time …
constexpr Leases::Mono kGrace{5'000};
/// … and what is ready for it waits so long for the rest: its lease is running.
constexpr Leases::Mono kMates{1'000};
/// A worker that was not heard of for so long is not shown any more.
constexpr Duration kForgotten{3'600'000};
constexpr std::size_t kWorkersShown = 256;

bool lists(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

}  // namespace

void Leases::add_target(const std::string& name, std::uint32_t leases_max) {
  desks_[name].leases_max = leases_max;
}

// ---- Operations

void Leases::follow(const Operation& operation, bool waits) {
  const auto desk = desks_.find(operation.target);
  if (desk == desks_.end()) return;
  const OperationId& id = operation.id;
  const auto place = places_.find(id);
  if (waits && place == places_.end()) {
    Place taken{.target = operation.target,
                .shelf = {operation.identity.type, operation.identity.scope},
                .rank = {operation.priority, id}};
    desk->second.shelves[taken.shelf].insert(taken.rank);
    places_.emplace(id, std::move(taken));
  } else if (!waits && place != places_.end()) {
    forget(id);
  }
  if (is_leased(operation)) {
    desk->second.leased[id] = std::string(leased_by(operation));
  } else {
    desk->second.leased.erase(id);
  }
  // Looked at before another attempt, or at work on it: the promise stands.
  const bool under_way =
      operation.state == State::attempting ||
      (!is_settled(operation.state) && operation.due_for == Due::attempt && operation.sent);
  if (!under_way) drop(id);
}

void Leases::forget(const OperationId& id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return;
  Desk& desk = desks_.find(place->second.target)->second;
  const auto shelf = desk.shelves.find(place->second.shelf);
  shelf->second.erase(place->second.rank);
  if (shelf->second.empty()) desk.shelves.erase(shelf);
  places_.erase(place);
}

// ---- Polls

void Leases::ask(LeaseAsk ask, Mono until, WallTime wall, LeaseReply reply) {
  for (auto& [name, desk] : desks_) {
    if (lists(ask.targets, name)) seen(name, ask.worker, wall);
  }
  Poll poll;
  poll.ask = std::move(ask);
  poll.until = until;
  poll.reply = std::move(reply);
  polls_.emplace(++poll_no_, std::move(poll));
}

bool Leases::takes(const Poll& poll, const std::string& target, const Shelf& shelf) const {
  return lists(poll.ask.targets, target) && lists(poll.ask.types, shelf.first) &&
         (!poll.ask.covers || poll.ask.covers(shelf.second));
}

std::optional<Leases::Rank> Leases::best_for(const Poll& poll, Mono now) const {
  std::optional<Rank> best;
  for (const auto& [name, desk] : desks_) {
    const bool full = desk.leases_max > 0 && desk.leased.size() + desk.reserved >= desk.leases_max;
    if (full || now < desk.closed_until) continue;
    for (const auto& [shelf, ranks] : desk.shelves) {
      const Rank& first = *ranks.begin();
      if ((!best || first < *best) && takes(poll, name, shelf)) best = first;
    }
  }
  return best;
}

std::optional<Leases::Offer> Leases::next_offer(Mono now) {
  for (auto& [number, poll] : polls_) {
    if (places_.empty()) {
      poll.passed_over = true;
      continue;
    }
    if (!has_room(poll) || is_gone(poll)) continue;
    if (const auto best = best_for(poll, now)) return Offer{best->second, number};
    poll.passed_over = true;
  }
  return std::nullopt;
}

void Leases::reserve(const Offer& offer) {
  const std::string target = places_.at(offer.id).target;
  forget(offer.id);
  polls_.at(offer.poll).reserved.insert(offer.id);
  reserved_[offer.id] = {offer.poll, target};
  ++desks_.find(target)->second.reserved;
}

void Leases::hold_back(const std::string& target, Mono again) {
  desks_.find(target)->second.closed_until = again;
}

// ---- Between the two

void Leases::release(const OperationId& id) {
  const auto found = reserved_.find(id);
  if (found == reserved_.end()) return;
  --desks_.find(found->second.second)->second.reserved;
  const auto poll = polls_.find(found->second.first);
  if (poll != polls_.end()) poll->second.reserved.erase(id);
  reserved_.erase(found);
}

const LeaseAsk* Leases::taker(const Operation& operation) {
  const OperationId& id = operation.id;
  const auto found = reserved_.find(id);
  if (found != reserved_.end()) {
    const auto poll = polls_.find(found->second.first);
    if (poll != polls_.end() && !is_gone(poll->second)) return &poll->second.ask;
    release(id);
  }
  const Shelf shelf{operation.identity.type, operation.identity.scope};
  for (auto& [number, poll] : polls_) {
    if (!has_room(poll) || is_gone(poll) || !takes(poll, operation.target, shelf)) continue;
    poll.reserved.insert(id);
    reserved_[id] = {number, operation.target};
    ++desks_.find(operation.target)->second.reserved;
    return &poll.ask;
  }
  return nullptr;
}

bool Leases::hand_over(const OperationId& id, Lease lease, Mono begun, Mono now) {
  const auto found = reserved_.find(id);
  if (found == reserved_.end()) return false;
  const auto [number, target] = found->second;
  if (const auto payload = prepared_.find(id); payload != prepared_.end()) {
    lease.payload = std::move(payload->second->value());
    prepared_.erase(payload);
  }
  release(id);
  const auto poll = polls_.find(number);
  if (poll == polls_.end()) return false;
  ++desks_.find(target)->second.handed_out;
  lease.told_by = begun + lease.span / kLeaseAhead;
  poll->second.ready.push_back(std::move(lease));
  if (!poll->second.answer_by) poll->second.answer_by = now + kMates;
  return true;
}

void Leases::drop(const OperationId& id) {
  release(id);
  prepared_.erase(id);
}

bool Leases::due(const Poll& poll, Mono now) const {
  if (!poll.ready.empty()) return poll.reserved.empty() || now >= *poll.answer_by;
  if (now >= poll.until + kGrace) return true;
  return now >= poll.until && poll.passed_over && poll.reserved.empty();
}

std::vector<Leases::Returned> Leases::settle(Mono now) {
  std::vector<Returned> returned;
  for (auto it = polls_.begin(); it != polls_.end();) {
    Poll& poll = it->second;
    if (!is_gone(poll) && !due(poll, now)) {
      ++it;
      continue;
    }
    answer(poll, std::nullopt, now, returned);
    it = polls_.erase(it);
  }
  return returned;
}

// What was reserved for it looks for another when it is ready (taker()).
void Leases::answer(Poll& poll, const std::optional<EngineProblem>& problem, Mono now,
                    std::vector<Returned>& returned) {
  const bool gone = is_gone(poll);
  // Whoever hears of it too late would go by a lease that he has not got.
  std::erase_if(poll.ready, [&](const Lease& lease) {
    const bool useless = gone || now > lease.told_by;
    if (useless) returned.push_back({lease.operation->id, AttemptNo(lease.operation->attempts)});
    return useless;
  });
  if (poll.ready.empty() && problem) {
    answered_.emplace_back(std::move(poll.reply), *problem);
  } else {
    answered_.emplace_back(std::move(poll.reply), std::move(poll.ready));
  }
}

void Leases::send() {
  for (auto& [reply, answer] : std::exchange(answered_, {})) reply(std::move(answer));
}

std::vector<Leases::Returned> Leases::dismiss(const std::optional<EngineProblem>& problem,
                                              Mono now) {
  std::vector<Returned> returned;
  for (auto& [number, poll] : polls_) answer(poll, problem, now, returned);
  polls_.clear();
  return returned;
}

std::optional<Leases::Mono> Leases::wake(Mono now) const {
  std::optional<Mono> soonest;
  const auto at = [&](Mono time) { soonest = soonest ? std::min(*soonest, time) : time; };
  for (const auto& [number, poll] : polls_) {
    if (poll.answer_by) at(*poll.answer_by);
    at(now < poll.until ? poll.until : poll.until + kGrace);
    if (!poll.passed_over && poll.reserved.empty() && poll.ready.empty()) at(now);
  }
  if (polls_.empty() || places_.empty()) return soonest;
  for (const auto& [name, desk] : desks_) {
    if (!desk.shelves.empty() && now < desk.closed_until) at(desk.closed_until);
  }
  return soonest;
}

// ---- For status

void Leases::seen(const std::string& target, const std::string& worker, WallTime at) {
  const auto desk = desks_.find(target);
  if (desk == desks_.end()) return;
  auto& workers = desk->second.workers;
  workers[worker] = at;
  if (workers.size() <= kWorkersShown) return;
  workers.erase(std::ranges::min_element(
      workers, [](const auto& a, const auto& b) { return a.second < b.second; }));
}

void Leases::count_lost(const std::string& target) {
  const auto desk = desks_.find(target);
  if (desk != desks_.end()) ++desk->second.lost;
}

std::vector<LeaseStats> Leases::stats(WallTime now) const {
  std::vector<LeaseStats> all;
  for (const auto& [name, desk] : desks_) {
    LeaseStats stats;
    stats.target = name;
    stats.leased = desk.leased.size();
    stats.handed_out = desk.handed_out;
    stats.lost = desk.lost;
    std::optional<OperationId> oldest;
    for (const auto& [shelf, ranks] : desk.shelves) {
      stats.queued += ranks.size();
      // The first of each priority is the oldest of it.
      for (const Priority priority : {Priority::critical, Priority::normal, Priority::low}) {
        const auto first = ranks.lower_bound({priority, OperationId()});
        if (first == ranks.end()) break;
        if (!oldest || first->second < *oldest) oldest = first->second;
      }
    }
    stats.oldest_queued = oldest;
    for (const auto& [number, poll] : polls_) {
      if (lists(poll.ask.targets, name) && !is_gone(poll)) ++stats.asking;
    }
    std::map<std::string, std::uint32_t> held;
    for (const auto& [id, worker] : desk.leased) ++held[worker];
    for (const auto& [worker, at] : desk.workers) {
      if (now - at > kForgotten && !held.contains(worker)) continue;
      stats.workers.push_back({worker, at, held[worker]});
      held.erase(worker);
    }
    // Who has a lease from before the restart and was not heard of since.
    for (const auto& [worker, count] : held) {
      if (count > 0) stats.workers.push_back({worker, std::nullopt, count});
    }
    all.push_back(std::move(stats));
  }
  return all;
}

}  // namespace trued
