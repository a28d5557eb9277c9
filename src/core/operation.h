// operation.h: the life of one operation, from intent to verdict.
//
// Intuition: an answer of a target is a claim; only what its consumer would read is a fact. So an
// operation is called confirmed only after every artifact was read back and matched, what is not
// known is called unknown, and nothing is written because something could not be read.
//
//   accepted ──► attempting ─┬─acknowledged─► verifying ─┬─match──────────────► confirmed
//    ▲  │                    ├─no answer────► unknown ───┤
//    │  ├─cancel───► canceled│                           ├─differs, unreadable► read again
//    │  └─deadline─► failed  │                           ├─later writer───────► superseded
//    │                       │                           ├─look, then safe────► attempting
//    │                       │                           └─bound reached──────► needs_action
//    │                       ├─already holds───► unchanged
//    │                       ├─rejected, final─► failed
//    └───(backoff)───────────┴─rejected, retryable, or not sent
//
//   needs_action ─retry─► accepted, ─it happened─► acknowledged, ─it did not─► failed
//   failed ──────retry─► accepted
//   confirmed, acknowledged, needs_action ─compensate─► compensating
//   compensating ─another operation undid it─► compensated, ─it did not─► needs_action
//
//   Once an attempt may have reached the target, a repeat that is turned away leads to `unknown`
//   instead of `accepted` or `failed`: reading decides.
//
// Invariants
//   (1) confirmed only if every artifact matched at every level in reads made after the last
//       attempt ended; `unchanged` only if all matched before anything was sent. Neither if
//       verification was opted out of.
//   (2) An input that carries an attempt number other than the current one is recorded as evidence
//       and changes nothing else.
//   (3) attempts_counted <= retry.attempts_max; reads_done <= the settling bounds together. Past a
//       bound the operation fails or asks a person, with the reason. The deadline bounds attempts,
//       not reads: what may have happened is always read at least once.
//   (4) Every open state has a due time, an attempt in flight, waits for its turn (accepted), or
//   for
//       the operation that undoes it (compensating).
//   (5) The operation is the fold of its events: evolve() alone rebuilds it.
//   (6) Never written again: a mismatch that history proves superseded; an artifact whose content
//       is neither the one before nor ours, where no history is known (nor which was before, unless
//       the target deduplicates); anything while an artifact cannot be read at the store. Where an
//       attempt may have reached the target, every artifact is read right before the next attempt,
//       and only that read allows it. What failed, or never left us, is not sent over what was
//       written since it was first looked at.
//   (7) failed only if no attempt may have reached the target, the target itself was asked and says
//       that nothing happened, or a person said so. A repeat that was turned away says nothing
//       about the attempts before it.
//
// decide() is total: every (state x input) pair has an answer; an input that does not fit is
// refused with its reason or recorded as late evidence. Pure: no clock, no randomness, no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "core/evidence.h"
#include "core/ids.h"
#include "core/policy.h"

namespace trued {

enum class State : std::uint8_t {
  accepted,
  attempting,
  unknown,
  verifying,
  confirmed,
  unchanged,
  acknowledged,
  superseded,
  failed,
  needs_action,
  compensating,
  compensated,
  canceled,
};

/// The same for people. `confirmed` is reserved for what was read back and matched.
enum class Status : std::uint8_t {
  pending,
  confirmed,
  unverified,
  superseded,
  failed,
  undone,
  canceled,
  needs_action,
};

enum class Priority : std::uint8_t { critical, normal, low };

/// How an attempt ended. `not_sent` never left us and does not count against the bound; `skipped`
/// was not sent because everything already held.
enum class EffectKind : std::uint8_t {
  none,
  acknowledged,
  rejected_retryable,
  rejected_final,
  unknown,
  not_sent,
  skipped,
};

/// What the timer of an open operation is for.
enum class Due : std::uint8_t { none, start, attempt, report, read };

/// The choices a person has over an operation.
enum class PersonAction : std::uint8_t { it_happened, it_did_not, retry, cancel, compensate };

// ---- Events: what is recorded; the operation is their fold --------------------------------------

/// The intent without its content, as the row and the receipt need it.
struct ArtifactSummary {
  std::string name;
  bool absent = false;
  ContentId id;
};

struct Accepted {
  Identity identity;
  Fingerprint fingerprint;
  std::string definition;  ///< "write@1"
  std::string target;
  std::string actor;
  Priority priority = Priority::normal;
  bool verify = true;
  bool has_serving = false;  ///< the levels it will be held to, pinned at acceptance
  std::optional<WallTime> not_before;
  WallTime deadline{};
  Duration retention{};  ///< pinned at acceptance; counts from settling
  OnFailure on_failure = OnFailure::replay;
  std::vector<ArtifactSummary> artifacts;
};
struct AttemptStarted {
  AttemptNo attempt{1};
  WallTime report_by{};
};
/// Reads made before the first attempt.
struct BaselineRead {
  std::vector<Observation> reads;
};
struct EffectEnded {
  AttemptNo attempt{1};
  EffectKind kind = EffectKind::unknown;
  bool changed = false;        ///< the target says that it did work
  std::string version;         ///< as the target reports it; may be empty
  std::string version_before;  ///< as we read it before; may be empty
  std::string result;          ///< JSON text from the target; may be empty
  std::string reason;          ///< for every kind but acknowledged
};
/// One round of reading back; `history` as far as the target has one.
struct ReadBack {
  AttemptNo attempt{1};
  std::vector<Observation> reads;
  History history;
};
struct WaitScheduled {
  Due due_for = Due::none;
  WallTime due_at{};
  std::string reason;
};
/// A mismatch that outlived its settling, and the lie it is the signature of.
struct LieCaught {
  AttemptNo attempt{1};
  Tell tell = Tell::unexplained;
  std::string detail;
};
struct Settled {
  State state = State::failed;
  std::string reason;         ///< empty for confirmed
  std::optional<Tell> tell;   ///< needs_action: what the evidence looks like
  std::string superseded_by;  ///< or, for `compensated`, the operation that undid it
};
struct PersonActed {
  PersonAction action = PersonAction::retry;
  std::string who;
  std::string why;
  WallTime deadline{};  ///< retry: the new deadline
};
/// Repeats of a submission, counted; recorded in the background, never waited for.
struct Repeated {
  std::string decision;  ///< "duplicate", "in_flight" or "conflict"
  std::uint32_t count = 1;
};
/// An answer of an attempt that is no longer the current one.
struct LateEvidence {
  AttemptNo attempt{1};
  EffectKind kind = EffectKind::unknown;
  std::string detail;
};
/// The process that ran the attempt is gone; the attempt counts as unknown.
struct Recovered {
  AttemptNo attempt{1};
};

using Event =
    std::variant<Accepted, AttemptStarted, BaselineRead, EffectEnded, ReadBack, WaitScheduled,
                 LieCaught, Settled, PersonActed, Repeated, LateEvidence, Recovered>;

/// "accepted", "attempt_started", … as the API, the ledger and the docs spell it.
[[nodiscard]] std::string_view name_of(const Event& event);

// ---- The fold -----------------------------------------------------------------------------------

/// What is known of one artifact at one level.
struct LevelCheck {
  /// Since the last attempt ended; nothing before a read, while another attempt is waited for, and
  /// at the serving level while the store does not match.
  std::optional<Verdict> verdict;
  std::uint32_t reads = 0;              ///< since the last attempt ended
  std::optional<Observation> last;      ///< the newest read-back
  std::optional<Observation> baseline;  ///< before the first attempt
  bool replicas_disagreed = false;      ///< readers that name themselves gave different contents
};

struct ArtifactState {
  ArtifactSummary meant;
  LevelCheck store;
  LevelCheck serving;
};

struct CaughtTell {
  AttemptNo attempt{1};
  Tell tell = Tell::unexplained;

  friend bool operator==(const CaughtTell&, const CaughtTell&) = default;
};

struct Operation {
  OperationId id;
  Identity identity;
  Fingerprint fingerprint;
  std::string definition;
  std::string target;
  std::string actor;
  Priority priority = Priority::normal;
  bool verify = true;
  bool has_serving = false;
  std::optional<WallTime> not_before;
  WallTime deadline{};
  Duration retention{};
  OnFailure on_failure = OnFailure::replay;

  State state = State::accepted;
  std::string
      reason;  ///< why it waits, failed or needs a person; empty when there is nothing to say
  std::optional<Tell> tell;       ///< the last lie caught, kept when it was repaired
  std::vector<CaughtTell> tells;  ///< every lie caught, in order
  std::string superseded_by;

  std::uint32_t attempts = 0;            ///< started; the current attempt's number
  std::uint32_t attempts_counted = 0;    ///< may have reached the target since the last `retry`
  bool sent = false;                     ///< some attempt may have reached the target
  EffectKind effect = EffectKind::none;  ///< how the last attempt ended; none while it runs
  bool changed = false;                  ///< claimed or assumed; what is known: known_change()
  std::string version;
  std::string version_before;
  std::string result;
  std::uint32_t reads_done = 0;         ///< rounds of reading back since the last attempt ended
  std::uint32_t unreadable_rounds = 0;  ///< of these, rounds with nothing but unreadable left
  std::uint32_t serving_rounds = 0;  ///< of these, rounds that differed at the serving level only
  /// Settling is measured from here: the end of the last attempt, or the time at which the next
  /// one fell due.
  std::optional<WallTime> effect_ended_at;
  std::vector<ArtifactState> artifacts;
  History history;  ///< of the last round of reading back

  Due due_for = Due::none;
  std::optional<WallTime> due_at;
  std::uint32_t events = 0;  ///< how many were folded
  WallTime created_at{};
  WallTime updated_at{};
  /// Retention counts from here. Unset while a person is needed: what is undecided is never
  /// retired.
  std::optional<WallTime> settled_at;
};

/// The verdict of one observation against the summary of what was meant.
[[nodiscard]] Verdict judge(const ArtifactSummary& meant, const Observation& seen);

/// True for states from which nothing moves without a person.
[[nodiscard]] bool is_settled(State state);
[[nodiscard]] Status status_of(State state);

/// True for states in which something of it may stand that can be undone.
[[nodiscard]] bool may_compensate(State state);

/// Its newest attempt runs, or was given up without an answer: one that comes late still counts.
[[nodiscard]] bool waits_for_answer(const Operation& operation);

/// Its attempt runs in the hands of a worker, until `due_at` if nothing is heard: the process that
/// handed it out may end and come back meanwhile.
[[nodiscard]] bool is_leased(const Operation& operation);
/// The name of that worker, as of its last heartbeat; empty if nobody has it.
[[nodiscard]] std::string_view leased_by(const Operation& operation);

/// A lease is recorded for so much of itself more: what it takes until the worker hears of it, and
/// so that who asks without a pause fills no log.
inline constexpr std::int64_t kLeaseAhead = 8;

/// How the reason of an attempt begins whose lease ran out.
inline constexpr std::string_view kLeaseRanOut = "the lease ran out";

/// A new operation from its first event.
[[nodiscard]] Operation begin(OperationId id, const Accepted& accepted, WallTime at);

/// Why the event cannot be the operation's next; nothing if it can. For logs of doubtful origin.
[[nodiscard]] std::optional<std::string_view> contradiction(const Operation& operation,
                                                            const Event& event);

/// Folds one event. REQUIRES: !contradiction(operation, event). Repeats and late evidence are
/// counted and change nothing else, not even updated_at: a stored receipt stays as it was.
void evolve(Operation& operation, const Event& event, WallTime at);

// ---- Inputs and decisions -----------------------------------------------------------------------

/// Whether the target answered, for its circuit breaker; what it answered is another matter.
enum class Answered : std::uint8_t {
  not_asked,  ///< nothing was sent there
  yes,        ///< with whatever it was: an error is an answer too, unless it says "not now"
  throttled,  ///< "too many requests": it is alive, and says nothing else
  no,         ///< not reachable, no answer in time, or out of order
};

/// Its turn has come: every artifact of it is free and `not_before` has passed.
struct Start {};
/// What one attempt came to: reads before (first attempt only), the effect, reads after.
struct AttemptReport {
  AttemptNo attempt{1};
  std::vector<Observation> baseline;
  EffectEnded effect;
  Duration retry_after{};  ///< the target's own wish; 0 = none
  std::vector<Observation> reads;
  History history;
  Answered answered = Answered::not_asked;
};
struct ReadReport {
  AttemptNo attempt{1};
  std::vector<Observation> reads;
  History history;
  Answered answered = Answered::not_asked;
};
/// A worker carries the attempt out: it was handed to it just now, or says that it is at work. From
/// now on it may be silent for Policy::lease. Refused ("lease-lost") for an attempt that is not the
/// current one or was given up, and after the deadline.
struct Heartbeat {
  AttemptNo attempt{1};
  std::string worker;                 ///< its name, for people
  std::vector<Observation> baseline;  ///< with the first: what was read before (first attempt only)
};
/// The due time has come. Ignored before it, so that a timer that was overtaken does no harm.
struct TimerDue {};
/// The engine has restarted and nothing of this operation is in flight any more, except what a
/// worker has in its hands (is_leased()), which goes on.
struct Recover {};
struct PersonInput {
  PersonAction action = PersonAction::retry;
  std::string who;
  std::string why;
  /// The operation's `updated_at` when it was looked at: refused if it has moved since.
  std::optional<WallTime> as_of = {};
};

/// What became of the operation that was to undo this one; only while it is compensating.
struct UndoReport {
  std::string by;      ///< its id; empty if there is none
  bool done = false;   ///< it has undone what was done
  bool later = false;  ///< it could not be asked for now, and is to be asked for again
  std::string reason;  ///< for people
};

using Input = std::variant<Start, AttemptReport, ReadReport, TimerDue, Recover, PersonInput,
                           UndoReport, Heartbeat>;

/// Carry out the attempt: baseline reads if `first` (nothing was ever sent), effect, one read-back.
/// The report is an input.
struct RunAttempt {
  AttemptNo attempt{1};
  bool first = false;
  /// It had failed, or never left us: nothing is sent unless every artifact is as it was found
  /// then (see held_back()).
  bool anew = false;
};
/// Read again every artifact that wants_read() names, store first, and report.
struct RunRead {
  AttemptNo attempt{1};
};
/// Have the operation that undoes this one carried out, and report what became of it. The same one
/// if it was asked for before.
struct RunUndo {};
using Action = std::variant<RunAttempt, RunRead, RunUndo>;

struct DecideContext {
  WallTime now{};
  std::uint64_t entropy = 0;  ///< for jitter; supplied by the caller
};

/// Why an input was not acted on; a programmer- and person-readable sentence.
struct Refusal {
  std::string code;    ///< "not-cancelable", "not-resolvable", "lease-lost", "moved", …
  std::string detail;  ///< what to do instead
};

struct Decision {
  Operation after;  ///< the operation with `events` folded
  std::vector<Event> events;
  std::vector<Action> actions;  ///< only after the events are durable
  std::optional<Refusal> refusal;
};

/// What follows from `input` in the operation's state. Total and pure. Takes the operation by
/// value, so that a caller who gives it away pays no copy.
[[nodiscard]] Decision decide(Operation operation, const Policy& policy, const Input& input,
                              const DecideContext& context);

/// True for an artifact whose next read-back at `level` is still wanted. The store is read again as
/// long as the serving level does not match, so that a later writer is not mistaken for a lie.
[[nodiscard]] bool wants_read(const ArtifactState& artifact, Level level, bool has_serving);

// ---- For receipts -------------------------------------------------------------------------------

enum class NextAction : std::uint8_t { none, wait, retry, decide, contact };

/// What whoever asks should do next.
struct NextStep {
  NextAction action = NextAction::none;
  std::string detail;
  std::optional<WallTime> after;
};
[[nodiscard]] NextStep next_step(const Operation& operation);

/// Whether the operation changed anything at its target; nothing where that is not known. True if
/// our change is in the target's history, or an artifact was read that is as meant now and was not
/// before. Else it is the target's word, as long as no read-back and no person denies it, and no
/// earlier attempt may have done the work. False, too, for what was never sent.
[[nodiscard]] std::optional<bool> known_change(const Operation& operation);
/// The same of one attempt: what the target said; nothing without an answer.
[[nodiscard]] std::optional<bool> known_change(const EffectEnded& ended);

[[nodiscard]] std::string_view to_string(State state);
[[nodiscard]] std::string_view to_string(Status status);
[[nodiscard]] std::string_view to_string(Priority priority);
[[nodiscard]] std::string_view to_string(EffectKind kind);
[[nodiscard]] std::string_view to_string(Due due);
[[nodiscard]] std::string_view to_string(PersonAction action);
[[nodiscard]] std::string_view to_string(NextAction action);
[[nodiscard]] std::string_view to_string(OnFailure on_failure);
[[nodiscard]] std::optional<State> parse_state(std::string_view text);
[[nodiscard]] std::optional<Status> parse_status(std::string_view text);
[[nodiscard]] std::optional<Priority> parse_priority(std::string_view text);
[[nodiscard]] std::optional<EffectKind> parse_effect_kind(std::string_view text);
[[nodiscard]] std::optional<Due> parse_due(std::string_view text);
[[nodiscard]] std::optional<PersonAction> parse_person_action(std::string_view text);
[[nodiscard]] std::optional<OnFailure> parse_on_failure(std::string_view text);

}  // namespace trued
