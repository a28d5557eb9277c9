#include "ledger/memory/memory_ledger.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "ledger/query.h"

namespace trued {

struct MemoryLedger::Store {
  std::mutex mutex;
  std::map<OperationId, Operation> operations;
  std::map<OperationId, std::string> intents;
  std::map<OperationId, std::vector<EventRecord>> events;
  std::unordered_map<Digest, OperationId> identities;
  std::unordered_map<Digest, Tombstone> tombstones;
  std::uint64_t next_sequence = 1;
  std::uint64_t batches = 0;
  Uuid name;  ///< the id of the first operation that there was
  std::function<bool()> intent_fails;

  LedgerPosition position() const { return {.ledger = name, .batch = batches}; }

  bool collides(const Batch& batch) const {
    std::unordered_map<Digest, OperationId> fresh;
    return std::ranges::any_of(batch.changes, [&](const Change& change) {
      if (!change.insert) return false;
      const Digest digest = identity_digest(change.row.identity);
      return identities.contains(digest) || tombstones.contains(digest) ||
             !fresh.emplace(digest, change.row.id).second;
    });
  }

  /// Each operation has its parts, and an identity of its own.
  void assert_invariants() const {
    TRUED_ASSERT(operations.size() == intents.size());
    TRUED_ASSERT(operations.size() == events.size());
    TRUED_ASSERT(operations.size() == identities.size());
  }

  void apply(const Batch& batch) {
    ++batches;
    for (const Change& change : batch.changes) {
      TRUED_ASSERT(!change.events.empty());
      TRUED_ASSERT(change.insert != operations.contains(change.row.id));
      if (change.insert) {
        if (name == Uuid{}) name = change.row.id.value();
        identities.emplace(identity_digest(change.row.identity), change.row.id);
        intents.emplace(change.row.id, change.intent);
      }
      operations[change.row.id] = change.row;
      for (const Event& event : change.events) {
        events[change.row.id].push_back({.sequence = next_sequence++,
                                         .batch = batches,
                                         .operation = change.row.id,
                                         .at = change.at,
                                         .event = event});
      }
    }
    assert_invariants();
  }
};

namespace {

class MemoryReader final : public LedgerReader {
 public:
  explicit MemoryReader(std::shared_ptr<MemoryLedger::Store> store) : store_(std::move(store)) {}

  Result<std::optional<Operation>> find(const OperationId& id) override {
    const std::scoped_lock lock(store_->mutex);
    seen_ = store_->position();
    const auto found = store_->operations.find(id);
    if (found == store_->operations.end()) return std::optional<Operation>();
    return std::optional<Operation>(found->second);
  }

  Result<ListPage> list(const ListQuery& query) override {
    const std::scoped_lock lock(store_->mutex);
    seen_ = store_->position();
    ListPage page;
    for (auto at = store_->operations.rbegin(); at != store_->operations.rend(); ++at) {
      if (!matches(query, at->second)) continue;
      if (page.operations.size() == query.limit) {
        page.more = true;
        break;
      }
      page.operations.push_back(at->second);
    }
    return page;
  }

  Result<DeadLetterPage> dead_letters(const DeadLetterQuery& query) override {
    const std::scoped_lock lock(store_->mutex);
    // The first of an operation's events says when it was accepted.
    std::map<std::uint64_t, const Operation*> ended;
    for (const auto& [id, operation] : store_->operations) {
      const std::uint64_t position = store_->events.at(id).front().sequence;
      const bool wanted = operation.state == State::needs_action ||
                          (operation.state == State::failed && !query.undecided);
      if (wanted && position > query.after) ended.emplace(position, &operation);
    }
    DeadLetterPage page;
    std::uint32_t looked = 0;
    std::uint64_t last = query.after;
    for (const auto& [position, operation] : ended) {
      if (page.operations.size() == query.limit || looked == query.look_max) {
        page.position = last;
        break;
      }
      ++looked;
      last = position;
      if (!matches(query, *operation)) continue;
      page.operations.push_back(*operation);
      page.positions.push_back(position);
    }
    return page;
  }

  Result<std::vector<EventRecord>> events(const OperationId& id) override {
    const std::scoped_lock lock(store_->mutex);
    seen_ = store_->position();
    const auto found = store_->events.find(id);
    return found == store_->events.end() ? std::vector<EventRecord>() : found->second;
  }

  Result<std::optional<std::string>> intent(const OperationId& id) override {
    const std::scoped_lock lock(store_->mutex);
    if (store_->intent_fails && store_->intent_fails()) {
      return Error{.code = ErrorCode::io, .retryable = true, .message = "simulated: unreadable"};
    }
    const auto found = store_->intents.find(id);
    if (found == store_->intents.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
  }

  Result<Counts> counts() override {
    const std::scoped_lock lock(store_->mutex);
    Counts counts;
    counts.operations = store_->operations.size();
    counts.tombstones = store_->tombstones.size();
    counts.batches = store_->batches;
    counts.events = store_->next_sequence - 1;
    for (const auto& [id, operation] : store_->operations) {
      if (!is_settled(operation.state)) ++counts.open;
      if (operation.state == State::needs_action) ++counts.needs_action;
    }
    return counts;
  }

  Result<LedgerPosition> position() override {
    const std::scoped_lock lock(store_->mutex);
    return store_->position();
  }
  LedgerPosition seen() const override { return seen_; }

 private:
  std::shared_ptr<MemoryLedger::Store> store_;
  LedgerPosition seen_;
};

}  // namespace

MemoryLedger::MemoryLedger() : store_(std::make_shared<Store>()) {}
MemoryLedger::~MemoryLedger() = default;

void MemoryLedger::fail_intents(std::function<bool()> fails) {
  const std::scoped_lock lock(store_->mutex);
  store_->intent_fails = std::move(fails);
}

void MemoryLedger::inject(std::deque<CommitFault> faults, std::uint32_t unanswered) {
  faults_ = std::move(faults);
  unanswered_ = unanswered;
}

Result<std::vector<Known>> MemoryLedger::load(const std::vector<Identity>& identities) {
  const std::scoped_lock lock(store_->mutex);
  std::vector<Known> known(identities.size());
  for (std::size_t i = 0; i < identities.size(); ++i) {
    const Digest digest = identity_digest(identities.at(i));
    if (const auto id = store_->identities.find(digest); id != store_->identities.end()) {
      known.at(i).operation = store_->operations.at(id->second);
    } else if (const auto t = store_->tombstones.find(digest); t != store_->tombstones.end()) {
      known.at(i).tombstone = t->second;
    }
  }
  return known;
}

Result<std::vector<std::optional<Operation>>> MemoryLedger::load(
    const std::vector<OperationId>& ids) {
  const std::scoped_lock lock(store_->mutex);
  std::vector<std::optional<Operation>> rows(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto found = store_->operations.find(ids.at(i));
    if (found != store_->operations.end()) rows.at(i) = found->second;
  }
  return rows;
}

Result<void> MemoryLedger::each_open(const std::function<void(Operation&&)>& visit) {
  std::vector<Operation> open;
  {
    const std::scoped_lock lock(store_->mutex);
    for (const auto& [id, operation] : store_->operations) {
      if (!is_settled(operation.state)) open.push_back(operation);
    }
  }
  for (Operation& operation : open) visit(std::move(operation));
  return {};
}

CommitResult MemoryLedger::commit(const Batch& batch) {
  TRUED_ASSERT(!unsettled_);
  CommitFault fault = CommitFault::none;
  if (!faults_.empty()) {
    fault = faults_.front();
    faults_.pop_front();
  }
  const std::scoped_lock lock(store_->mutex);
  if (store_->collides(batch)) {
    return {CommitOutcome::conflict, "an identity of the batch is taken"};
  }
  switch (fault) {
    case CommitFault::none:
      store_->apply(batch);
      return {CommitOutcome::committed, ""};
    case CommitFault::fenced:
      return {CommitOutcome::fenced, "injected fault"};
    case CommitFault::rolled_back:
      return {CommitOutcome::rolled_back, "injected fault"};
    case CommitFault::unknown_applied:
      store_->apply(batch);
      unsettled_ = CommitOutcome::committed;
      return {CommitOutcome::unknown, "injected fault"};
    case CommitFault::unknown_not_applied:
      unsettled_ = CommitOutcome::rolled_back;
      return {CommitOutcome::unknown, "injected fault"};
  }
  return {CommitOutcome::unknown, ""};
}

CommitResult MemoryLedger::settle_unknown() {
  TRUED_ASSERT(unsettled_);
  if (unanswered_ > 0) {
    --unanswered_;
    return {CommitOutcome::unknown, "injected fault"};
  }
  return {*std::exchange(unsettled_, std::nullopt), "settled"};
}

Result<std::uint32_t> MemoryLedger::retire(WallTime now, std::uint32_t limit) {
  const std::scoped_lock lock(store_->mutex);
  std::uint32_t retired = 0;
  for (auto at = store_->operations.begin(); at != store_->operations.end() && retired < limit;) {
    const Operation& operation = at->second;
    if (!operation.settled_at || *operation.settled_at + operation.retention > now) {
      ++at;
      continue;
    }
    const Digest digest = identity_digest(operation.identity);
    store_->tombstones[digest] = {.id = operation.id,
                                  .fingerprint = operation.fingerprint,
                                  .state = operation.state,
                                  .settled_at = *operation.settled_at,
                                  .retired_at = now};
    store_->identities.erase(digest);
    store_->intents.erase(operation.id);
    store_->events.erase(operation.id);
    at = store_->operations.erase(at);
    ++retired;
  }
  store_->assert_invariants();
  TRUED_ASSERT(retired <= limit);
  return retired;
}

LedgerPosition MemoryLedger::newest() const {
  const std::scoped_lock lock(store_->mutex);
  return store_->position();
}

Result<std::unique_ptr<LedgerReader>> MemoryLedger::open_reader() {
  return std::unique_ptr<LedgerReader>(std::make_unique<MemoryReader>(store_));
}

}  // namespace trued
