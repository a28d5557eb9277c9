#include "ledger/postgres/postgres_tenure.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/random.h"
#include "ledger/postgres/link.h"
#include "ledger/postgres/postgres_nodes.h"
#include "ledger/postgres/schema.h"
#include "ledger/postgres/values.h"

namespace trued {
namespace {

using Mono = std::chrono::nanoseconds;
using postgres::Fields;
using postgres::Link;
using postgres::Site;

constexpr const char* kLook =
    "SELECT epoch, beat, lease, released, node, CASE WHEN url_epoch = epoch THEN url ELSE '' END "
    "FROM @holder";
// Waits for a commit that the one before has under way: that is decided then, and in the row of the
// tenure. What it sends later finds another epoch. A row that is there already is nobody's: this
// epoch is taken now.
constexpr const char* kTake =
    "WITH taken AS (UPDATE @holder SET epoch = epoch + 1, holder = $3::text, node = $4::text, "
    "beat = 0, lease = $5::bigint, released = false, url = $6::text, url_epoch = epoch + 1 "
    "WHERE epoch = $1::bigint AND beat = $2::bigint RETURNING epoch, holder, node), "
    "raised AS (UPDATE @head h SET epoch = t.epoch, holder = t.holder FROM taken t RETURNING "
    "h.epoch, t.node, t.holder, h.batch, h.hash) "
    "INSERT INTO @tenure(epoch, node, holder, batch, hash) SELECT epoch, node, holder, batch, hash "
    "FROM raised ON CONFLICT (epoch) DO UPDATE SET node = excluded.node, holder = excluded.holder, "
    "batch = excluded.batch, hash = excluded.hash, began = excluded.began RETURNING epoch";
constexpr const char* kRenew =
    "UPDATE @holder SET beat = beat + 1 WHERE epoch = $1::bigint AND holder = $2::text";
constexpr const char* kRelease =
    "UPDATE @holder SET beat = beat + 1, released = true WHERE epoch = $1::bigint AND "
    "holder = $2::text";

constexpr const char* kTell = "SELECT pg_notify($1::text, '')";

constexpr int kRenewalsALease = 4;
constexpr int kLooksALease = 8;

Mono now() { return SystemClock().monotonic(); }

std::string fresh_name() {
  SystemRandom random;
  std::string bytes;
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t word = random.next();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return hex_encode(bytes);
}

/// What a candidate saw, and since when nothing has changed.
struct Sight {
  std::uint64_t epoch = 0;
  std::uint64_t beat = 0;
  Mono since{};
};

}  // namespace

class PostgresTenure::Impl {
 public:
  Impl(Site site, TenureOptions options)
      : site_(std::move(site)),
        options_(std::move(options)),
        link_(site_, "trued tenure", std::max(options_.lease / 2, Duration{100}),
              // A beat that a crash of the server took back would look like silence.
              Link::Flush::always) {}
  ~Impl() { stop(); }

  Result<void> open() { return postgres::ensure_schema(link_, postgres::Bring::additions); }
  Result<bool> try_take();
  void release();
  void stop();

  Holder who() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  Duration pause() const {
    const Duration lease = who().lease > Duration{0} ? who().lease : options_.lease;
    return std::clamp(lease / kLooksALease, Duration{20}, Duration{2'000});
  }
  bool holds() const {
    return !lost_.load() && now().count() < held_until_.load(std::memory_order_acquire);
  }
  bool lost() const { return lost_.load(); }
  Claim claim() const {
    const std::lock_guard lock(mutex_);
    return claim_;
  }

 private:
  Result<bool> take(std::uint64_t epoch, std::uint64_t beat);
  void renew_again_and_again();
  void renew();
  void tell();
  void extend(Mono from) {
    held_until_.store((from + Mono(options_.lease)).count(), std::memory_order_release);
  }

  const Site site_;
  const TenureOptions options_;
  Link link_;  ///< the candidate's thread's; once it holds, the renewing thread's
  std::optional<Sight> sight_;
  std::atomic<std::int64_t> held_until_{0};  ///< monotonic, nanoseconds
  std::atomic<bool> lost_{false};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  ///< under mutex_
  Claim claim_;            ///< under mutex_
  Holder seen_;            ///< under mutex_
  std::thread thread_;
};

Result<bool> PostgresTenure::Impl::try_take() {
  if (auto up = link_.connect(); !up.has_value()) return plain(site_, up.error());
  auto rows = link_.ask(kLook);
  // Only what came after the answer was asked for counts as silence.
  const Mono at = now();
  if (!rows.has_value()) return plain(site_, rows.error());
  if (rows->values.size() != 1) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the ledger at " + site_.shown() + " does not say who holds it"};
  }
  Fields row(rows->values.front());
  const std::uint64_t epoch = row.number();
  const std::uint64_t beat = row.number();
  const Duration lease{row.integer()};
  const bool released = row.truth();
  const std::string node = row.text();
  const std::string url = row.text();
  TRUED_TRY_VOID(row.check());
  {
    const std::lock_guard lock(mutex_);
    seen_ = {.node = node, .url = released ? "" : url, .epoch = epoch, .lease = lease};
  }
  if (!sight_ || sight_->epoch != epoch || sight_->beat != beat) sight_ = Sight{epoch, beat, at};
  if (!released && at - sight_->since < Mono(lease + options_.margin)) return false;
  return take(epoch, beat);
}

Result<bool> PostgresTenure::Impl::take(std::uint64_t epoch, std::uint64_t beat) {
  const Claim claim{.epoch = epoch + 1, .holder = fresh_name()};
  TRUED_ASSERT(claim.holder.size() == 32);
  const Mono from = now();
  auto rows =
      link_.ask(kTake, {std::to_string(epoch), std::to_string(beat), claim.holder, options_.node,
                        std::to_string(options_.lease.count()), options_.url});
  // Whether it came about shows the next look: then somebody holds it whom nobody is, for a lease.
  if (!rows.has_value()) {
    link_.close();
    return plain(site_, rows.error());
  }
  if (rows->values.empty()) return false;
  if (link_.lost_replication()) {
    return Error{.code = ErrorCode::unavailable,
                 .happened = Happened::maybe,
                 .retryable = true,
                 .message = "the ledger at " + site_.shown() +
                            " was taken on its primary alone: the wait for its standbys was cut"};
  }
  {
    const std::lock_guard lock(mutex_);
    claim_ = claim;
    seen_ = {
        .node = options_.node, .url = options_.url, .epoch = claim.epoch, .lease = options_.lease};
  }
  extend(from);
  tell();
  TRUED_ASSERT(!thread_.joinable());  // whoever holds it does not take it again
  thread_ = std::thread([this] { renew_again_and_again(); });
  return true;
}

void PostgresTenure::Impl::renew_again_and_again() {
  const auto pause = options_.lease / kRenewalsALease;
  std::unique_lock lock(mutex_);
  while (!stopping_ && !lost_.load()) {
    wake_.wait_for(lock, pause, [this] { return stopping_; });
    if (stopping_) return;
    lock.unlock();
    renew();
    lock.lock();
  }
}

// What fails is tried again after the pause; nothing has to be known about it.
void PostgresTenure::Impl::renew() {
  const Claim claim = this->claim();
  if (!link_.connect().has_value()) return;
  const Mono from = now();
  const auto rows = link_.ask(kRenew, {std::to_string(claim.epoch), claim.holder});
  if (!rows.has_value()) {
    // A server that refuses may be a primary no more; another connection finds who is.
    link_.close();
    return;
  }
  if (rows->count == 0) {
    lost_.store(true);
  } else if (!link_.lost_replication()) {
    extend(from);
  }
}

void PostgresTenure::Impl::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  held_until_.store(0);
}

void PostgresTenure::Impl::release() {
  stop();
  TRUED_ASSERT(!thread_.joinable());  // nobody renews what is given back
  const Claim claim = this->claim();
  if (claim.epoch == 0 || lost_.load()) return;
  if (!link_.connect().has_value()) return;
  (void)link_.ask(kRelease, {std::to_string(claim.epoch), claim.holder});
  tell();
}

// Whoever listens looks at once; the others do after their pause.
void PostgresTenure::Impl::tell() { (void)link_.ask(kTell, {holder_channel(site_.schema)}); }

PostgresTenure::PostgresTenure(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PostgresTenure::~PostgresTenure() = default;

Result<std::unique_ptr<PostgresTenure>> PostgresTenure::open(const PostgresPlace& place,
                                                             TenureOptions options) {
  TRUED_TRY(Site site, Site::parse(place));
  auto impl = std::make_unique<Impl>(std::move(site), std::move(options));
  TRUED_TRY_VOID(impl->open());
  return std::unique_ptr<PostgresTenure>(new PostgresTenure(std::move(impl)));
}

Result<bool> PostgresTenure::try_take() { return impl_->try_take(); }
Holder PostgresTenure::who() const { return impl_->who(); }
Duration PostgresTenure::pause() const { return impl_->pause(); }
bool PostgresTenure::holds() const { return impl_->holds(); }
bool PostgresTenure::lost() const { return impl_->lost(); }
Claim PostgresTenure::claim() const { return impl_->claim(); }
void PostgresTenure::release() { impl_->release(); }

}  // namespace trued
