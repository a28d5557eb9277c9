// impl.h: the engine's state and the parts of a turn. Private to src/engine.
//
//   take inputs → load → decide (into Work) → commit → publish (or undo, or hold)
//
// A Work is the private copy of one operation within a turn. Nothing of it is visible outside the
// turn before publish(); undo() needs only give back tickets and messages.
#pragma once

#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/uuid.h"
#include "engine/engine.h"
#include "engine/gates.h"
#include "engine/inbox.h"
#include "engine/jobs.h"
#include "engine/leases.h"
#include "engine/locks.h"

namespace trued {

struct DigestHash {
  std::size_t operator()(const Digest& digest) const;
};

/// On the clock that never jumps: for everything that does not outlive the process.
using Mono = std::chrono::milliseconds;

/// A caller who waits for an operation to settle.
struct Waiter {
  Mono until{};
  SubmitDecision decision = SubmitDecision::fresh;
  Reply reply;
  bool reexecutes = false;
};

/// An open operation.
struct Entry {
  std::shared_ptr<const Operation> operation;
  std::shared_ptr<const Intent> intent;  ///< null after recovery until it is needed
  std::optional<WallTime> timer;         ///< its place in timers_
  GateTicket ticket;                     ///< at the gate of its target
  std::vector<Waiter> waiters;
};

/// One operation within a turn.
struct Work {
  Operation operation;
  bool insert = false;
  std::string intent_json;
  std::shared_ptr<const Intent> intent;
  std::vector<Event> events;
  std::vector<Action> actions;
  std::vector<Waiter> waiters;
  GateTicket ticket_before;  ///< as the turn found it
  GateTicket ticket;
  GateTaken taken;
  Answered answered = Answered::not_asked;  ///< by its target, within this turn
  std::uint64_t answered_probe = 0;
  bool below_floor = false;  ///< it would begin, and may not: the ledger promises too little
};

/// An answer that does not depend on an operation's further life.
struct DirectAnswer {
  Reply reply;
  std::variant<Answer, EngineProblem> answer;
};

/// Everything one turn decided.
struct TurnState {
  WallTime now{};
  Mono mono{};
  Mono begun{};       ///< as mono, and never later: while its commit is in doubt only mono goes on
  std::string below;  ///< why nothing new may begin; empty: it may
  std::vector<Message> messages;
  std::map<OperationId, Work> works;
  std::vector<OperationId> order;                               ///< of works, as first touched
  std::unordered_map<Digest, Known, DigestHash> known;          ///< loaded identities
  std::map<OperationId, std::optional<Operation>> rows;         ///< loaded by id
  std::unordered_map<Digest, OperationId, DigestHash> created;  ///< identities of this turn
  std::vector<OperationId> effects_ended;  ///< operations of which a handed-out effect came back
  bool wrote = false;                      ///< its commit had something in it
  std::size_t created_bytes = 0;           ///< of the contents of what was accepted
  std::vector<OperationId> handed;         ///< of which a worker was given the lease in this turn
  std::vector<OperationId> enqueued;       ///< tickets taken in this turn: given back by undo
  std::vector<DirectAnswer> answers;
  std::map<OperationId, std::map<SubmitDecision, std::uint32_t>> repeats;  ///< written in this turn
};

/// Whether the operation's target answered, as far as `input` tells of an answer that is waited
/// for.
[[nodiscard]] Answered answered_now(const Operation& operation, const Input& input, WallTime now);

/// Whether it may not begin yet. What has begun once has no such time any more, wherever the wall
/// clock is set.
[[nodiscard]] bool before_its_time(const Operation& operation, WallTime now);

/// Whether what it is due for is still to come. What starts is due from when it may start: where it
/// waited for its turn, `due_at` is only the deadline that would have ended that.
[[nodiscard]] bool is_early(const Operation& operation, WallTime now);

/// What calls it to what it is due for.
[[nodiscard]] Input call_to(const Operation& operation);

/// The call that its next attempt is to the gate of its target.
[[nodiscard]] GateCall attempt_of(const Operation& operation, const GateTicket& ticket);

class Engine::Impl {
 public:
  Impl(EnginePorts ports, EngineOptions options);

  Result<void> recover();
  Turn step();
  void release_waiters();
  EngineStats stats() const;
  /// Why nothing new may begin; empty: it may.
  std::string below_floor() const {
    return ports_.floor == nullptr ? std::string() : ports_.floor->below();
  }

  LedgerPosition position() const { return ports_.ledger.newest(); }

  /// For a caller, on any thread: refused at once when nobody steps the engine any more.
  void push_or_refuse(Message message);
  std::size_t jobs_out() const { return jobs_.out(); }

  std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
  std::atomic<bool> draining{false};
  /// Any thread.
  bool ledger_down() const {
    return std::chrono::floor<Mono>(ports_.clock.monotonic()) < ledger_down_until_.load();
  }
  std::atomic<bool> fenced{false};

 private:
  [[nodiscard]] bool rarely(std::string_view site) {
    return ports_.buggify != nullptr && ports_.buggify->strikes(site);
  }

  // turn.cpp: inputs and decisions
  void take_messages(TurnState& turn);
  bool load(TurnState& turn);
  /// What was loaded is open, and none of ours: somebody else accepted it or took it up.
  bool shows_another_node(const TurnState& turn) const;
  void decide_all(TurnState& turn);
  void on_submit(TurnState& turn, SubmitMessage& message);
  void on_fresh(TurnState& turn, SubmitMessage& message);
  void on_known(TurnState& turn, SubmitMessage& message, const Operation& known);
  void on_person(TurnState& turn, PersonMessage& message);
  void on_wait(TurnState& turn, WaitMessage& message);
  void on_move(TurnState& turn, MoveMessage& message);
  void start_when_free(TurnState& turn, Work& work);
  static void wait_to_start(const TurnState& turn, Work& work, WallTime until, std::string why);
  std::optional<Refusal> apply(TurnState& turn, Work& work, const Input& input);
  Work* work_on(TurnState& turn, const OperationId& id);
  const Operation* known_operation(TurnState& turn, const Identity& identity,
                                   const Tombstone** tombstone);
  void refuse_submissions(TurnState& turn, const EngineProblem& problem);
  void flush_repeats(TurnState& turn);
  /// What operations of that definition are carried out at; null if it is not configured (any
  /// more).
  const Target* target_of(const std::string& definition, const std::string& target) const;
  const Policy& policy_of(const std::string& definition, const std::string& target) const;

  // gating.cpp: what stands before the targets
  void open_gates();
  TargetGate* gate_of(const Operation& operation);
  void release_held(TurnState& turn);
  void release_line(TurnState& turn, TargetGate& gate, Line line,
                    std::uint32_t most = std::numeric_limits<std::uint32_t>::max());
  bool held_at_gate(TurnState& turn, Work& work);
  bool held_by_floor(TurnState& turn, Work& work);
  void release_from_floor(TurnState& turn);
  void wait_for_floor(Entry& entry);
  bool tells_nothing(TurnState& turn, Work& work, const Input& input);
  void hold(TurnState& turn, Work& work, const GateCall& call, const GateRefusal& refused);
  void note_wait(TurnState& turn, Work& work, WallTime again, std::string reason);
  /// What was just decided: an attempt ended of which the target has had nothing.
  static bool never_began(const Work& work, const Input& input, std::size_t events);
  void follow_gate(TurnState& turn, Work& work, const Input& input, Answered answered,
                   std::size_t events, std::size_t actions);
  void pay_for_retry(TurnState& turn, Work& work, TargetGate& gate, std::size_t events);
  void settle_gate(TurnState& turn, const OperationId& id, Work& work, bool settled);
  void undo_gate(const OperationId& id, Work& work);
  std::optional<Duration> next_release(Mono now);
  void snapshot_gates();

  // leasing.cpp: attempts that workers carry out
  bool waits_for_worker(TurnState& turn, Work& work, const std::optional<GateCall>& call);
  void serve_workers(TurnState& turn);
  std::shared_ptr<std::optional<std::string>> prepare_lease(const Operation& operation,
                                                            const Target& target);
  void on_lease(TurnState& turn, LeaseMessage& message);
  void on_work(TurnState& turn, WorkMessage& message);
  void on_heartbeat(TurnState& turn, Work& work, const Heartbeat& beat, WorkReply& reply);
  void on_completion(TurnState& turn, Work& work, const AttemptReport& report, WorkReply& reply);
  void hand_over(TurnState& turn, Work& work, Heartbeat beat);
  std::optional<bool> told_before(const Work& work, const AttemptReport& report);
  void follow_lease(const Work& work);
  void deliver_leases(TurnState& turn);
  void take_back(const std::vector<Leases::Returned>& leases);

  // publish.cpp: what follows from a commit
  Turn commit(TurnState turn);
  Turn finish(TurnState turn, const CommitResult& result);
  TurnState new_turn() const;
  Turn settle_held(TurnState turn);
  void answer_held(Mono now);
  Turn pause(TurnState turn, const std::string& why);
  Turn stand_aside(TurnState turn);
  void publish(TurnState& turn);
  void publish(TurnState& turn, const OperationId& id, Work& work);
  void keep(TurnState& turn, Entry& entry, Work& work);
  void attend(TurnState& turn, Entry& entry, Work& work);
  void close(TurnState& turn, const Operation& operation);
  void undo(TurnState& turn, const std::string& why);
  void dispatch(const Operation& operation, Entry& entry, const Action& action);
  void dispatch_attempt(const Operation& operation, const Entry& entry, const Target& target,
                        const RunAttempt& action);
  void dispatch_read(const Operation& operation, Entry& entry, const Target& target,
                     const RunRead& action);
  // undo.cpp
  std::optional<EngineProblem> cannot_undo(const Operation& operation);
  Result<Submission> undo_of(const Operation& operation);
  void run_undo(const Operation& operation);
  void release_artifacts(const OperationId& id);
  void release_after(const std::vector<OperationId>& effects_ended);
  void post_local(const OperationId& id, Input input);
  bool ensure_intent(const Operation& operation, Entry& entry);
  /// From the ledger; null if its definition is not known.
  Result<std::shared_ptr<const Intent>> read_intent(const Operation& operation);
  /// The same; null also if it cannot be read.
  std::shared_ptr<const Intent> stored_intent(const Operation& operation);
  bool is_defined(const Operation& operation) const;
  /// What it takes turns at; `intent` is filled in if that needs it. The error is that the ledger
  /// does not tell now.
  Result<std::vector<std::string>> turns_of(const Operation& operation,
                                            std::shared_ptr<const Intent>& intent);
  void set_timer(Entry& entry, const OperationId& id, std::optional<WallTime> at);
  void call_again(const OperationId& id, WallTime at);
  void answer_waiters(Entry& entry, Mono now, bool all);
  void expire_waiters(Mono now);
  void count(const Work& work, WallTime now);
  void count(const Event& event);
  void look_after_retention(const TurnState& turn);
  Duration next_in(const TurnState& turn);
  void call_back_waiting_jobs();
  void keep_intent(Entry& entry, std::shared_ptr<const Intent> intent);
  void snapshot();
  /// Ends every step: brings the figures up to date, then sends what say() gathered.
  void show();
  /// What holds between two steps. Takes the same time however much is open.
  void assert_invariants() const;
  void say(Reply& reply, std::variant<Answer, EngineProblem> answer);

  EnginePorts ports_;
  EngineOptions options_;
  UuidV7Generator ids_;
  std::unique_ptr<LedgerReader> reader_;
  Policy fallback_policy_;  ///< for operations whose target is not configured any more

  std::map<OperationId, Entry> entries_;  ///< every open operation
  std::unordered_map<Digest, OperationId, DigestHash> open_identities_;
  std::set<std::pair<WallTime, OperationId>> timers_;
  std::set<std::pair<Mono, OperationId>> waits_;  ///< when some waiter of it gives up
  ArtifactLocks locks_;
  /// While an effect is out, its operation keeps its artifacts even if it has settled meanwhile:
  /// what lands late must not land on a later writer's work.
  Jobs jobs_;
  /// By target. What is asked is asked before it is decided, and undone with the turn.
  std::map<std::string, TargetGate, std::less<>> gates_;
  Leases leases_;
  std::set<OperationId> below_floor_;  ///< what would begin if the ledger promised enough
  WallTime gates_since_{};             ///< when the breakers were closed
  std::size_t open_bytes_ = 0;         ///< of the contents in entries_
  std::vector<DirectAnswer> answers_;  ///< not sent yet: show()
  std::vector<Message> local_;         ///< for the next turn: turns at artifacts, inline reports
  std::map<OperationId, std::map<SubmitDecision, std::uint32_t>> repeats_;
  Mono repeats_due_{};
  Mono retire_due_{};
  std::optional<TurnState> held_;  ///< its commit ended unknown
  Mono held_since_{};
  Mono held_retry_{};
  Mono ledger_retry_{};
  std::atomic<Mono> ledger_down_until_{Mono{0}};

  EngineStats counters_;  ///< engine thread only
  mutable std::mutex stats_mutex_;
  EngineStats published_;
};

}  // namespace trued
