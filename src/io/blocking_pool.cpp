#include "io/blocking_pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace trued::io {

class BlockingPool::Impl {
 public:
  Impl(std::size_t threads, std::size_t queue_max) : queue_max_(queue_max) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }

  ~Impl() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    TRUED_ASSERT(threads_.empty() || queue_.empty());  // what was taken on was carried out
  }

  bool try_post(std::move_only_function<void()> work) {
    TRUED_ASSERT(work != nullptr);
    {
      const std::scoped_lock lock(mutex_);
      if (stopping_ || queue_.size() >= queue_max_) return false;
      queue_.push_back(std::move(work));
      TRUED_ASSERT(queue_.size() <= queue_max_);
    }
    wake_.notify_one();
    return true;
  }

 private:
  void work() {
    while (true) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      auto next = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      next();
    }
  }

  const std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::move_only_function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

BlockingPool::BlockingPool(std::size_t threads, std::size_t queue_max)
    : impl_(std::make_unique<Impl>(threads, queue_max)) {}
BlockingPool::~BlockingPool() = default;

bool BlockingPool::try_post(std::move_only_function<void()> work) {
  return impl_->try_post(std::move(work));
}

}  // namespace trued::io
