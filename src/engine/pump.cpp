#include "engine/pump.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/assert.h"

namespace trued {

class ThreadRunner::Impl {
 public:
  explicit Impl(std::size_t threads) {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { work(); });
    }
  }

  ~Impl() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
      queue_.clear();
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) {
      TRUED_ASSERT(thread.get_id() != std::this_thread::get_id());
      thread.join();
    }
    TRUED_ASSERT(queue_.empty());
  }

  void push(std::move_only_function<void()> work) {
    TRUED_ASSERT(work != nullptr);
    {
      const std::scoped_lock lock(mutex_);
      if (stopping_) return;
      queue_.push_back(std::move(work));
    }
    wake_.notify_one();
  }

 private:
  void work() {
    while (true) {
      std::move_only_function<void()> next;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        next = std::move(queue_.front());
        queue_.pop_front();
      }
      next();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::move_only_function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

ThreadRunner::ThreadRunner(std::size_t threads)
    : impl_(std::make_unique<Impl>(std::max<std::size_t>(threads, 1))) {}
ThreadRunner::~ThreadRunner() = default;
void ThreadRunner::run(std::move_only_function<void()> work) { impl_->push(std::move(work)); }

class EnginePump::Impl {
 public:
  explicit Impl(Engine& engine) : engine_(engine) {
    engine_.on_input([this] { wake(); });
    thread_ = std::thread([this] { pump(); });
  }

  ~Impl() {
    halt();
    engine_.on_input({});
  }

  bool stop(Duration grace) {
    engine_.begin_drain();
    wake();
    const auto give_up = std::chrono::steady_clock::now() + grace;
    {
      std::unique_lock lock(mutex_);
      stopped_.wait_until(lock, give_up, [this] { return drained_; });
    }
    halt();
    TRUED_ASSERT(!thread_.joinable());  // nobody steps it any more
    engine_.release_waiters();
    const std::scoped_lock lock(mutex_);
    return drained_;
  }

 private:
  // Between looks at the clock: wall time may be set while we sleep.
  static constexpr Duration kSleepMax{1'000};

  void wake() {
    {
      const std::scoped_lock lock(mutex_);
      awake_ = true;
    }
    wake_.notify_one();
  }

  void halt() {
    {
      const std::scoped_lock lock(mutex_);
      halted_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  void pump() {
    while (true) {
      {
        const std::scoped_lock lock(mutex_);
        if (halted_) return;
        awake_ = false;
      }
      const Turn turn = engine_.step();
      if (turn.worked) continue;
      const bool drained = engine_.draining() && engine_.drained();
      std::unique_lock lock(mutex_);
      if (drained && !awake_) {
        drained_ = true;
        stopped_.notify_all();
      }
      sleep(lock, turn.next_in);
    }
  }

  void sleep(std::unique_lock<std::mutex>& lock, std::optional<Duration> next_in) {
    const auto span = std::min(next_in.value_or(kSleepMax), kSleepMax);
    wake_.wait_for(lock, span, [this] { return awake_ || halted_; });
  }

  Engine& engine_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable stopped_;
  bool awake_ = false;
  bool halted_ = false;
  bool drained_ = false;
  std::thread thread_;
};

EnginePump::EnginePump(Engine& engine) : impl_(std::make_unique<Impl>(engine)) {}
EnginePump::~EnginePump() = default;
bool EnginePump::stop(Duration grace) { return impl_->stop(grace); }

}  // namespace trued
