#include "define/bounds.h"

#include "define/definition.h"
#include "define/fields.h"

namespace trued::define {
namespace {

void read_settle(Fields& parent, std::string_view name, Faults& faults, Bounds::Settle& settle) {
  const json::Value* value = parent.get(name);
  if (value == nullptr) return;
  constexpr std::uint32_t kReadsMax = 1'000;
  Fields fields(*value, parent.below(name), faults);
  fields.duration("within", settle.within);
  fields.number("reads_max", settle.reads_max, 1, kReadsMax);
  fields.duration("first", settle.first);
  fields.duration("cap", settle.cap);
  fields.done();
}

void read_retry(Fields& parent, Faults& faults, Bounds& bounds) {
  const json::Value* value = parent.get("retry");
  if (value == nullptr) return;
  constexpr std::uint32_t kAttemptsMax = 100;
  constexpr std::uint32_t kFactorMax = 10;
  Fields fields(*value, parent.below("retry"), faults);
  fields.number("attempts_max", bounds.attempts_max, 1, kAttemptsMax);
  fields.duration("first", bounds.retry_first);
  fields.number("factor", bounds.retry_factor, 1, kFactorMax);
  fields.duration("cap", bounds.retry_cap);
  std::optional<std::size_t> jitter;
  fields.choice("jitter", {"full"}, jitter);
  fields.done();
}

void put(const Bounds::Settle& from, SettlePolicy& to) {
  to.within = from.within.value_or(to.within);
  to.reads_max = from.reads_max.value_or(to.reads_max);
  to.first = from.first.value_or(to.first);
  to.cap = from.cap.value_or(to.cap);
}

}  // namespace

void read_bounds(Fields& fields, Faults& faults, Bounds& bounds) {
  read_retry(fields, faults, bounds);
  read_settle(fields, "settle", faults, bounds.settle);
  read_settle(fields, "serving_settle", faults, bounds.serving_settle);
  read_settle(fields, "unreadable", faults, bounds.unreadable);
  fields.duration("timeout", bounds.timeout);
  fields.duration("deadline", bounds.deadline);
  fields.duration("retention", bounds.retention);
  std::optional<std::size_t> on_failure;
  fields.choice("on_failure", {"replay", "reexecute", "poison"}, on_failure);
  if (on_failure) bounds.on_failure = static_cast<OnFailure>(*on_failure);
  std::optional<bool> verify;
  fields.flag("verify", verify);
  bounds.verify = verify.value_or(true);
}

Policy Bounds::over(Policy target) const {
  Policy policy = target;
  policy.retry.attempts_max = attempts_max.value_or(policy.retry.attempts_max);
  policy.retry.first = retry_first.value_or(policy.retry.first);
  policy.retry.factor = retry_factor.value_or(policy.retry.factor);
  policy.retry.cap = retry_cap.value_or(policy.retry.cap);
  put(settle, policy.store);
  put(serving_settle, policy.serving);
  put(unreadable, policy.unreadable);
  policy.effect_timeout = timeout.value_or(policy.effect_timeout);
  policy.deadline = deadline.value_or(policy.deadline);
  policy.retention = retention.value_or(policy.retention);
  policy.on_failure = on_failure.value_or(policy.on_failure);
  policy.verify = policy.verify && verify;
  return policy;
}

}  // namespace trued::define
