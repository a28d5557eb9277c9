// A request body becomes a submission whose record can be read again, or a problem that can be
// sent.
#include <memory>
#include <string>
#include <string_view>

#include "api/problems.h"
#include "api/submit.h"
#include "base/assert.h"
#include "json/parse.h"
#include "target/memory/memory_connector.h"

namespace {

const trued::Targets& targets() {
  static const trued::Targets all = [] {
    trued::Targets made;
    made.emplace("docs",
                 trued::make_target("docs", "memory", std::make_unique<trued::MemoryConnector>(),
                                    nullptr, "", trued::Policy{}));
    return made;
  }();
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)trued::api::unquote_key(text.substr(0, 300));
  auto value = trued::json::parse(text);
  if (!value.has_value()) return 0;
  trued::api::Problem problem;
  const auto submission = trued::api::read_submission(
      std::move(*value), {.targets = targets(), .header_key = std::nullopt}, problem);
  if (!submission) {
    const auto answer = trued::api::respond(problem);
    TRUED_ASSERT(answer.status >= 400 && trued::json::parse(answer.body).has_value());
    return 0;
  }
  // What the ledger keeps of it means the same operation.
  trued::InputFault fault;
  auto stored = trued::json::parse(submission->intent_json);
  TRUED_ASSERT(stored.has_value());
  const auto again = trued::parse_write_input(std::move(*stored), nullptr, fault);
  TRUED_ASSERT(again.has_value() && again->fingerprint == submission->fingerprint);
  return 0;
}
