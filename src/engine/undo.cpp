// Undoing an operation: another one, which its definition declares, is submitted and waited for.
//
// Its identity follows from the operation that it undoes, so that one that was asked for before is
// found again: after a crash, or when a person asks twice, nothing is undone twice.
#include "engine/impl.h"
#include "engine/write_input.h"
#include "ledger/codec.h"

namespace trued {
namespace {

constexpr Duration kUndoWait{10 * 60'000};  ///< then it is waited for anew

UndoReport report_of(const Operation& by) {
  UndoReport report{.by = to_string(by.id), .done = false, .reason = {}};
  switch (status_of(by.state)) {
    case Status::confirmed:
    case Status::superseded:
      report.done = true;
      report.reason = "undone by " + report.by;
      break;
    case Status::unverified:
      report.done = true;
      report.reason = "undone by " + report.by + ", which nobody has read back";
      break;
    case Status::pending:
    case Status::failed:
    case Status::undone:
    case Status::canceled:
    case Status::needs_action:
      report.reason = report.by + ", which was to undo it, is " + std::string(to_string(by.state)) +
                      (by.reason.empty() ? "" : ": " + by.reason) +
                      "; settle that one first, then ask for this to be undone again";
      break;
  }
  return report;
}

/// Waits for the undoing operation and tells the one that it undoes.
class UndoWatch {
 public:
  UndoWatch(std::weak_ptr<Inbox> inbox, OperationId undone)
      : inbox_(std::move(inbox)), undone_(undone) {}

  void operator()(std::variant<Answer, EngineProblem> reply) {
    const auto inbox = inbox_.lock();
    if (!inbox) return;
    if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
      // What goes on at the next start needs no person.
      if (refused->code == ProblemCode::draining) return;
      return tell(*inbox, {.by = {}, .done = false, .reason = refused->detail});
    }
    const Answer& answer = std::get<Answer>(reply);
    if (answer.decision == SubmitDecision::late) {
      return tell(*inbox, {.by = to_string(answer.tombstone->id),
                           .done = status_of(answer.tombstone->state) == Status::confirmed,
                           .reason = to_string(answer.tombstone->id) +
                                     ", which was to undo it, is past its retention: it was " +
                                     std::string(to_string(answer.tombstone->state))});
    }
    const Operation& by = *answer.operation;
    if (answer.decision == SubmitDecision::conflict) {
      return tell(*inbox, {.by = {},
                           .done = false,
                           .reason = "the key of what undoes it belongs to " + to_string(by.id) +
                                     ", whose input is another"});
    }
    if (is_settled(by.state)) return tell(*inbox, report_of(by));
    (void)inbox->push(WaitMessage{by.id, kUndoWait, UndoWatch(inbox_, undone_)});
  }

 private:
  void tell(Inbox& inbox, UndoReport report) {
    (void)inbox.push(MoveMessage{.id = undone_, .input = std::move(report)});
  }

  std::weak_ptr<Inbox> inbox_;
  OperationId undone_;
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
  submission.actor = operation.actor;
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
    return post_local(operation.id,
                      UndoReport{.by = {}, .done = false, .reason = undo.error().message});
  }
  local_.emplace_back(SubmitMessage{std::move(*undo), kUndoWait, UndoWatch(inbox, operation.id)});
}

}  // namespace trued
