#include "target/target.h"

#include <utility>

#include "base/assert.h"

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
                .serving_kind = policy.has_serving ? std::move(serving_kind) : std::string(),
                .policy = policy};
}

}  // namespace trued
