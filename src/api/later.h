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

namespace trued::api {

class Later {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Work = std::move_only_function<void()>;

  Later() = default;
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;
  ~Later() { stop(); }

  /// Runs `work`, which must not block, at `when` or soon after. Dropped once stopped. Any thread.
  void at(Time when, Work work);
  /// Once; not from its own work.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<Time, Work> waiting_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace trued::api
