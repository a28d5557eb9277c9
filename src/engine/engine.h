// engine.h: the loop that turns inputs into durable decisions, and decisions into action.
//
//   inputs ──► load ──► decide ──► commit ──► act ──► inputs …
//
// Each turn takes every waiting input (up to a bound), loads what they touch with one call, decides
// them one after another in memory, commits rows and events as one batch, and only then answers
// callers and hands out effects. The engine has no threads: somebody calls step().
//
// Invariants
//   (1) Nothing is answered, sent or read before the decision that led to it is durable.
//   (2) Operations that touch one artifact (target + name) run one after another, in the order in
//       which they were accepted, from attempt to verdict.
//   (3) Every open operation is in memory with a timer, a job in flight, or a place in a queue.
//   (4) After a commit of unknown outcome nothing is decided until the ledger has said which it
//       was; submissions are meanwhile refused as `ledger_unavailable`.
//   (5) Every reply is called exactly once.
//   (6) No attempt begins, and nothing is read on its own, that the gate of its target has not
//       admitted (gates.h); what is held is bounded by its deadline.
//   (7) What a worker is handed is durably its own before it hears of it (leases.h).
//   (8) No effect begins when another node may act (ledger/tenure.h). Once a commit was fenced,
//       nothing is decided any more, and whoever asks is refused.
//   (9) While the ledger promises less than its floor (ledger/durability.h) nothing new is accepted
//       and no effect begins; what is under way is read, heard and recorded.
//
// Threads: submit(), person(), wait_for(), lease(), heartbeat(), complete() and stats() from any
// thread; the rest from the one thread that steps it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "engine/lease.h"
#include "engine/runner.h"
#include "engine/stats.h"
#include "engine/submission.h"
#include "ledger/ledger.h"
#include "ledger/tenure.h"
#include "target/target.h"
#include "target/types.h"

namespace trued {

struct EngineOptions {
  std::size_t inputs_per_turn_max = 4'096;
  std::size_t open_max = 100'000;  ///< open operations; beyond it submissions are refused
  std::size_t open_bytes_max = std::size_t{256} << 20;  ///< of their contents; the same
  std::size_t jobs_per_target_max = 6;  ///< effects and reads at one target at a time
  Duration repeats_every{1'000};        ///< how often counted repeats are written to the log
  Duration retire_every{10'000};        ///< how often retention is looked after
  std::uint32_t retire_per_turn = 500;
};

/// Makes rare things common, in simulation: each site asks whether it should do now what it may do
/// at any time, but hardly ever has to (FoundationDB's BUGGIFY). Never needed for being right.
class Buggify {
 public:
  virtual ~Buggify() = default;
  [[nodiscard]] virtual bool strikes(std::string_view site) = 0;
};

struct EnginePorts {
  Ledger& ledger;
  const Targets& targets;
  Runner& runner;
  Clock& clock;
  Random& random;
  const OperationTypes* types = nullptr;  ///< null: only `write`
  const Tenure* tenure = nullptr;         ///< null: nobody else can act on this ledger
  Buggify* buggify = nullptr;             ///< null: rare things stay rare
  DurabilityFloor* floor = nullptr;       ///< null: whatever the ledger promises will do
};

/// What a call of step() came to.
struct Turn {
  bool worked = false;              ///< something was done: step again at once
  std::optional<Duration> next_in;  ///< when to step again at the latest, if nothing arrives
};

class Engine {
 public:
  Engine(EnginePorts ports, EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Reads every open operation from the ledger and resolves what was in flight when the process
  /// ended. Once, before the first step(). Fails with `io` if the ledger cannot be read.
  [[nodiscard]] Result<void> recover();

  /// Decides what the submission is and, if it is new, has it carried out. `reply` is called when
  /// the operation has settled, or when `wait` is over, or at once after acceptance if `wait` is 0;
  /// duplicates, conflicts and late repeats are answered at once. REQUIRES: the intent's target is
  /// one of ours and its names were checked.
  void submit(Submission submission, Duration wait, Reply reply);

  /// A person's choice on one operation; answered as soon as it is durable, with the decision
  /// `duplicate`, or with `refused` / `not_found`.
  void person(OperationId id, PersonInput input, Reply reply);

  /// Answers when the operation has settled or `wait` is over; `not_found` if it does not exist.
  void wait_for(OperationId id, Duration wait, Reply reply);

  /// Asks for work at targets that workers carry out: answered as soon as there is any (durably
  /// theirs by then), with none when `wait` is over.
  void lease(LeaseAsk ask, Duration wait, LeaseReply reply);
  /// A worker is at work on that attempt: its lease is extended. `refused` as "lease-lost" when it
  /// is not its own any more.
  void heartbeat(OperationId id, Heartbeat beat, WorkReply reply);
  /// What came of that attempt. Saying the same again is answered the same; what is said too late
  /// is kept as evidence. `refused` as "lease-lost" if the attempt was never handed out.
  void complete(OperationId id, AttemptReport report, WorkReply reply);

  /// One turn. Blocks for the commit, never for a target that is not inline.
  [[nodiscard]] Turn step();

  /// Called (from any thread) when an input arrives for an engine that may be asleep.
  void on_input(std::function<void()> wake);

  /// From now on submissions are refused; what runs goes on to its next durable point.
  void begin_drain();
  [[nodiscard]] bool draining() const;
  /// True when no effect or read is in flight. REQUIRES: begin_drain().
  [[nodiscard]] bool drained() const;
  /// Answers every waiting caller with the operation as it is, and from now on everybody else with
  /// `draining`, on the caller's thread. The last call before destruction.
  void release_waiters();

  /// True once another node has taken over: what is left is to end. Any thread.
  [[nodiscard]] bool fenced() const;
  /// False while the ledger cannot be written (its last write is in doubt, or failed less than 15
  /// seconds ago), promises less than its floor, or the engine drains; why is in `reason`.
  [[nodiscard]] bool ready(std::string& reason) const;
  [[nodiscard]] EngineStats stats() const;
  /// How far the ledger has come: asked once an answer is there, at least as far as the commit that
  /// it rests on. Any thread.
  [[nodiscard]] LedgerPosition position() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trued
