// later.h: work at a later time, for what is paced.
//
// One thread, begun with the first work. What is still waiting at stop() is dropped, not run.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace trued::api {

class Later {
 public:
  using Work = std::move_only_function<void()>;

  explicit Later(Clock& clock) : clock_(clock) {}
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;
  ~Later() { stop(); }

  /// Runs `work`, which must not block, at `when` by the monotonic clock, or soon after. Dropped
  /// once stopped. Any thread.
  void at(std::chrono::nanoseconds when, Work work);
  /// Once; not from its own work.
  void stop();

 private:
  void run();

  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<std::chrono::nanoseconds, Work> waiting_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace trued::api
