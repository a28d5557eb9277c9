#include "target/trace.h"

#include "base/digest.h"

namespace trued {

std::string traceparent_of(const OperationId& operation, AttemptNo attempt,
                           const std::string& identity) {
  constexpr std::size_t kTraceDigits = 32;
  constexpr std::size_t kSpanDigits = 16;
  if (identity.size() != kTraceDigits) return "";
  const std::string span =
      sha256(to_string(operation) + "/" + std::to_string(attempt.value())).hex();
  return "00-" + identity + "-" + span.substr(0, kSpanDigits) + "-01";
}

}  // namespace trued
