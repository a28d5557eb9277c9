#include "api/later.h"

#include <exception>
#include <utility>

#include "base/assert.h"

namespace trued::api {

void Later::at(std::chrono::nanoseconds when, Work work) {
  TRUED_ASSERT(work != nullptr);
  const std::scoped_lock lock(mutex_);
  if (stopped_) return;
  waiting_.emplace(when, std::move(work));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_one();
}

void Later::stop() {
  std::multimap<std::chrono::nanoseconds, Work> dropped;
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    dropped.swap(waiting_);
    wake_.notify_one();
  }
  TRUED_ASSERT(thread_.get_id() != std::this_thread::get_id());  // not from its own work
  if (thread_.joinable()) thread_.join();
  TRUED_ASSERT(waiting_.empty());
}

void Later::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (waiting_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto first = waiting_.begin();
    if (const auto left = first->first - clock_.monotonic(); left.count() > 0) {
      wake_.wait_for(lock, left);
      continue;
    }
    Work work = std::move(first->second);
    waiting_.erase(first);
    lock.unlock();
    try {
      work();
    } catch (const std::exception&) {
      // Out of memory, most likely. The responder, dropped on the way, has answered 500.
    }
    work = nullptr;
    lock.lock();
  }
}

}  // namespace trued::api
