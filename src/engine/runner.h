// runner.h: the port through which the engine has blocking work done (effects, read-backs).
//
// The server supplies a pool of threads, the simulator a seeded queue, tests the caller's thread.
#pragma once

#include <functional>

namespace trued {

class Runner {
 public:
  virtual ~Runner() = default;
  /// Runs `work` once, some time later, on any thread; never on the caller's stack. Work that is
  /// still queued when the runner is destroyed may be dropped: its operation is then recovered.
  virtual void run(std::move_only_function<void()> work) = 0;
};

}  // namespace trued
