#include "pg/pool.h"

#include <utility>

#include "base/assert.h"

namespace trued::pg {
namespace {

std::chrono::nanoseconds now() { return SystemClock().monotonic(); }

// Takes out of it what outlives a transaction, committed or not: settings, advisory locks,
// temporary tables, what was prepared. What it was opened with stays.
bool forgets(Session& session) {
  constexpr Duration kPatience{1'000};
  return session.script("DISCARD ALL", Deadline(kPatience)).has_value() && session.idle();
}

}  // namespace

Pool::Pool(ConnInfo info, PoolOptions options)
    : info_(std::move(info)), options_(std::move(options)) {}

Pool::~Pool() { TRUED_ASSERT(leased_ == 0); }

void Pool::assert_invariants() const {
  TRUED_ASSERT(leased_ <= options_.size_max);
  TRUED_ASSERT(leased_ + idle_.size() <= options_.size_max);
}

Pool::Lease::Lease(Pool& pool, std::unique_ptr<Session> session, std::chrono::nanoseconds born,
                   bool used)
    : pool_(&pool), session_(std::move(session)), born_(born), used_before_(used) {
  TRUED_ASSERT(session_ != nullptr);
}

Pool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      session_(std::move(other.session_)),
      born_(other.born_),
      used_before_(other.used_before_) {}

Pool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->give_back(std::move(session_), born_);
}

// The youngest that is still fit; those that are not are closed on the way.
std::unique_ptr<Session> Pool::take_idle(std::chrono::nanoseconds& born) {
  const auto at = now();
  std::erase_if(idle_, [&](const Idle& each) {
    return at - each.since > options_.idle_max || at - each.born > options_.age_max;
  });
  while (!idle_.empty()) {
    Idle last = std::move(idle_.back());
    idle_.pop_back();
    if (!last.session->healthy()) continue;
    born = last.born;
    return std::move(last.session);
  }
  return nullptr;
}

Result<Pool::Lease, PgError> Pool::take(const Deadline& deadline, bool fresh) {
  {
    std::unique_lock lock(mutex_);
    const bool free =
        returned_.wait_for(lock, deadline.left(), [&] { return leased_ < options_.size_max; });
    if (!free) {
      PgError e;
      e.error = {.code = ErrorCode::unavailable,
                 .happened = Happened::no,
                 .retryable = true,
                 .message = info_.shown() + ": all " + std::to_string(options_.size_max) +
                            " connections are in use (pool_max)"};
      return e;
    }
    ++leased_;
    std::chrono::nanoseconds born{};
    if (fresh) idle_.clear();  // they are as old as the one that failed
    auto session = take_idle(born);
    assert_invariants();
    if (session != nullptr) return Lease(*this, std::move(session), born, true);
    TRUED_ASSERT(idle_.empty());  // or a new one would be one too many
  }
  auto opened = Session::open(info_, options_.application, deadline);
  if (!opened.has_value()) {
    give_back(nullptr, {});
    return std::move(opened).error();
  }
  return Lease(*this, std::make_unique<Session>(std::move(opened).value()), now(), false);
}

void Pool::give_back(std::unique_ptr<Session> session, std::chrono::nanoseconds born) {
  const bool fit = session != nullptr && session->idle() && now() - born <= options_.age_max &&
                   (!options_.discard || forgets(*session));
  const std::lock_guard lock(mutex_);
  TRUED_ASSERT(leased_ > 0);
  --leased_;
  // Invariant (1) holds as a new one is opened only where none is idle, or all of them were closed.
  if (fit && leased_ + idle_.size() < options_.size_max) {
    (void)session->take_notices();
    idle_.push_back({std::move(session), born, now()});
  }
  assert_invariants();
  returned_.notify_one();
}

}  // namespace trued::pg
