// auditor.h: knows what every target truly held and executed and what the ledger truly committed,
// and holds what Trued says against it. Shares no decision with the engine: only the fold and the
// encoding of rows, which it uses to compare.
//
// What must never happen (the invariants of the design, by number)
//   (1) acknowledged means durable: an answer shows a state that is in the ledger; nothing is sent
//       before its attempt is in the ledger; one identity is one operation.
//   (2) confirmed means that every artifact was read and matched, at each level that it is held to,
//       after the last attempt reached the target; unchanged, that nothing was ever sent; failed
//       and canceled, that nothing landed; superseded, that it had landed and was replaced.
//   (3) an operation never writes over a later writer's work where the target can tell; two
//       operations never work on one artifact at a time.
//   (4) nothing is lost or stuck: at rest every operation has ended or is a person's.
//   (5) every row is the fold of its events.
//   (6) nothing is tried past its bound or its deadline.
//   (7) nobody is accused who told the truth.
//   (8) a target that is down is left alone (gate_auditor.h).
//   (9) undone means that another operation, of which there is one for each, has done it, and that
//       nothing of what it undoes has landed since.
//  (10) nothing new is taken on, and no effect begins, while the ledger promises less than its
//  floor
//       (sim_ledger.cpp, sim_target.cpp).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/operation.h"
#include "engine/submission.h"
#include "ledger/ledger.h"
#include "sim/agenda.h"
#include "sim/gate_auditor.h"

namespace trued::sim {

/// How often each thing was seen, over any number of worlds.
using Coverage = std::map<std::string, std::uint64_t>;

class Auditor {
 public:
  Auditor(Trace& trace, const Options& options, Coverage& coverage)
      : trace_(trace), options_(options), coverage_(coverage), gates_(trace, options) {}

  // The ledger.
  void on_batch(const Batch& batch);
  void on_retired(const OperationId& id);

  // The targets. Names are those of artifacts.
  void on_target(const std::string& target, bool history) { has_history_[target] = history; }
  void on_perform(const EffectRequest& request);  ///< it has begun
  void on_landing(const OperationId& id);         ///< from now on something may change
  void on_outage(const std::string& target, bool down) {
    cover("fault", "outage");
    gates_.on_outage(target, down);
  }
  void on_performed(const OperationId& id) { lives_.at(id).performing = 0; }
  /// A process begins to act, and what the one before had under way is not its own.
  void on_takeover() {
    for (auto& [id, life] : lives_) life.performing = 0;
    took_over_ = trace_.now();
    gates_.on_takeover();
  }
  /// It was not turned away: whatever is answered, it may have happened.
  void on_reached(const OperationId& id) { lives_.at(id).reached = true; }
  void on_lie(const OperationId& id, std::string_view lie);
  /// A name holds something else now: because of `writer`, or of somebody outside.
  void on_change(const std::string& target, const std::string& name,
                 std::optional<OperationId> writer, const std::optional<ContentId>& now,
                 bool lying);
  /// After an effect the name holds what it meant, whoever brought it there.
  void on_held(const OperationId& id, const std::string& name) { lives_.at(id).held.insert(name); }
  /// What a reader handed out; nothing = it said that there is nothing.
  void on_read(const std::string& target, Level level, const std::string& name,
               const std::optional<ContentId>& content, bool true_now);

  // The clients.
  std::uint64_t on_submit(const Identity& identity, const Fingerprint& fingerprint);
  void on_reply(std::uint64_t submission, const std::variant<Answer, EngineProblem>& reply);
  void on_person(const OperationId& id) { lives_.at(id).person = true; }

  /// A worker was told that this attempt is its own.
  void on_leased(const Operation& shown);

  /// Faults have stopped and nothing moves any more.
  void at_rest();

  /// A thing of the engine's that can be seen only from outside of the ledger.
  void see(std::string_view what) { cover("seen", what); }

  /// For whoever looks for operations of a kind. In the order of their ids.
  [[nodiscard]] std::vector<OperationId> in_state(State state) const;
  /// Whatever is over for now while an effect of it is under way.
  [[nodiscard]] std::vector<OperationId> effects_out() const;
  /// What was to be undone, and what was to undo it, unless it is over for good.
  [[nodiscard]] std::vector<OperationId> around_undoings() const;
  [[nodiscard]] std::optional<OperationId> known(const Identity& identity) const;
  [[nodiscard]] std::uint64_t operations() const { return lives_.size(); }
  [[nodiscard]] std::uint64_t submissions() const { return sent_.size(); }

 private:
  struct Life {
    Operation row;
    std::vector<std::string> versions;  ///< the row as text after each event; [0] after acceptance
    std::uint64_t newest_start = 0;     ///< when (in steps_) its newest attempt became durable
    std::uint64_t newest_perform = 0;   ///< when that attempt reached the target
    std::uint32_t performs = 0;
    std::uint32_t performing = 0;    ///< effects under way
    std::uint32_t leased = 0;        ///< the newest attempt that a worker was handed
    bool reached = false;            ///< some attempt was not plainly turned away
    bool changed_something = false;  ///< something of it landed, whole or not
    std::set<std::string> landed;    ///< names that held what it meant because of it
    std::set<std::string> held;      ///< names that held it after an effect, whoever brought it
    std::set<std::string> replaced;  ///< of both, names that somebody changed afterwards
    /// A person has retried it: what its store had shown it before anything was sent.
    std::map<std::string, std::optional<ContentId>> given_up_on;
    std::uint32_t performs_then = 0;
    std::uint32_t attempts_then = 0;
    std::uint32_t newest_performed = 0;  ///< the number of the attempt that was carried out last
    std::uint64_t retried = 0;           ///< when
    std::uint64_t last_change = 0;       ///< when something of it landed last
    std::uint64_t ended = 0;             ///< when it settled last
    bool excused = false;  ///< a lie, a stale answer or an outsider touched it: accusing it is fair
    bool person = false;
    bool retired = false;
  };
  struct Read {
    std::uint64_t step = 0;
    std::optional<ContentId> content;
  };
  struct Held {
    std::uint64_t since = 0;
    std::optional<ContentId> content;
    std::optional<OperationId> writer;
    bool torn = false;  ///< a lie left it there: it may look like a piece of anybody's
  };
  struct Sent {
    Digest identity;
    Fingerprint fingerprint;
    bool only = false;  ///< the only submission of its identity so far
    bool refused = false;
  };

  void accept(const Change& change, const Accepted& accepted);
  void check_nothing_under_way(const std::string& undone);
  void take(Life& life, const Event& event, WallTime at);
  void tell_gates(const Operation& row, const Event& event, WallTime at);
  void started(Life& life, WallTime at);
  void settled(const Life& life, const Settled& event, WallTime at);
  void check_confirmed(const Life& life);
  void check_superseded(const Life& life);
  void check_undone(const Life& life, const Settled& event);
  void check_waited_for_somebody(const Life& life, WallTime at);
  bool was_read(const Life& life, const ArtifactSummary& meant, Level level) const;
  void retried_by_person(Life& life);
  void check_alone(const Life& life, std::string_view what);
  void check_retry(const OperationId& id, const std::string& name) const;
  void excuse_all(const std::string& target, const std::string& name,
                  std::optional<OperationId> but);
  void answered(const Sent& sent, const Answer& answer);
  static bool begun(const Life& life);
  static bool over_for_now(const Life& life);
  void cover(std::string_view kind, std::string_view what) {
    ++coverage_[std::string(kind) + " " + std::string(what)];
  }

  Trace& trace_;
  const Options& options_;
  Coverage& coverage_;
  GateAuditor gates_;
  Duration took_over_{0};    ///< when a process began to act last
  std::uint64_t steps_ = 0;  ///< counts everything that happens, to tell before from after
  std::map<OperationId, Life> lives_;
  std::map<Digest, OperationId> identities_;
  std::set<std::string> undoings_;  ///< by what they undo
  std::map<std::pair<std::string, std::string>, std::set<OperationId>> by_artifact_;
  std::map<std::tuple<std::string, Level, std::string>, std::vector<Read>> reads_;
  std::map<std::pair<std::string, std::string>, Held> holds_;  ///< now
  std::map<std::string, bool> has_history_;                    ///< of targets
  std::vector<Sent> sent_;
  std::map<Digest, std::uint64_t> submissions_;  ///< how many of each identity
};

}  // namespace trued::sim
