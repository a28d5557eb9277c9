#include "target/spec.h"

#include <algorithm>

#include "base/time.h"

namespace trued {

Policy default_policy(const std::string& kind) {
  Policy policy;
  // A local store answers with the truth at once, and so does a primary that has committed; a
  // remote one may lag behind its own answer.
  const bool local = kind == "file" || kind == "memory" || kind == "postgres";
  policy.store = {.within = Duration{local ? 500 : 2'000},
                  .reads_max = 3,
                  .first = Duration{local ? 10 : 100},
                  .cap = Duration{1'000}};
  // Workers ask when they can take more; what one of them cannot do says nothing of the others.
  if (kind == "worker") {
    policy.lease = WorkerSpec{}.lease;
    policy.gates.breaker.enabled = false;
  }
  policy.serving = {
      .within = Duration{30'000}, .reads_max = 6, .first = Duration{100}, .cap = Duration{10'000}};
  policy.unreadable = {
      .within = Duration{60'000}, .reads_max = 8, .first = Duration{200}, .cap = Duration{10'000}};
  return policy;
}

std::string check_retention(const Policy& policy, bool serving) {
  Duration reads = std::max(policy.store.within, policy.unreadable.within);
  if (serving) reads = std::max(reads, policy.serving.within);
  // A lease may outlive the deadline by one more (core/operation.h, Heartbeat).
  const bool leased = policy.lease.count() > 0;
  const Duration attempt = leased ? policy.lease : policy.effect_timeout * 2;
  const Duration sum = policy.deadline + attempt + reads;
  if (sum <= policy.retention) return "";
  return "retention " + format_duration(policy.retention) +
         " is shorter than an operation may take: deadline " + format_duration(policy.deadline) +
         (leased ? " + lease " : " + twice effect_timeout ") + format_duration(attempt) +
         " + reading back " + format_duration(reads) + " = " + format_duration(sum) +
         "; a retry near its end would meet a key that is forgotten";
}

}  // namespace trued
