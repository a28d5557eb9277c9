#include "core/names.h"

#include <algorithm>

#include "core/cause.h"
#include "core/evidence.h"
#include "core/identity.h"
#include "core/operation.h"
#include "core/verification.h"

namespace trued {
namespace {

using Name = std::string_view;

// A table that is too short names its last values wrongly, or not at all.
template <class Enum, std::size_t N>
constexpr bool names_all(const std::array<Name, N>& names, Enum last) {
  return static_cast<std::size_t>(std::to_underlying(last)) + 1 == N &&
         std::ranges::none_of(names, &Name::empty);
}

constexpr std::array<Name, 2> kLevels{"store", "serving"};
constexpr std::array<Name, 3> kVerdicts{"match", "mismatch", "unreadable"};
constexpr std::array<Name, 9> kTells{"swallowed_race",  "self_agreeing_noop", "empty_write",
                                     "partial_landing", "clever_dedup",       "truncated",
                                     "stale_replica",   "overwritten",        "unexplained"};
constexpr std::array<Name, 3> kSeen{"found", "absent", "unreadable"};
constexpr std::array<Name, 13> kStates{"accepted",  "attempting",   "unknown",      "verifying",
                                       "confirmed", "unchanged",    "acknowledged", "superseded",
                                       "failed",    "needs_action", "compensating", "compensated",
                                       "canceled"};
constexpr std::array<Name, 8> kStatuses{"pending", "confirmed", "unverified", "superseded",
                                        "failed",  "undone",    "canceled",   "needs_action"};
constexpr std::array<Name, 3> kPriorities{"critical", "normal", "low"};
constexpr std::array<Name, 7> kEffectKinds{"none",           "acknowledged", "rejected_retryable",
                                           "rejected_final", "unknown",      "not_sent",
                                           "skipped"};
constexpr std::array<Name, 5> kDues{"none", "start", "attempt", "report", "read"};
constexpr std::array<Name, 5> kPersonActions{"it_happened", "it_did_not", "retry", "cancel",
                                             "compensate"};
constexpr std::array<Name, 5> kNextActions{"none", "wait", "retry", "decide", "contact"};
constexpr std::array<Name, 3> kOnFailures{"replay", "reexecute", "poison"};
constexpr std::array<Name, kCauses> kCauseNames{
    "rejected", "stale",      "attempts_exhausted", "deadline",   "refuted",
    "mismatch", "unreadable", "unknown_outcome",    "not_undone", "withdrawn"};
constexpr std::array<Name, 5> kSubmitDecisions{"new", "duplicate", "in_flight", "conflict", "late"};
constexpr std::array<Name, 4> kOveralls{"match", "mismatch", "unreadable", "nothing_to_read"};
constexpr std::array<Name, 7> kFollows{"confirm",   "acknowledge", "read_again", "attempt_again",
                                       "supersede", "fail",        "ask_person"};
constexpr std::array<Name, 12> kEvents{"accepted",     "attempt_started", "baseline_read",
                                       "effect_ended", "read_back",       "wait_scheduled",
                                       "lie_caught",   "settled",         "person_acted",
                                       "repeated",     "late_evidence",   "recovered"};
static_assert(kEvents.size() == std::variant_size_v<Event>);
static_assert(names_all(kLevels, Level::serving));
static_assert(names_all(kVerdicts, Verdict::unreadable));
static_assert(names_all(kTells, Tell::unexplained));
static_assert(names_all(kSeen, Seen::unreadable));
static_assert(names_all(kStates, State::canceled));
static_assert(names_all(kStatuses, Status::needs_action));
static_assert(names_all(kPriorities, Priority::low));
static_assert(names_all(kEffectKinds, EffectKind::skipped));
static_assert(names_all(kDues, Due::read));
static_assert(names_all(kPersonActions, PersonAction::compensate));
static_assert(names_all(kNextActions, NextAction::contact));
static_assert(names_all(kOnFailures, OnFailure::poison));
static_assert(names_all(kCauseNames, Cause::withdrawn));
static_assert(names_all(kSubmitDecisions, SubmitDecision::late));
static_assert(names_all(kOveralls, Overall::nothing_to_read));
static_assert(names_all(kFollows, Follow::ask_person));

}  // namespace

std::string_view to_string(Level v) { return name_in(kLevels, v); }
std::string_view to_string(Verdict v) { return name_in(kVerdicts, v); }
std::string_view to_string(Tell v) { return name_in(kTells, v); }
std::string_view to_string(Seen v) { return name_in(kSeen, v); }
std::string_view to_string(State v) { return name_in(kStates, v); }
std::string_view to_string(Status v) { return name_in(kStatuses, v); }
std::string_view to_string(Priority v) { return name_in(kPriorities, v); }
std::string_view to_string(EffectKind v) { return name_in(kEffectKinds, v); }
std::string_view to_string(Due v) { return name_in(kDues, v); }
std::string_view to_string(PersonAction v) { return name_in(kPersonActions, v); }
std::string_view to_string(NextAction v) { return name_in(kNextActions, v); }
std::string_view to_string(OnFailure v) { return name_in(kOnFailures, v); }
std::string_view to_string(Cause v) { return name_in(kCauseNames, v); }
std::string_view to_string(SubmitDecision v) { return name_in(kSubmitDecisions, v); }
std::string_view to_string(Overall v) { return name_in(kOveralls, v); }
std::string_view to_string(Follow v) { return name_in(kFollows, v); }
std::string_view name_of(const Event& event) { return kEvents.at(event.index()); }

std::optional<Level> parse_level(std::string_view t) { return value_in<Level>(kLevels, t); }
std::optional<Verdict> parse_verdict(std::string_view t) { return value_in<Verdict>(kVerdicts, t); }
std::optional<Tell> parse_tell(std::string_view t) { return value_in<Tell>(kTells, t); }
std::optional<Seen> parse_seen(std::string_view t) { return value_in<Seen>(kSeen, t); }
std::optional<State> parse_state(std::string_view t) { return value_in<State>(kStates, t); }
std::optional<Status> parse_status(std::string_view t) { return value_in<Status>(kStatuses, t); }
std::optional<Priority> parse_priority(std::string_view t) {
  return value_in<Priority>(kPriorities, t);
}
std::optional<EffectKind> parse_effect_kind(std::string_view t) {
  return value_in<EffectKind>(kEffectKinds, t);
}
std::optional<Due> parse_due(std::string_view t) { return value_in<Due>(kDues, t); }
std::optional<PersonAction> parse_person_action(std::string_view t) {
  return value_in<PersonAction>(kPersonActions, t);
}
std::optional<OnFailure> parse_on_failure(std::string_view t) {
  return value_in<OnFailure>(kOnFailures, t);
}
std::optional<Cause> parse_cause(std::string_view t) { return value_in<Cause>(kCauseNames, t); }
std::optional<SubmitDecision> parse_submit_decision(std::string_view t) {
  return value_in<SubmitDecision>(kSubmitDecisions, t);
}

}  // namespace trued
