// jobs.h: work handed out to targets: how much at once, what has begun, what can be called back.
//
// An effect waits its turn at its target, and then for the reads before it. Until it claims its
// beginning it has not happened, and revoke() makes sure that it never will; once it has begun,
// nobody knows until it comes back. A target that hangs holds at most its share of the runner, so
// the others go on.
//
// Invariant: every job handed out ends with one message that carries its JobEnd, begun or not.
// Threads: the engine's, except stages, which the runner's threads move from queued to begun.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/inbox.h"
#include "engine/queue.h"
#include "engine/runner.h"
#include "target/target.h"

namespace trued {

class Jobs {
 public:
  using Work = std::move_only_function<Input()>;
  /// Called right before the effect; false if it was called back: then it must not be begun.
  using Claim = std::function<bool()>;
  using EffectWork = std::move_only_function<Input(const Claim&)>;

  Jobs(Runner& runner, std::shared_ptr<Inbox> inbox, std::size_t per_target_max);

  void effect(const Target& target, const OperationId& id, AttemptNo attempt, Priority priority,
              EffectWork work);
  void read(const Target& target, const OperationId& id, Work work);

  /// How many of its effects and reads run at a time.
  [[nodiscard]] std::size_t at_a_time(const Target& target) const;

  /// True if that attempt's effect had not begun: now it never will. Stays true until its end.
  [[nodiscard]] bool revoke(const OperationId& id, AttemptNo attempt);
  /// Calls back everything that has not begun; the effects among it.
  [[nodiscard]] std::vector<std::pair<OperationId, AttemptNo>> revoke_all();

  /// True while an effect of it may still land.
  [[nodiscard]] bool effect_out(const OperationId& id) const;
  [[nodiscard]] bool read_out(const OperationId& id) const { return reads_.contains(id); }
  /// Jobs that were not called back and have not come back. Any thread.
  [[nodiscard]] std::size_t out() const { return out_.load(); }

  /// The message with this end has arrived.
  void end(const OperationId& id, const JobEnd& end);

 private:
  enum class Stage : std::uint8_t {
    queued,
    looking,    ///< an effect's reads are made; it has not begun
    begun,      ///< an effect that may land, or a read
    revoked,    ///< called back from the queue
    forbidden,  ///< called back while looking: it comes back, without an effect
  };
  static bool called_back(Stage stage) {
    return stage == Stage::revoked || stage == Stage::forbidden;
  }
  using StagePtr = std::shared_ptr<std::atomic<Stage>>;
  struct Effect {
    AttemptNo attempt{1};
    StagePtr stage;
  };
  /// The jobs of one target.
  struct Line {
    std::size_t running = 0;
    Queue<std::move_only_function<void()>> waiting;
  };

  StagePtr hand_out(const OperationId& id, EffectWork work, Priority priority, const JobEnd& end);
  bool call_back(std::atomic<Stage>& stage);

  Runner& runner_;
  std::shared_ptr<Inbox> inbox_;
  const std::size_t per_target_max_;
  std::uint64_t number_ = 0;
  std::map<OperationId, std::map<std::uint64_t, Effect>> effects_;
  std::map<OperationId, StagePtr> reads_;
  std::map<std::string, Line, std::less<>> lines_;  ///< by the target's name
  std::atomic<std::size_t> out_{0};
};

}  // namespace trued
