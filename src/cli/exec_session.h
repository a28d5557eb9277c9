// exec_session.h: an engine for one `trued exec`: asked once, waited for, put down.
//
// While it waits, signals that are meant for us go to the running command; after one of them
// nothing is begun any more, and what is known by then is the answer.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cli/child.h"
#include "engine/pump.h"
#include "ledger/ledger.h"

namespace trued::cli {

using EngineReply = std::variant<Answer, EngineProblem>;

/// Hands SIGINT, SIGTERM, SIGHUP and SIGQUIT of this process to `children`, those that are ignored
/// excepted. REQUIRES: made before
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

/// A ledger in which no operation but one is open: what other invocations left behind was accepted
/// under their terms, and is taken up under their keys.
class OneOpen final : public Ledger {
 public:
  OneOpen(Ledger& ledger, Identity own) : ledger_(ledger), own_(std::move(own)) {}

  Result<std::vector<Known>> load(const std::vector<Identity>& identities) override {
    return ledger_.load(identities);
  }
  Result<std::vector<std::optional<Operation>>> load(const std::vector<OperationId>& ids) override {
    return ledger_.load(ids);
  }
  Result<void> each_open(const std::function<void(Operation&&)>& visit) override;
  CommitResult commit(const Batch& batch) override { return ledger_.commit(batch); }
  CommitResult settle_unknown() override { return ledger_.settle_unknown(); }
  Result<std::uint32_t> retire(WallTime now, std::uint32_t limit) override {
    return ledger_.retire(now, limit);
  }
  Result<std::unique_ptr<LedgerReader>> open_reader() override { return ledger_.open_reader(); }
  std::string durability() const override { return ledger_.durability(); }
  LedgerPosition newest() const override { return ledger_.newest(); }

 private:
  Ledger& ledger_;
  const Identity own_;
};

class ExecSession {
 public:
  /// Everything outlives the session. It takes up no open operation but that of `own`.
  ExecSession(Ledger& ledger, Identity own, const Targets& targets, Children& children);
  ~ExecSession();

  /// Takes up its operation, if an earlier process left it open. Once, first. Fails with `io`.
  [[nodiscard]] Result<void> start();
  /// Waits until the operation has settled, at most `wait`. Ends the session.
  [[nodiscard]] EngineReply submit(Submission submission, Duration wait);
  /// A person's choice, and after a retry what became of it. Ends the session.
  [[nodiscard]] EngineReply person(OperationId id, PersonInput input, Duration wait);

 private:
  EngineReply await(std::future<EngineReply> reply);

  Children& children_;
  OneOpen ledger_;
  SystemClock clock_;
  SystemRandom random_;
  ThreadRunner runner_{1};
  Engine engine_;
  std::unique_ptr<EnginePump> pump_;
};

}  // namespace trued::cli
