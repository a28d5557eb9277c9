// loop.h: an event loop on a thread of its own.
//
// Everything of src/io that waits for sockets runs on it. Work posted to it must not block. A loop
// outlives the servers on it and every responder that they handed out.
#pragma once

#include <functional>
#include <memory>

namespace trued::io {

class Loop {
 public:
  /// Starts the thread.
  Loop();
  /// Stops: what is posted afterwards does not run.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs `work` on the loop's thread, soon. Any thread.
  void post(std::move_only_function<void()> work);

  /// Calls `handler` with SIGINT or SIGTERM each time one arrives, on the loop's thread.
  void on_signals(std::function<void(int)> handler);

  /// For the other parts of src/io.
  class Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued::io
