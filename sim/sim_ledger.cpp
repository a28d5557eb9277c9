#include "sim/sim_ledger.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace trued::sim {
namespace {

Error unreadable() {
  return {.code = ErrorCode::io, .retryable = true, .message = "simulated: the disk is away"};
}

bool takes_on(const Change& change) {
  return change.insert || std::ranges::any_of(change.events, [](const Event& event) {
           return std::holds_alternative<PersonActed>(event);
         });
}

}  // namespace

Result<std::vector<Known>> SimLedger::load(const std::vector<Identity>& identities) {
  TRUED_ASSERT(!question_);
  if (fails(options_.load_fails)) return unreadable();
  return log_.ledger.load(identities);
}

Result<std::vector<std::optional<Operation>>> SimLedger::load(const std::vector<OperationId>& ids) {
  TRUED_ASSERT(!question_);
  if (fails(options_.load_fails)) return unreadable();
  return log_.ledger.load(ids);
}

Result<void> SimLedger::each_open(const std::function<void(Operation&&)>& visit) {
  return log_.ledger.each_open(visit);
}

CommitResult SimLedger::apply(const Batch& batch) {
  if (!current()) {
    trace_.say("ledger: fenced");
    auditor_.see("commit fenced");
    return {CommitOutcome::fenced, "simulated: another node has taken over"};
  }
  if (log_.below && std::ranges::any_of(batch.changes, &takes_on)) {
    trace_.violation("(10) something new was taken on below the floor");
  }
  CommitResult result = log_.ledger.commit(batch);
  if (result.outcome == CommitOutcome::committed) auditor_.on_batch(batch);
  return result;
}

CommitResult SimLedger::commit(const Batch& batch) {
  TRUED_ASSERT(!question_);
  if (fails(options_.commit_rolled_back)) {
    trace_.say("ledger refuses a batch");
    return {CommitOutcome::rolled_back, "simulated: the disk is full"};
  }
  if (fails(options_.commit_crash)) {
    const bool in = chance_.in_thousand(500);
    trace_.say("ledger: the process ends ", in ? "after" : "before", " a commit");
    if (in) (void)apply(batch);
    throw Crash{};
  }
  if (fails(options_.commit_unknown)) {
    question_ = chance_.in_thousand(500) ? apply(batch).outcome : CommitOutcome::rolled_back;
    trace_.say("ledger: a commit of unknown outcome");
    return {CommitOutcome::unknown, "simulated: the sync failed"};
  }
  return apply(batch);
}

CommitResult SimLedger::settle_unknown() {
  TRUED_ASSERT(question_);
  if (fails(300)) return {CommitOutcome::unknown, "simulated: still away"};
  return {*std::exchange(question_, std::nullopt), "simulated"};
}

Result<std::uint32_t> SimLedger::retire(WallTime now, std::uint32_t limit) {
  if (question_ || !current()) return std::uint32_t{0};
  if (fails(options_.load_fails)) return unreadable();
  std::vector<OperationId> before;
  for (const State state :
       {State::confirmed, State::unchanged, State::acknowledged, State::superseded, State::failed,
        State::canceled, State::compensated}) {
    for (const OperationId& id : auditor_.in_state(state)) before.push_back(id);
  }
  TRUED_TRY(const std::uint32_t retired, log_.ledger.retire(now, limit));
  if (retired == 0) return retired;
  const auto rows = log_.ledger.load(before).value();
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!rows.at(i)) auditor_.on_retired(before.at(i));
  }
  return retired;
}

}  // namespace trued::sim
