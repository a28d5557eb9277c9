// How many dead letters there are, and what is on the worklist: for metrics.
#include <algorithm>
#include <utility>

#include "api/impl.h"
#include "ledger/query.h"

namespace trued::api {
namespace {

constexpr std::uint32_t kPageMax = 1'000;
constexpr int kShare = 20;  // counting takes at most such a part of one thread's time

}  // namespace

Result<Backlog> Service::Impl::count_backlog() {
  Backlog backlog;
  TRUED_TRY_VOID(count_letters(backlog));
  TRUED_TRY_VOID(count_undecided(backlog));
  return backlog;
}

Result<void> Service::Impl::count_letters(Backlog& backlog) {
  DeadLetterQuery query{.limit = kPageMax};
  do {
    // Page by page, so that other reads come in between.
    const std::scoped_lock lock(reader_mutex);
    TRUED_TRY(DeadLetterPage page, ports.reader->dead_letters(query));
    for (Operation& operation : page.operations) {
      const config::Care& care = care_of(operation);
      const Cause cause = *cause_of(operation);
      Backlog::Letters& letters = backlog.letters[{operation.target, cause}];
      ++letters.count;
      letters.oldest = std::min(letters.oldest, ended_at(operation));
      if (cause == Cause::unknown_outcome) ++backlog.unknown;
      if (operation.events < events_of_endings(care.poison_after)) continue;
      const std::string target = operation.target;
      TRUED_TRY(const auto letter, letter_of(std::move(operation), false));
      if (letter && letter->poison) ++backlog.poison[target];
    }
    query.after = page.position;
  } while (query.after != 0);
  return {};
}

// What was not undone is no dead letter, and waits for a person all the same.
Result<void> Service::Impl::count_undecided(Backlog& backlog) {
  const WallTime now = ports.clock.wall();
  DeadLetterQuery query{.undecided = true, .limit = kPageMax};
  do {
    const std::scoped_lock lock(reader_mutex);
    TRUED_TRY(const DeadLetterPage page, ports.reader->dead_letters(query));
    for (const Operation& operation : page.operations) {
      const config::Care care = care_of(operation);
      Backlog::Undecided& undecided = backlog.undecided[{operation.target, care.owner}];
      ++undecided.count;
      if (ended_at(operation) + care.decide_within <= now) ++undecided.overdue;
    }
    query.after = page.position;
  } while (query.after != 0);
  return {};
}

std::optional<Backlog> Service::Impl::backlog() {
  const std::scoped_lock lock(backlog_mutex_);
  const auto begin = ports.clock.monotonic();
  if (counted_ && begin < counted_->again_at) return counted_->backlog;
  auto counted = count_backlog();
  if (!counted.has_value()) return std::nullopt;
  const auto end = ports.clock.monotonic();
  // A few letters are counted each time; of very many it is known how many there were just now.
  constexpr std::chrono::nanoseconds kQuick = std::chrono::milliseconds(50);
  const auto took = end - begin;
  counted_ = Counted{.backlog = std::move(*counted),
                     .again_at = took < kQuick ? end : end + took * kShare};
  return counted_->backlog;
}

}  // namespace trued::api
