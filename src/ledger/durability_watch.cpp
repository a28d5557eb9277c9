#include "ledger/durability_watch.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/assert.h"

namespace trued {
namespace {

std::string in_seconds(Duration span) { return std::to_string(span.count() / 1'000) + " s"; }

}  // namespace

class DurabilityWatch::Impl {
 public:
  Impl(DurabilityWatchOptions options, Clock& clock)
      : options_(std::move(options)), clock_(clock), began_(clock.monotonic()) {
    TRUED_ASSERT(options_.ask != nullptr && options_.every.count() > 0);
    look();
    thread_ = std::thread([this] { watch(); });
  }

  ~Impl() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  void look() {
    std::uint64_t told_before = 0;
    {
      const std::scoped_lock lock(mutex_);
      told_before = told_;
    }
    const auto begin = clock_.monotonic();
    const WallTime at = clock_.wall();
    auto answer = options_.ask();
    {
      const std::scoped_lock lock(mutex_);
      if (!answer.has_value()) {
        failure_ = answer.error().message;
      } else if (told_before == told_) {
        known_ = std::move(answer).value();
        confirmed_ = begin;
        seen_at_ = at;
        failure_.clear();
      }
      TRUED_ASSERT(confirmed_.has_value() == seen_at_.has_value());
    }
    say_if_changed();
  }

  bool told(const Durability& durability) {
    {
      const std::scoped_lock lock(mutex_);
      ++told_;
      known_ = durability;
      confirmed_ = clock_.monotonic();
      seen_at_ = clock_.wall();
      failure_.clear();
    }
    look_again();
    return !is_below(durability.level);
  }

  void look_again() {
    {
      const std::scoped_lock lock(mutex_);
      asked_ = true;
    }
    wake_.notify_all();
  }

  DurabilityReport report() const {
    const std::scoped_lock lock(mutex_);
    DurabilityReport out{.now = known_, .seen_at = seen_at_, .age = age(), .floor = options_.floor};
    if (out.age > options_.stale_after || !seen_at_) {
      out.now.level = DurabilityLevel::unknown;
      // Not who was seen: that is as old as the rest.
      out.now.standbys = std::nullopt;
      out.now.sentence = unknown_because();
    }
    out.below = is_below(out.now.level);
    TRUED_ASSERT(!out.below || out.floor != DurabilityLevel::none);
    return out;
  }

  // Asked in every turn of the engine and before every effect: no more than a look at the clock
  // where nothing is wrong.
  std::string below() const {
    if (options_.floor == DurabilityLevel::none) return {};
    {
      const std::scoped_lock lock(mutex_);
      if (seen_at_ && age() <= options_.stale_after && !is_below(known_.level)) return {};
    }
    const DurabilityReport now = report();
    if (!now.below) return {};
    return "the ledger's durability is '" + std::string(to_string(now.now.level)) +
           "', and minimum_durability is '" + std::string(to_string(now.floor)) +
           "': " + now.now.sentence;
  }

 private:
  // No floor is no floor: what is unknown passes it as well.
  bool is_below(DurabilityLevel level) const {
    return options_.floor != DurabilityLevel::none && level < options_.floor;
  }
  Duration age() const {
    return std::chrono::floor<Duration>(clock_.monotonic() - confirmed_.value_or(began_));
  }
  std::string unknown_because() const {
    std::string out = "it was never confirmed";
    if (seen_at_) {
      out = "it was last confirmed " + in_seconds(age()) + " ago, as '" +
            std::string(to_string(known_.level)) + "'";
    }
    return failure_.empty() ? out : out + "; " + failure_;
  }

  void watch() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      wake_.wait_for(lock, options_.every, [this] { return stopping_ || asked_; });
      if (stopping_) return;
      asked_ = false;
      lock.unlock();
      // What a commit said is said before it is asked about.
      say_if_changed();
      look();
      lock.lock();
    }
  }

  void say_if_changed() {
    if (!options_.on_change) return;
    const std::scoped_lock order(saying_);
    DurabilityReport now = report();
    const bool same_words = now.now.sentence == said_.now.sentence ||
                            (now.now.level == DurabilityLevel::unknown && said_once_);
    if (said_once_ && now.now.level == said_.now.level && same_words) return;
    options_.on_change(said_, now);
    said_ = std::move(now);
    said_once_ = true;
  }

  const DurabilityWatchOptions options_;
  Clock& clock_;
  const std::chrono::nanoseconds began_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Durability known_;
  std::optional<std::chrono::nanoseconds> confirmed_;
  std::optional<WallTime> seen_at_;
  std::string failure_;     ///< why it could not be confirmed since
  std::uint64_t told_ = 0;  ///< how often a commit found out
  bool asked_ = false;
  bool stopping_ = false;
  std::mutex saying_;
  DurabilityReport said_;
  bool said_once_ = false;
  std::thread thread_;
};

DurabilityWatch::DurabilityWatch(DurabilityWatchOptions options, Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), clock)) {}
DurabilityWatch::~DurabilityWatch() = default;
DurabilityReport DurabilityWatch::report() const { return impl_->report(); }
std::string DurabilityWatch::below() const { return impl_->below(); }
void DurabilityWatch::look_again() { impl_->look_again(); }
bool DurabilityWatch::told(const Durability& durability) { return impl_->told(durability); }
void DurabilityWatch::look() { impl_->look(); }

}  // namespace trued
