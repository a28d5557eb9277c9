// A request body becomes a submission whose record can be read again, or a problem that can be
// sent: whoever submits it, with or without types of our own, and whatever the header says.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/problems.h"
#include "api/submit.h"
#include "base/assert.h"
#include "json/parse.h"
#include "target/memory/memory_connector.h"

namespace {

using namespace trued;  // NOLINT: this file is nothing but their caller

constexpr WallTime kNow{Duration{1'795'000'000'000}};

Target memory(const std::string& name, MemoryOptions options) {
  return make_target(name, "memory", std::make_unique<MemoryConnector>(options), nullptr, "",
                     Policy{});
}

const Targets& targets() {
  static const Targets all = [] {
    Targets made;
    made.emplace("docs", memory("docs", {}));
    made.emplace("still", memory("still", {.history = false}));
    Target calls = memory("calls", {});
    calls.store.reset();
    made.emplace("calls", std::move(calls));
    made.emplace("trued.own", memory("trued.own", {}));
    return made;
  }();
  return all;
}

const define::Registry& types() {
  static const std::unique_ptr<define::Registry> all = [] {
    auto made = std::make_unique<define::Registry>(targets(), define::StatusOf());
    const auto add = [&](const std::string& name, std::string_view text) {
      define::Faults faults;
      auto definition = define::parse_definition(name, json::parse(text).value(), faults);
      TRUED_ASSERT(definition != nullptr && faults.empty());
      TRUED_ASSERT(made->add({.name = name, .number = 1}, std::move(definition)).has_value());
    };
    add("page", R"({"effect":{"target":"docs"},"deadline":"1h","priority":"low",
                    "input":{"type":"object","properties":{"slug":{"type":"string"},
                                                           "text":{"type":"string"}}},
                    "artifact":[{"path":"${input.slug}.md","content":"${input.text}"}]})");
    add("paper", R"({"identity":["slug"],"scope":"${input.tenant}","effect":{"target":"docs"},
                     "artifact":[{"path":"${input.slug}.md","content":"a paper"}]})");
    add("lost", R"({"effect":{"target":"nowhere"},"artifact":[{"path":"a","content":"b"}]})");
    return made;
  }();
  return *all;
}

// What the ledger keeps of it means the same operation.
void keep(const Submission& submission) {
  InputFault fault;
  auto stored = json::parse(submission.intent_json);
  TRUED_ASSERT(stored.has_value());
  const auto again = parse_write_input(std::move(*stored), nullptr, fault);
  TRUED_ASSERT(again.has_value() && again->fingerprint == submission.fingerprint);
  // And so does what we write of it ourselves.
  auto written = json::parse(write_input_json(*submission.intent));
  TRUED_ASSERT(written.has_value());
  const auto ours = parse_write_input(std::move(*written), &targets(), fault);
  TRUED_ASSERT(ours.has_value() &&
               ours->intent->artifacts.size() == submission.intent->artifacts.size());
}

void submit(const json::Value& body, const api::SubmitContext& context) {
  api::Problem problem;
  const auto submission = api::read_submission(body, context, problem);
  if (submission) {
    if (submission->identity.type == kWriteType) keep(*submission);
    return;
  }
  const auto answer = api::respond(problem);
  TRUED_ASSERT(answer.status >= 400 && json::parse(answer.body).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)api::unquote_key(text.substr(0, 300));
  const auto value = json::parse(text);
  if (!value.has_value()) return 0;
  static const config::Rights acme{.scopes = {"acme", "beta"}};
  submit(*value, {.targets = targets(), .header_key = std::nullopt});
  submit(*value,
         {.targets = targets(), .header_key = std::nullopt, .types = &types(), .now = kNow});
  submit(*value, {.targets = targets(),
                  .header_key = "k",
                  .caller = {.actor = "ada", .rights = &acme},
                  .types = &types(),
                  .now = kNow});
  return 0;
}
