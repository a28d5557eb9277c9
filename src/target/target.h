// target.h: the port to the outside systems in which effects land.
//
// A connector performs an effect, reads artifacts back from the authoritative store, and says what
// its history proves. A reader reads artifacts the way a consumer does (the serving level). A
// target is a connector, optionally a reader, and the policy that bounds both.
//
// Contract (one conformance suite for all, target/target_conformance.h)
//   (1) perform() tells the truth about what it knows: `acknowledged` only if the target said yes;
//       `rejected_*` only if it is certain that nothing happened; `not_sent` only if nothing left
//       us; everything else is `unknown`.
//   (2) perform() carries the operation's id to the other side where that is possible.
//   (3) read() resolves freshly: never from a cache or from a version that perform() reported.
//   (4) No call retries an effect by itself; a read may be repeated.
//   (5) Calls block up to the given timeout and may run on any thread, several at once.
//   (6) No exception leaves a connector.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "core/evidence.h"
#include "core/operation.h"

namespace trued {

struct EffectRequest {
  OperationId operation;
  AttemptNo attempt{1};
  /// The operation's identity for the other side: the same for every attempt of one (scope, type,
  /// key), also if the ledger was lost. Visible ASCII; see effect_identity().
  std::string identity = {};
  std::string key;         ///< the identity's key, as the client gave it or as it was derived
  std::string scope = {};  ///< the identity's scope
  std::string actor;
  std::shared_ptr<const Intent> intent;
  std::string since;  ///< the store's version before the first attempt; history starts there
  std::string
      reported;  ///< the version that an earlier attempt was acknowledged with; may be empty
  bool restage = false;  ///< a repeat because what was acknowledged could not be read back
  Duration timeout{30'000};
};

struct EffectResult {
  EffectEnded ended;       ///< `attempt` is filled in by the caller
  Duration retry_after{};  ///< the target's own wish; 0 = none
  /// The call, filled in, as JSON text: a worker is to carry it out, and will say what came of it.
  /// Nothing was sent yet, and `ended` says nothing.
  std::optional<std::string> handed_over = {};
  /// Rejected because of too many requests (429), not because the target is out of order: its
  /// circuit breaker does not count it.
  bool throttled = false;
  /// False: something else stood in the way, and this target was not even asked. Says nothing of
  /// it.
  bool asked = true;
};

struct ReadRequest {
  std::shared_ptr<const Intent> intent;
  std::vector<std::uint32_t> artifacts;  ///< indexes to read, ascending
  OperationId operation = {};            ///< for whom
  std::string identity = {};             ///< see EffectRequest
  std::string result = {};  ///< what its effect was answered with, as JSON text; may be empty
  std::string key = {};     ///< see EffectRequest
  std::string scope = {};   ///< see EffectRequest
  Duration timeout{10'000};
};

/// What a reader got for one artifact, with its content: compared by compare.h, then dropped.
struct RawRead {
  Seen seen = Seen::unreadable;
  std::string content;  ///< when found
  std::string version;
  std::string served_by;
  std::string detail;  ///< when unreadable: why
  Duration latency{};
  bool elsewhere = false;  ///< another target was asked: it says nothing of this one
};

/// Reads artifacts as a consumer does.
class Reader {
 public:
  virtual ~Reader() = default;
  /// One answer for each requested artifact, in order. A failure of one is its `unreadable`; the
  /// call itself never fails. Absence is `absent`, never `unreadable`.
  [[nodiscard]] virtual std::vector<RawRead> read(const ReadRequest& request) = 0;
};

struct HistoryRequest {
  OperationId operation;
  std::shared_ptr<const Intent> intent;
  std::string since;     ///< the store's version before the first attempt; empty = from the start
  std::string reported;  ///< the version that perform() was acknowledged with; may be empty
  /// Set if the reads made before the attempt are lost: when the operation was accepted. What was
  /// not changed since stands as it stood before.
  std::optional<WallTime> untouched_since = {};
  std::string identity = {};  ///< see EffectRequest
  std::string result = {};    ///< see ReadRequest
  std::string key = {};       ///< see EffectRequest
  std::string scope = {};     ///< see EffectRequest
  /// The newest that was started: what a probe says covers this one and those before it.
  AttemptNo attempt{1};
  Duration timeout{10'000};
};

/// Performs effects and reads the authoritative store.
class Connector : public Reader {
 public:
  [[nodiscard]] virtual Capabilities capabilities() const = 0;
  [[nodiscard]] virtual EffectResult perform(const EffectRequest& request) = 0;
  /// What the target itself records. `known` is false where it has no history or cannot be asked.
  [[nodiscard]] virtual History history(const HistoryRequest& request) = 0;
  /// The store's version now (commit, revision), for `EffectRequest::since`; empty if it has none.
  /// A failure means that it could not be read; nothing happened.
  [[nodiscard]] virtual Result<std::string> version() = 0;
  /// Checks an artifact name before anything is accepted: empty when fine, else what is wrong.
  [[nodiscard]] virtual std::string check_name(const std::string& name) const = 0;
  /// True when calls never block (in-process stores): the engine then runs them on its own thread.
  [[nodiscard]] virtual bool is_inline() const { return false; }
};

class CallTarget;

struct Target {
  std::string name;
  std::string kind;                   ///< "git", "file", "memory", …
  std::unique_ptr<Connector> store;   ///< null: the target carries calls alone
  std::unique_ptr<Reader> serving;    ///< may be null
  std::shared_ptr<CallTarget> calls;  ///< null: the target carries writes alone; see call.h
  std::string serving_kind;           ///< "http", … when there is one
  Policy policy;                      ///< capabilities and has_serving filled in by make_target()
};

/// By name; filled at start, constant afterwards.
using Targets = std::map<std::string, Target, std::less<>>;

/// Completes the policy from what the parts can do.
[[nodiscard]] Target make_target(std::string name, std::string kind,
                                 std::unique_ptr<Connector> store, std::unique_ptr<Reader> serving,
                                 std::string serving_kind, Policy policy);

/// A target that carries calls alone.
[[nodiscard]] Target make_call_target(std::string name, std::string kind,
                                      std::shared_ptr<CallTarget> calls, Policy policy);

}  // namespace trued
