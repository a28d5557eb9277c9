// pump.h: runs an engine: one thread that steps it, and a pool of threads for blocking work.
//
// For composition roots (server, library, lab). The simulator does without it.
#pragma once

#include <cstddef>
#include <memory>

#include "base/time.h"
#include "engine/engine.h"
#include "engine/runner.h"

namespace trued {

/// Threads that run whatever is given to them, first come first served. Unbounded queue: what is
/// queued is bounded by the engine's open operations. The destructor drops what has not begun and
/// joins the rest.
class ThreadRunner final : public Runner {
 public:
  explicit ThreadRunner(std::size_t threads);
  ~ThreadRunner() override;
  void run(std::move_only_function<void()> work) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

class EnginePump {
 public:
  /// Starts stepping `engine`, which must outlive the pump and has recovered.
  explicit EnginePump(Engine& engine);
  /// Stops at once if stop() was not called: in-flight effects are then recovered at next start.
  ~EnginePump();

  /// Drains (refuses submissions, lets effects and reads in flight finish), answers every waiting
  /// caller, and stops; after `grace` it stops anyway. True if it drained in time.
  bool stop(Duration grace);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued
