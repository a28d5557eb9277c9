// blocking_pool.h: a few threads for work that blocks, behind a queue with a bound.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace trued::io {

class BlockingPool {
 public:
  BlockingPool(std::size_t threads, std::size_t queue_max);
  /// Finishes what was taken, then joins.
  ~BlockingPool();

  /// False if the queue is full: nothing was taken. Any thread.
  [[nodiscard]] bool try_post(std::move_only_function<void()> work);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued::io
