// call_fake_test.h: a target of calls that records what it was asked and answers as told.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "define/check.h"
#include "define/connector.h"
#include "define/definition.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "target/call.h"
#include "target/compare.h"
#include "target/outcome.h"

namespace trued::define {

class FakeCalls final : public CallTarget {
 public:
  [[nodiscard]] Capabilities capabilities() const override { return can; }

  [[nodiscard]] EffectResult perform(const Call& call) override {
    performed.push_back(json::canonical(call.request));
    contexts.push_back(call.context);
    return effect;
  }
  [[nodiscard]] RawRead read(const Call& call) override {
    reads.push_back(json::canonical(call.request));
    const json::Value* path = call.request.find("path");
    const auto found = answers.find(path == nullptr ? "" : path->as_string());
    return found == answers.end() ? read_absent("") : found->second;
  }
  [[nodiscard]] Probed probe(const CallContext& context) override {
    contexts.push_back(context);
    return probed;
  }
  [[nodiscard]] bool hands_over() const override { return hands_on; }
  [[nodiscard]] std::vector<CallFault> check_effect(const json::Value& call) const override {
    const json::Value* method = call.find("method");
    if (method != nullptr && method->is_string() && method->as_string().empty()) {
      return {{.pointer = "/method", .detail = "is empty"}};
    }
    if (method != nullptr) return {};
    return {{.pointer = "/method", .detail = "is missing"}};
  }
  [[nodiscard]] std::vector<CallFault> check_read(const json::Value& call) const override {
    if (call.find("path") != nullptr) return {};
    return {{.pointer = "/path", .detail = "is missing"}};
  }

  Capabilities can{.idempotent = false, .deduplicates = true, .history = false, .probes = false};
  bool hands_on = false;
  EffectResult effect = effect_acknowledged(true, "v1");
  std::map<std::string, RawRead> answers;  ///< by path; others are absent
  Probed probed;
  std::vector<std::string> performed;
  std::vector<std::string> reads;
  std::vector<CallContext> contexts;
};

/// A store that keeps files in memory and records what it is asked.
class FakeStore final : public Connector {
 public:
  [[nodiscard]] Capabilities capabilities() const override {
    return {.idempotent = true, .deduplicates = false, .history = true, .probes = false};
  }
  [[nodiscard]] EffectResult perform(const EffectRequest& request) override {
    for (const ArtifactIntent& each : request.intent->artifacts) files[each.name] = each.content;
    return effect_acknowledged(true, "c1");
  }
  [[nodiscard]] std::vector<RawRead> read(const ReadRequest& request) override {
    std::vector<RawRead> reads;
    for (const std::uint32_t index : request.artifacts) {
      const auto found = files.find(request.intent->artifacts.at(index).name);
      reads.push_back(found == files.end() ? read_absent("") : read_found(found->second, "c1"));
    }
    return reads;
  }
  [[nodiscard]] History history(const HistoryRequest&) override {
    History history;
    history.known = true;
    return history;
  }
  [[nodiscard]] Result<std::string> version() override { return std::string("c0"); }
  [[nodiscard]] std::string check_name(const std::string& name) const override {
    return check_relative_path(name);
  }
  [[nodiscard]] bool is_inline() const override { return true; }

  std::map<std::string, std::string> files;
};

inline json::Value json_of(std::string_view text) {
  auto value = json::parse(text);
  if (!value) throw std::runtime_error(value.error().message + " in " + std::string(text));
  return std::move(value).value();
}

/// Every fault, one a line: "/retry/cap: expected …".
inline std::string lines_of(const Faults& faults) {
  std::string out;
  for (const Fault& fault : faults) out += fault.pointer + ": " + fault.detail + "\n";
  return out;
}

inline std::string lines_of(const std::vector<Objection>& objections) {
  std::string out;
  for (const Objection& each : objections) out += each.pointer + ": " + each.detail + "\n";
  return out;
}

/// Throws if it is not sound in itself.
inline std::shared_ptr<const Definition> defined(const std::string& name, std::string_view text) {
  Faults faults;
  auto definition = parse_definition(name, json_of(text), faults);
  if (definition == nullptr) throw std::runtime_error(lines_of(faults));
  return definition;
}

inline constexpr std::string_view kCharge = R"({
  "input": {"type": "object", "required": ["user", "cart", "amount"], "additionalProperties": false,
    "properties": {"user": {"type": "string", "minLength": 1}, "cart": {"type": "string"},
      "amount": {"type": "integer", "minimum": 1}, "tenant": {"type": "string"}}},
  "identity": ["user", "cart"],
  "effect": {"target": "psp", "method": "POST", "path": "/v1/charges",
    "json": {"amount": "${input.amount}", "note": "cart ${input.cart}",
      "try": "${operation.attempt}"}},
  "artifact": [{"name": "charge of ${input.cart}",
    "read": {"method": "GET", "path": "/v1/charges/${result.id}"},
    "expect": {"json": {"amount": "${input.amount}", "status": "succeeded"}}}],
  "probe": {"read": {"path": "/find?key=${operation.identity}"},
    "happened": {"json": {"status": "succeeded"}}, "did_not": {"absent": true}},
  "requires": [{"read": {"path": "/users/${input.user}"}, "expect": {"json": {"active": true}}}]})";

}  // namespace trued::define
