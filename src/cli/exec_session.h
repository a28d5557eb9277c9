// exec_session.h: an engine for one `trued exec`: asked once, waited for, put down.
//
// While it waits, signals that are meant for us go to the running command; after one of them
// nothing is begun any more, and what is known by then is the answer.
#pragma once

#include <future>
#include <memory>
#include <thread>
#include <variant>

#include "base/result.h"
#include "cli/child.h"
#include "engine/pump.h"
#include "ledger/ledger.h"

namespace trued::cli {

using EngineReply = std::variant<Answer, EngineProblem>;

/// Hands SIGINT, SIGTERM, SIGHUP and SIGQUIT of this process to `children`. REQUIRES: made before
/// any thread that lives beside it, because those inherit that the signals are blocked.
class SignalPassage {
 public:
  explicit SignalPassage(Children& children);
  ~SignalPassage();
  SignalPassage(const SignalPassage&) = delete;
  SignalPassage& operator=(const SignalPassage&) = delete;

 private:
  std::thread thread_;
};

class ExecSession {
 public:
  /// Everything outlives the session.
  ExecSession(Ledger& ledger, const Targets& targets, Children& children);
  ~ExecSession();

  /// Takes up what an earlier process left open. Once, first. Fails with `io`.
  [[nodiscard]] Result<void> start();
  /// Waits until the operation has settled, at most `wait`. Ends the session.
  [[nodiscard]] EngineReply submit(Submission submission, Duration wait);
  /// A person's choice, and after a retry what became of it. Ends the session.
  [[nodiscard]] EngineReply person(OperationId id, PersonInput input, Duration wait);

 private:
  EngineReply await(std::future<EngineReply> reply);

  Children& children_;
  SystemClock clock_;
  SystemRandom random_;
  ThreadRunner runner_{1};
  Engine engine_;
  std::unique_ptr<EnginePump> pump_;
};

}  // namespace trued::cli
