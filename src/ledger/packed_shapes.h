// packed_shapes.h: what events and rows consist of, once for writing and reading. Private.
//
// On disk: the order of the members, of the events in Event and of the values of every enum. What
// was ever written is read, and written again, byte for byte as it was: the audit compares. So a
// change is a value that a byte could not have before, or a new form (kPackedForm) beside this one;
// and always a new version of the schema, for programs that do not know it.
//
//   schema 3  the first
//   schema 4  HistoryForm::answered, PersonAction::compensate
#pragma once

#include <concepts>
#include <type_traits>

#include "core/operation.h"
#include "ledger/packed.h"

namespace trued::codec {

/// The first byte of packed events and rows. Older ones are JSON, which begins with none such.
inline constexpr std::uint8_t kPackedForm = 1;

template <class Archive>
concept Reads = std::same_as<Archive, Unpack>;
template <class T, class Of>
concept Is = std::same_as<std::remove_const_t<T>, Of>;

template <>
inline constexpr State kLast<State> = State::canceled;
template <>
inline constexpr Priority kLast<Priority> = Priority::low;
template <>
inline constexpr OnFailure kLast<OnFailure> = OnFailure::poison;
template <>
inline constexpr EffectKind kLast<EffectKind> = EffectKind::skipped;
template <>
inline constexpr Due kLast<Due> = Due::read;
template <>
inline constexpr PersonAction kLast<PersonAction> = PersonAction::compensate;
template <>
inline constexpr Level kLast<Level> = Level::serving;
template <>
inline constexpr Seen kLast<Seen> = Seen::unreadable;
/// What a history begins with.
enum class HistoryForm : std::uint8_t { unknown, known, answered };
template <>
inline constexpr HistoryForm kLast<HistoryForm> = HistoryForm::answered;
template <>
inline constexpr Verdict kLast<Verdict> = Verdict::unreadable;
template <>
inline constexpr Tell kLast<Tell> = Tell::unexplained;

// ---- Shared by events and rows ------------------------------------------------------------------

template <class Archive>
void fields(Archive& a, Is<ContentId> auto& id) {
  a(id.sha256, id.bytes);
}
template <class Archive>
void fields(Archive& a, Is<ArtifactSummary> auto& meant) {
  a(meant.name, meant.absent);
  if (!meant.absent) a(meant.id);
}
template <class Archive>
void fields(Archive& a, Is<Observation> auto& read) {
  a(read.artifact, read.level, read.seen);
  if (read.seen == Seen::found) a(read.id);
  a(read.proper_prefix, read.version, read.served_by, read.detail, read.read_at, read.latency);
}
template <class Archive>
void fields(Archive& a, Is<ArtifactHistory> auto& history) {
  a(history.landed, history.replaced_by);
}
inline HistoryForm form_of(const History& history) {
  if (!history.known) return HistoryForm::unknown;
  return history.result.empty() ? HistoryForm::known : HistoryForm::answered;
}
template <class Archive>
void fields(Archive& a, Is<History> auto& history) {
  HistoryForm form = form_of(history);
  a(form);
  if constexpr (Reads<Archive>) history.known = form != HistoryForm::unknown;
  if (form == HistoryForm::unknown) return;
  a(history.ours_present, history.reported_present, history.our_version);
  if (form == HistoryForm::answered) a(history.result);
  a(history.artifacts);
}

// ---- Events -------------------------------------------------------------------------------------

template <class Archive>
void fields(Archive& a, Is<Accepted> auto& e) {
  a(e.identity.scope, e.identity.type, e.identity.key, e.fingerprint, e.definition, e.target);
  a(e.actor, e.priority, e.verify, e.has_serving, e.not_before, e.deadline, e.retention);
  a(e.on_failure, e.artifacts);
}
template <class Archive>
void fields(Archive& a, Is<AttemptStarted> auto& e) {
  a(e.attempt, e.report_by);
}
template <class Archive>
void fields(Archive& a, Is<BaselineRead> auto& e) {
  a(e.reads);
}
template <class Archive>
void fields(Archive& a, Is<EffectEnded> auto& e) {
  a(e.attempt, e.kind, e.changed, e.version, e.version_before, e.result, e.reason);
}
template <class Archive>
void fields(Archive& a, Is<ReadBack> auto& e) {
  a(e.attempt, e.reads, e.history);
}
template <class Archive>
void fields(Archive& a, Is<WaitScheduled> auto& e) {
  a(e.due_for, e.due_at, e.reason);
}
template <class Archive>
void fields(Archive& a, Is<LieCaught> auto& e) {
  a(e.attempt, e.tell, e.detail);
}
template <class Archive>
void fields(Archive& a, Is<Settled> auto& e) {
  a(e.state, e.reason, e.tell, e.superseded_by);
}
template <class Archive>
void fields(Archive& a, Is<PersonActed> auto& e) {
  a(e.action, e.who, e.why, e.deadline);
}
template <class Archive>
void fields(Archive& a, Is<Repeated> auto& e) {
  a(e.decision, e.count);
}
template <class Archive>
void fields(Archive& a, Is<LateEvidence> auto& e) {
  a(e.attempt, e.kind, e.detail);
}
template <class Archive>
void fields(Archive& a, Is<Recovered> auto& e) {
  a(e.attempt);
}

// ---- Rows ---------------------------------------------------------------------------------------

template <class Archive>
void fields(Archive& a, Is<LevelCheck> auto& check) {
  a(check.verdict, check.reads, check.replicas_disagreed, check.last, check.baseline);
}
template <class Archive>
void fields(Archive& a, Is<ArtifactState> auto& artifact) {
  a(artifact.meant, artifact.store, artifact.serving);
}
template <class Archive>
void fields(Archive& a, Is<CaughtTell> auto& caught) {
  a(caught.attempt, caught.tell);
}
/// Without what stands in columns: id, identity, target, state, created_at.
template <class Archive>
void fields(Archive& a, Is<Operation> auto& o) {
  a(o.fingerprint, o.definition, o.actor, o.priority, o.verify, o.has_serving, o.not_before);
  a(o.deadline, o.retention, o.on_failure, o.reason, o.tell, o.tells, o.superseded_by);
  a(o.attempts, o.attempts_counted, o.sent, o.effect, o.changed, o.version, o.version_before);
  a(o.result, o.reads_done, o.unreadable_rounds, o.serving_rounds, o.effect_ended_at, o.due_for);
  a(o.due_at, o.events, o.updated_at, o.settled_at, o.history, o.artifacts);
}

}  // namespace trued::codec
