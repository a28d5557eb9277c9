// Undoing an operation: another one, which its definition declares, is submitted and waited for.
//
// Its identity follows from the operation that it undoes (by its definition, or as "undo:" and the
// id), so that one that was asked for before is found again: after a crash, or when a person asks
// twice, nothing is undone twice. One that is older than what it would undo has undone something
// else, and is no undoing of this; nor is one that was asked for before this was last attempted. So
// nobody waits but for what came after him, and never in a circle.
#include "base/assert.h"
#include "engine/impl.h"
#include "engine/write_input.h"
#include "ledger/codec.h"

namespace trued {
namespace {

constexpr Duration kUndoWait{10 * 60'000};  ///< then it is waited for anew

constexpr std::string_view kOlder =
    " was accepted before this one, so it has undone something else; give what undoes it an "
    "identity that names what it undoes";

constexpr std::string_view kBefore =
    " was asked for before this one was attempted again, so it has not undone that; undo it by "
    "hand";

// Who an undoing operation is submitted by: what it undoes, and the attempts that one had by then.
// Clocks cannot tell what came first: they are set.
std::string actor_for(const Operation& undone) {
  return "undo:" + to_string(undone.id) + "#" + std::to_string(undone.attempts);
}

UndoReport report_of(const std::string& by, State state, const std::string& reason) {
  UndoReport report{.by = by, .done = false, .reason = {}};
  switch (status_of(state)) {
    case Status::confirmed:
    case Status::superseded:
      report.done = true;
      report.reason = "undone by " + by;
      break;
    case Status::unverified:
      report.done = true;
      report.reason = "undone by " + by + ", which nobody has read back";
      break;
    case Status::pending:
    case Status::failed:
    case Status::undone:
    case Status::canceled:
    case Status::needs_action:
      report.reason = by + ", which was to undo it, is " + std::string(to_string(state)) +
                      (reason.empty() ? "" : ": " + reason) +
                      "; settle that one first, then ask for this to be undone again";
      break;
  }
  return report;
}

/// Waits for the undoing operation and tells the one that it undoes.
class UndoWatch {
 public:
  UndoWatch(std::weak_ptr<Inbox> inbox, const Operation& undone, Fingerprint meant)
      : inbox_(std::move(inbox)),
        undone_(undone.id),
        actor_(actor_for(undone)),
        carried_out_(undone.effect_ended_at),
        meant_(meant) {
    TRUED_ASSERT(actor_.find('#') != std::string::npos);
  }

  void operator()(std::variant<Answer, EngineProblem> reply) {
    const auto inbox = inbox_.lock();
    if (!inbox) return;
    if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
      // What stands in the way is no verdict. At the next start it goes on by itself.
      if (refused->code == ProblemCode::draining) return;
      return tell(*inbox, {.by = {}, .done = false, .later = true, .reason = refused->detail});
    }
    const Answer& answer = std::get<Answer>(reply);
    if (answer.tombstone) return tell(*inbox, of_tombstone(*answer.tombstone));
    TRUED_ASSERT(answer.operation != nullptr);
    const Operation& by = *answer.operation;
    const std::string id = to_string(by.id);
    if (by.fingerprint != meant_) {
      return fail(*inbox,
                  "the key of what undoes it belongs to " + id + ", whose input is another");
    }
    if (by.id < undone_) return fail(*inbox, id + std::string(kOlder));
    if (asked_before(by)) return fail(*inbox, id + std::string(kBefore));
    if (is_settled(by.state)) return tell(*inbox, report_of(id, by.state, by.reason));
    (void)inbox->push(WaitMessage{by.id, kUndoWait, *this});
  }

 private:
  UndoReport of_tombstone(const Tombstone& retired) const {
    const std::string id = to_string(retired.id);
    UndoReport report = report_of(id, retired.state, "it is past its retention");
    const bool other = retired.fingerprint != meant_;
    const bool before = came_before(retired.settled_at);
    if (!other && !before && undone_ < retired.id) return report;
    report.done = false;
    report.reason =
        other ? "the key of what undoes it belonged to " + id + ", whose input was another"
              : id + std::string(before ? kBefore : kOlder);
    return report;
  }
  /// By its actor where it is ours; somebody may have submitted it himself.
  bool asked_before(const Operation& by) const {
    const std::size_t number = actor_.find('#') + 1;
    const bool ours = by.actor.starts_with(actor_.substr(0, number));
    return ours ? by.actor != actor_ : came_before(by.settled_at);
  }
  bool came_before(const std::optional<WallTime>& settled) const {
    return settled && carried_out_ && *settled < *carried_out_;
  }

  void fail(Inbox& inbox, std::string why) {
    tell(inbox, {.by = {}, .done = false, .later = false, .reason = std::move(why)});
  }
  void tell(Inbox& inbox, UndoReport report) {
    TRUED_ASSERT(!report.done || !report.by.empty());
    TRUED_ASSERT(!report.done || !report.later);
    (void)inbox.push(MoveMessage{.id = undone_, .input = std::move(report)});
  }

  std::weak_ptr<Inbox> inbox_;
  OperationId undone_;
  std::string actor_;
  std::optional<WallTime> carried_out_;  ///< when its last attempt had ended
  Fingerprint meant_;
};

}  // namespace

Result<Submission> Engine::Impl::undo_of(const Operation& operation) {
  if (!is_defined(operation)) {
    return Error{.code = ErrorCode::unsupported,
                 .message = "'" + operation.definition +
                            "' declares no compensation: write what should stand there instead"};
  }
  const auto intent = stored_intent(operation);
  if (!intent) {
    return Error{.code = ErrorCode::unavailable, .message = "its input cannot be read"};
  }
  TRUED_TRY(UndoInput undo, ports_.types->undo(operation.definition, *intent, operation.identity,
                                               operation.id, operation.result));
  Submission submission;
  // What it undoes is what people will look for.
  submission.actor = actor_for(operation);
  const std::string key = "undo:" + to_string(operation.id);
  if (undo.type == kWriteType) {
    InputFault fault;
    auto input = parse_write_input(std::move(undo.input), &ports_.targets, fault);
    if (!input) {
      return Error{.code = ErrorCode::invalid_argument,
                   .message = "what undoes it is refused: " + fault.pointer + ": " + fault.detail};
    }
    submission.identity = {operation.identity.scope, std::string(kWriteType), key};
    submission.definition = std::string(kWriteDefinition);
    submission.intent = std::move(input->intent);
    submission.intent_json = std::move(input->canonical);
    submission.fingerprint = input->fingerprint;
    return submission;
  }
  TRUED_TRY(Begun begun, ports_.types->begin(undo.type, undo.input, operation.identity.scope, key));
  submission.identity = std::move(begun.identity);
  submission.definition = std::move(begun.definition);
  submission.intent = std::move(begun.intent);
  submission.intent_json = std::move(begun.input);
  submission.fingerprint = begun.fingerprint;
  submission.priority = begun.priority;
  return submission;
}

std::optional<EngineProblem> Engine::Impl::cannot_undo(const Operation& operation) {
  const auto undo = undo_of(operation);
  if (undo.has_value()) return std::nullopt;
  return EngineProblem{.code = ProblemCode::refused,
                       .name = "not-compensable",
                       .detail = undo.error().message,
                       .retry_after = {}};
}

void Engine::Impl::run_undo(const Operation& operation) {
  auto undo = undo_of(operation);
  if (!undo.has_value()) {
    return post_local(
        operation.id,
        UndoReport{.by = {}, .done = false, .later = false, .reason = undo.error().message});
  }
  TRUED_ASSERT(undo->intent != nullptr);
  UndoWatch watch(inbox, operation, undo->fingerprint);
  // Answered at once: whether it is one to wait for at all is looked at before it is waited for.
  local_.emplace_back(SubmitMessage{
      .submission = std::move(*undo), .wait = {}, .reply = std::move(watch), .awaited = true});
}

}  // namespace trued
