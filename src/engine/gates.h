// gates.h: what stands before one target: its circuit breaker, its retry budget, its rate, and the
// lines of those who wait there.
//
//   asked ──┬─ admitted ──► calls (counted until it ends) ──► votes
//           └─ held ──► in line ──released, in order──► calls
//
// Three lines: rounds of reading back, attempts, and retries that the budget does not cover yet.
// They are served in that order, and within a line by priority, so that a read is what finds out
// whether a target answers again (each once: then it waits among the attempts); who comes while
// others of its priority wait goes behind them. One in so many goes to the retries, or a busy
// target would never see them.
//
// However much there is to do, no more is begun than can end within the time of an attempt: what is
// begun and waits for the target is an attempt that may have to be called back, and after a crash
// nobody knows of it. How much that is shows (additive increase, multiplicative decrease: Chiu and
// Jain, 1989): the window grows with what comes back, and is halved when an attempt was called back
// because its time was over. After an opening it begins anew with as many calls as the target may
// have at a time, so that a target that comes back is not run over.
//
// Invariants
//   (1) Whoever is admitted has paid: a token of the rate; for a retry, its price in the budget; a
//       place as probe while the breaker is half-open.
//   (2) in_flight_ is the number of tickets that are `inside`. What is in a worker's hands is not:
//       how many leases there are is the desk's to bound (leases.h).
//   (3) A ticket is in at most one line, and held(line) counts them.
//
// One thread, the engine's. Nothing here is durable: after a restart the breaker is closed, the
// budget has its floor, and who waited asks again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/random.h"
#include "core/circuit_breaker.h"
#include "core/operation.h"
#include "core/rate_limit.h"
#include "core/retry_budget.h"
#include "engine/queue.h"
#include "engine/stats.h"

namespace trued {

/// Where somebody waits, in the order of service.
enum class Line : std::uint8_t { none, reads, attempts, retries };

/// What one operation has at the gate of its target. Kept with the operation.
struct GateTicket {
  CircuitBreaker::Ballot ballot;
  std::uint64_t place = 0;  ///< in its line, among those of its priority
  Priority priority = Priority::normal;
  std::uint32_t reserved = 0;  ///< paid to the budget for a retry that has not begun
  Line line = Line::none;
  bool admitted = false;      ///< released from its line, and not called yet
  bool inside = false;        ///< a call of it is under way
  bool wants_worker = false;  ///< waits for a worker, in no line (leases.h)
  bool unbegun = false;       ///< its last attempt never left us: the next is no retry
  bool said_held = false;     ///< it was counted among those held since it was last admitted
  std::uint64_t probe = 0;    ///< and finds out about this opening of the breaker; 0 = it does not
};

/// What was counted for a ticket within one turn.
struct GateTaken {
  std::uint32_t inside = 0;
  std::uint32_t probes = 0;
};

/// A call somebody wants to make.
struct GateCall {
  CallKind kind = CallKind::first;
  std::uint32_t cost = 1;  ///< of a retry
  bool anew = false;       ///< a first call that was admitted before, and never left us
  /// A read of what is past its deadline: it is made whatever the breaker says, and is bounded
  /// otherwise.
  bool urgent = false;
};

/// Why somebody was held, and when it is worth while to ask again (on the monotonic clock).
struct GateRefusal {
  HeldBy by = HeldBy::line;
  Duration again{};
};

class TargetGate {
 public:
  /// `pace`: calls at a time. `patience`: a call that has not ended by then is not waited for.
  /// `careful`: what was begun and is not known of may not be repeated, so little is begun ahead.
  TargetGate(const GatePolicy& policy, std::uint32_t pace, Duration patience, bool careful);

  /// Lets time act; before anything is asked in a turn.
  void pass(Duration now, Random& random);

  /// Admits the call, or says why not. `ticket` is in no line.
  [[nodiscard]] std::optional<GateRefusal> ask(GateTicket& ticket, GateTaken& taken,
                                               const GateCall& call, Duration now);
  /// A call of it came back; or its time was over before it could begin.
  void came_back();
  void overfull(Duration now);
  /// True while nothing but its own fill holds anybody back.
  [[nodiscard]] bool flows() const { return breaker_.state() == BreakerState::closed; }
  /// A call that nobody asked for (it follows one that was admitted).
  void enter(GateTicket& ticket, GateTaken& taken);
  /// Once for everybody who is held, however often they ask.
  void count_held(GateTicket& ticket, HeldBy by);
  /// A probe in a worker's hands is at work: it is not overdue.
  void still(const GateTicket& ticket, Duration now);

  /// At a retry's scheduling: pays for it. What is not granted is asked for again when it is due.
  [[nodiscard]] std::optional<GateRefusal> reserve(GateTicket& ticket, std::uint32_t cost,
                                                   Duration now);

  /// What a call came to. `probe` as its ticket said while it was made.
  void vote(GateTicket& ticket, Answered answered, std::uint64_t probe, Duration now,
            Random& random);

  /// The ticket as it was becomes the ticket as it is: counts follow. Whoever is newly in a line is
  /// put there. `taken` is what ask() and enter() have counted since.
  void settle(const OperationId& id, const GateTicket& before, GateTicket& after,
              const GateTaken& taken);
  /// A retry that was paid for will not be made.
  void cancel(GateTicket& ticket);
  /// Gives back everything a ticket holds.
  void give_back(GateTicket& ticket);

  /// Who is next in a line, to be looked up by the caller; nothing if it is empty.
  [[nodiscard]] std::optional<std::pair<OperationId, std::uint64_t>> front(Line line) const;
  void pop(Line line);
  void leave(Line line);
  /// True when a retry is due before more attempts are released; counts those that were.
  [[nodiscard]] bool owes_retry() const { return held(Line::retries) > 0 && passed_ >= kPassedMax; }
  void count_released(Line line) { passed_ = line == Line::attempts ? passed_ + 1 : 0; }
  /// True when somebody may go now.
  [[nodiscard]] bool has_room(Duration now) {
    return breaker_.admits() && rate_.admits(now) && in_flight_ < window_;
  }
  /// True when the first of that line may go now.
  [[nodiscard]] bool may_release(Line line, std::uint32_t cost, Duration now);
  /// When it is worth while to look at the lines again; nothing if nobody waits, or if that hangs
  /// on a call under way.
  [[nodiscard]] std::optional<Duration> wake(Duration now);

  /// True while the breaker is open: what was admitted before and has not begun is not to begin.
  /// Read by the runner's threads.
  [[nodiscard]] std::shared_ptr<const std::atomic<bool>> shut() const { return shut_; }
  [[nodiscard]] bool any_held() const { return held_.at(1) + held_.at(2) + held_.at(3) > 0; }
  [[nodiscard]] const CircuitBreaker& breaker() const { return breaker_; }
  [[nodiscard]] GateStats stats(Duration now);

 private:
  static constexpr std::uint32_t kPassedMax = 7;
  static constexpr std::uint32_t kAheadAtFirst = 16;  ///< for each call at a time
  static constexpr std::uint32_t kAheadMax = 64;
  static constexpr std::uint32_t kAheadCareful = 2;
  static constexpr Duration kHalvedOnce{1'000};  ///< for all that was called back together

  [[nodiscard]] std::optional<GateRefusal> refusal(const GateTicket& ticket, const GateCall& call,
                                                   Duration now);
  void admit(GateTicket& ticket, GateTaken& taken, const GateCall& call, Duration now);
  [[nodiscard]] std::uint64_t held(Line line) const {
    return held_.at(static_cast<std::size_t>(line));
  }

  void follow_breaker();
  void assert_invariants() const;

  CircuitBreaker breaker_;
  std::shared_ptr<std::atomic<bool>> shut_ = std::make_shared<std::atomic<bool>>(false);
  RetryBudget budget_;
  RateLimit rate_;
  std::uint32_t pace_;
  std::uint32_t window_max_;
  std::uint32_t window_;        ///< how many may be inside
  std::uint32_t returned_ = 0;  ///< since it grew
  Duration halved_{0};          ///< when it was halved last
  Duration patience_;
  std::uint32_t in_flight_ = 0;
  std::uint32_t passed_ = 0;  ///< attempts released since a retry was, or could not be
  std::uint64_t place_ = 0;
  std::array<Queue<OperationId>, 4> lines_;
  std::array<std::uint64_t, 4> held_{};
  std::array<std::uint64_t, kCallKinds> calls_{};
  std::array<std::uint64_t, kHeldReasons> held_since_start_{};
};

/// The line in which a call waits.
[[nodiscard]] Line line_for(CallKind kind, const GateTicket& ticket);

}  // namespace trued
