#include "target/target.h"

#include <utility>

#include "base/assert.h"
#include "target/call.h"

namespace trued {

Target make_target(std::string name, std::string kind, std::unique_ptr<Connector> store,
                   std::unique_ptr<Reader> serving, std::string serving_kind, Policy policy) {
  TRUED_ASSERT(store != nullptr);
  policy.capabilities = store->capabilities();
  policy.has_serving = serving != nullptr;
  return Target{.name = std::move(name),
                .kind = std::move(kind),
                .store = std::move(store),
                .serving = std::move(serving),
                .calls = nullptr,
                .serving_kind = policy.has_serving ? std::move(serving_kind) : std::string(),
                .policy = policy};
}

Target make_call_target(std::string name, std::string kind, std::shared_ptr<CallTarget> calls,
                        Policy policy) {
  TRUED_ASSERT(calls != nullptr);
  policy.capabilities = calls->capabilities();
  policy.has_serving = false;
  if (!calls->hands_over()) policy.lease = Duration{0};
  Target target;
  target.name = std::move(name);
  target.kind = std::move(kind);
  target.calls = std::move(calls);
  target.policy = policy;
  return target;
}

}  // namespace trued
