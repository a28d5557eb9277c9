// exec_target.h: effects and reads as commands on this machine.
//
// A call is an object; exec_call.h has its members and rules.
//
//   * There is no shell in between. A command gets an environment of its own: what the target and
//     the call name, PATH if the target has one, TRUED_OPERATION_ID, TRUED_ATTEMPT (effects),
//     TRUED_IDENTITY and TRACEPARENT. It runs in the target's directory, in a session of its own,
//     with no descriptor of ours, and never outlives this process.
//   * What it ends with is what the effect was: 0 acknowledged, 75 (EX_TEMPFAIL) rejected for now,
//     other codes unknown unless declared, because a command that failed may have done half. One
//     that died by a signal, or had to be ended, is unknown. Where it never began: what a repeat
//     cannot mend (not permitted, no program, too many arguments) is rejected_final, else not_sent.
//   * `result` is what it wrote, where that is a JSON object of at most 64 KiB, else
//     {"stdout": "…", "truncated": true}.
//   * A read is the output of a command that ends with 0; `absent_on` (4) is absent; all else is
//     unreadable, with the last line of its standard error.
//   * Values of secret variables are masked in reasons and results.
//
// Any thread, several at once. probe() is always `maybe`: a command keeps nothing of an operation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "target/call.h"
#include "target/exec/exec_call.h"
#include "target/secrets.h"
#include "target/spec.h"

namespace trued {

struct CommandEnd;
struct CommandPlan;

/// What of the specification cannot work; empty when nothing. Nothing is looked at or run.
[[nodiscard]] std::vector<SpecFault> wrong_with(const ExecSpec& spec);

/// What it needs and this machine has not; empty when it is all there. Runs nothing.
[[nodiscard]] std::string missing_for(const ExecSpec& spec);

class ExecTarget final : public CallTarget {
 public:
  /// `invalid_argument` says what wrong_with() does. Nothing is looked at or run.
  [[nodiscard]] static Result<std::shared_ptr<CallTarget>> open(const ExecSpec& spec);

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] EffectResult perform(const Call& call) override;
  [[nodiscard]] RawRead read(const Call& call) override;
  [[nodiscard]] Probed probe(const CallContext& context) override;
  [[nodiscard]] std::vector<CallFault> check_effect(const json::Value& call) const override;
  [[nodiscard]] std::vector<CallFault> check_read(const json::Value& call) const override;

 private:
  explicit ExecTarget(const ExecSpec& spec);

  [[nodiscard]] CommandPlan plan_of(ExecCall call, const CallContext& context, bool effect) const;
  [[nodiscard]] EffectResult judge(const ExecCall& call, const CommandEnd& end) const;
  /// With secrets masked, in one line, as UTF-8.
  [[nodiscard]] std::string shown(const std::string& said) const;
  /// Why a command did not end well, for people.
  [[nodiscard]] std::string describe(const ExecCall& call, const CommandEnd& end) const;

  const ExecSpec spec_;
  const ExitMeanings exit_;
  const Secrets secrets_;
};

}  // namespace trued
