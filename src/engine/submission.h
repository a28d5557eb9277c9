// submission.h: what goes into the engine and what comes back.
//
// Plain values and one callback type; a submission is moved in, and its reply is called exactly
// once, on the engine's thread, after everything it says is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/identity.h"
#include "core/operation.h"

namespace trued {

/// One request to carry out an operation, checked and canonical (see write_input.h).
struct Submission {
  Identity identity;
  Fingerprint fingerprint;
  std::string definition;  ///< "write@1"
  std::shared_ptr<const Intent> intent;
  std::string intent_json;  ///< canonical JSON of the input: what the ledger keeps
  std::string actor;
  Priority priority = Priority::normal;
  std::optional<WallTime> not_before;
  std::optional<WallTime> deadline;  ///< default: acceptance + the policy's deadline
};

/// What submit decided, and the operation as it is now. `operation` is null only for `late`.
struct Answer {
  SubmitDecision decision = SubmitDecision::fresh;
  std::shared_ptr<const Operation> operation;
  std::optional<Tombstone> tombstone;
  bool reexecutes = false;  ///< this submission made a failed operation run again
};

enum class ProblemCode : std::uint8_t {
  overloaded,          ///< too many open operations; nothing was accepted
  ledger_unavailable,  ///< the ledger cannot be written now; nothing was accepted
  outcome_unknown,     ///< it may have been accepted; repeating it under the same key is safe
  draining,            ///< the server is stopping; nothing was accepted
  not_found,           ///< no such operation
  refused,             ///< the operation's state does not allow it; `detail` says why
  below_floor,         ///< the ledger keeps less than it must; nothing was accepted
};

struct EngineProblem {
  ProblemCode code = ProblemCode::ledger_unavailable;
  std::string name;  ///< for `refused`: "not-cancelable", …
  std::string detail;
  Duration retry_after{};
};

using Reply = std::move_only_function<void(std::variant<Answer, EngineProblem>)>;

}  // namespace trued
