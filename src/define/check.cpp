#include "define/check.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "json/parse.h"
#include "json/pointer.h"
#include "target/call.h"
#include "target/compare.h"
#include "target/nesting.h"
#include "target/spec.h"

namespace trued::define {
namespace {

// Methods that say of themselves that a repeat changes nothing more (RFC 9110, section 9.2.2).
constexpr std::array<std::string_view, 5> kIdempotentMethods{"GET", "HEAD", "PUT", "DELETE",
                                                             "OPTIONS"};

const Target* find_target(const Targets& targets, const std::string& name) {
  const auto found = targets.find(name);
  return found == targets.end() ? nullptr : &found->second;
}

// What a worker makes of its payload is its own affair, whatever the members are called.
bool hands_over(const Target& target) { return target.calls && target.calls->hands_over(); }

// Whether the effect is sent without what it could be deduplicated by.
bool sends_no_key(const Definition& definition, const Target& target) {
  if (definition.on_store || hands_over(target)) return false;
  const json::Value* header = definition.effect.call.source().find("idempotency_header");
  return header != nullptr && header->is_null();
}

// Whether repeating the effect is harmless by its nature.
bool idempotent_by_nature(const Definition& definition, const Target& target,
                          const Capabilities& of_target) {
  if (definition.idempotent) return *definition.idempotent;
  const json::Value* method = definition.effect.call.source().find("method");
  if (definition.on_store || hands_over(target) || method == nullptr || !method->is_string()) {
    return of_target.idempotent;
  }
  return std::ranges::find(kIdempotentMethods, method->as_string()) != kIdempotentMethods.end();
}

// Whether it is written out where a URL leads: its host, and the first '/' of its path.
bool is_written_out(const std::string& url) {
  const std::size_t open = url.find("${");
  if (open == std::string::npos) return true;
  const std::size_t scheme = url.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t path = url.find('/', host);
  return open > 0 && (scheme == std::string::npos || (path != std::string::npos && path < open));
}

Capabilities capabilities_of(const Definition& definition, const Target& target) {
  TRUED_ASSERT(target.store != nullptr || target.calls != nullptr);
  Capabilities can = target.store ? target.store->capabilities() : target.calls->capabilities();
  can.idempotent = idempotent_by_nature(definition, target, can);
  if (sends_no_key(definition, target)) can.deduplicates = false;
  if (!definition.on_store) {
    const bool probed = definition.resolves_by(OnUnknown::probe);
    const bool asked = probed && (can.probes || definition.probe.has_value());
    can.probes =
        probed && (can.probes || (definition.probe && definition.probe->did_not.has_value()));
    can.history = asked;
  }
  if (!definition.resolves_by(OnUnknown::repeat)) {
    can.idempotent = false;
    can.deduplicates = false;
  }
  return can;
}

class Checker {
 public:
  Checker(const Definition& definition, const Surroundings& around)
      : definition_(definition), around_(around) {}

  Faults check() {
    check_effect();
    for (const ArtifactSpec& artifact : definition_.artifacts) {
      if (artifact.read) check_read(*artifact.read);
      if (artifact.serving) check_read(*artifact.serving);
    }
    if (definition_.probe) {
      check_read(definition_.probe->read);
      const ProbeSpec& probe = *definition_.probe;
      if (probe.did_not && probe.did_not->kind == probe.happened.kind &&
          probe.did_not->value.source() == probe.happened.value.source()) {
        fault("/probe/did_not", "is the same as happened: the probe could never tell");
      }
    }
    for (const Requirement& requirement : definition_.requirements) check_requirement(requirement);
    check_compensate();
    const Target* target = find_target(around_.targets, definition_.target);
    if (target != nullptr && faults_.empty()) check_bounds();
    return std::move(faults_);
  }

 private:
  void fault(std::string pointer, std::string detail) {
    TRUED_ASSERT(!detail.empty());
    faults_.push_back({std::move(pointer), std::move(detail)});
  }

  const Target* target_of(const std::string& name, const std::string& pointer) {
    // What is the program's own is reached by its own operations alone.
    constexpr std::string_view kOwn = "trued.";
    const bool own = name.starts_with(kOwn);
    const Target* target = own ? nullptr : find_target(around_.targets, name);
    if (target != nullptr) return target;
    std::vector<std::string> known;
    for (const auto& [each, ignored] : around_.targets) {
      if (!each.starts_with(kOwn)) known.push_back(each);
    }
    fault(pointer + "/target", "there is no target '" + name + "'" + suggestion(name, known));
    return nullptr;
  }

  void add(const std::string& pointer, const std::vector<CallFault>& found) {
    for (const CallFault& each : found) fault(pointer + each.pointer, each.detail);
  }

  // Where a request goes is decided here, not by an input.
  void check_urls(const json::Value& call, const std::string& pointer) {
    for (const char* name : {"path", "url"}) {
      const json::Value* value = call.find(name);
      if (value == nullptr || !value->is_string() || is_written_out(value->as_string())) continue;
      fault(json::pointer_below(pointer, name),
            "begins with what an input says; write out where it goes, and fill in what comes after "
            "the first '/'");
    }
  }

  void check_effect() {
    const Target* target = target_of(definition_.target, "/effect");
    if (target == nullptr) return;
    const std::string shown = "the target '" + target->name + "' (" + target->kind + ") ";
    if (definition_.on_store && !target->store) {
      return fault("/effect", shown + "carries calls: say what to call, beside the target");
    }
    if (!definition_.on_store && !target->calls) {
      return fault("/effect", shown +
                                  "takes artifacts, not calls: effect = { target, message }, "
                                  "and [[operation." +
                                  definition_.name + ".artifact]] path and content");
    }
    if (!definition_.on_store) {
      const json::Value& call = definition_.effect.call.source();
      if (!hands_over(*target)) check_urls(call, "/effect");
      return add("/effect", target->calls->check_effect(call));
    }
    for (std::size_t i = 0; i < definition_.artifacts.size(); ++i) {
      const Template& path = definition_.artifacts.at(i).name;
      const auto name =
          path.is_constant() ? path.render_text({}) : Result<std::string, RenderFault>("");
      if (!name.has_value() || name->empty()) continue;
      const std::string wrong = target->store->check_name(*name);
      if (!wrong.empty()) fault("/artifact/" + std::to_string(i) + "/path", wrong);
    }
  }

  void check_read(const CallSpec& spec) {
    const Target* target = target_of(spec.target, spec.pointer);
    if (target == nullptr) return;
    const json::Value& call = spec.call.source();
    check_urls(call, spec.pointer);
    if (target->calls) return add(spec.pointer, target->calls->check_read(call));
    // What is read of a store is one artifact.
    const json::Value* path = call.find("path");
    if (path == nullptr || !path->is_string() || call.members().size() != 1) {
      fault(spec.pointer, "the target '" + target->name + "' (" + target->kind +
                              ") holds artifacts: read = { target, path }");
    }
  }

  void check_requirement(const Requirement& requirement) {
    if (requirement.read) return check_read(*requirement.read);
    if (requirement.type.empty() || requirement.type == "write") return;
    const json::Value& key = requirement.key.source();
    if (requirement.type == definition_.name && key.is_string() &&
        key.as_string() == "${operation.key}") {
      return fault(requirement.pointer + "/key",
                   "is the operation itself, which would wait for itself");
    }
    check_type(requirement.type, requirement.pointer + "/operation");
  }

  // The definition of another type; null, with a fault, if there is none.
  const Definition* check_type(const std::string& type, const std::string& pointer) {
    const auto found = around_.definitions.find(type);
    if (found != around_.definitions.end()) return found->second.get();
    std::vector<std::string> known{"write"};
    for (const auto& [each, ignored] : around_.definitions) known.push_back(each);
    fault(pointer, "there is no operation '" + type + "'" + suggestion(type, known));
    return nullptr;
  }

  void check_compensate() {
    if (!definition_.compensate) return;
    const CompensateSpec& spec = *definition_.compensate;
    if (spec.operation == definition_.name) {
      return fault("/compensate/operation", "is the operation itself, which cannot undo itself");
    }
    if (spec.operation == "write") return check_undoing_write(spec.input.source());
    const Definition* other = check_type(spec.operation, "/compensate/operation");
    if (other == nullptr) return;
    const json::Value& input = spec.input.source();
    for (const auto& [name, value] : input.members()) {
      const SchemaPath path = other->input.at({name});
      if (path.possible) continue;
      fault(json::pointer_below("/compensate/input", name),
            "'" + spec.operation + "' takes no such input: " + path.detail);
    }
    for (const std::string& name : other->input.required()) {
      if (input.find(name) != nullptr) continue;
      fault("/compensate/input", "lacks '" + name + "', which '" + spec.operation + "' needs");
    }
  }

  void check_undoing_write(const json::Value& input) {
    const json::Value* name = input.find("target");
    const json::Value* artifacts = input.find("artifacts");
    if (name == nullptr || artifacts == nullptr || !artifacts->is_array()) {
      return fault("/compensate/input", "a write needs a target and a list of artifacts");
    }
    if (!name->is_string() || name->as_string().find("${") != std::string::npos) return;
    const Target* target = target_of(name->as_string(), "/compensate/input");
    if (target != nullptr && !target->store) {
      fault("/compensate/input/target", "the target '" + target->name + "' (" + target->kind +
                                            ") carries calls, not artifacts");
    }
  }

  void check_pause(const char* pointer, Duration first, Duration cap) {
    TRUED_ASSERT(pointer != nullptr && *pointer == '/');
    if (first <= cap) return;
    fault(pointer, "first, " + format_duration(first) + ", is longer than cap, " +
                       format_duration(cap) + ", which bounds every pause");
  }

  // Where a sum is blamed: on a setting that is there, if any is.
  std::string place_of(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (definition_.tree.find(name) != nullptr) return std::string("/") + name;
    }
    return "";
  }

  void check_bounds() {
    const Policy policy = policy_of(definition_, around_.targets);
    check_pause("/retry", policy.retry.first, policy.retry.cap);
    check_pause("/settle", policy.store.first, policy.store.cap);
    check_pause("/serving_settle", policy.serving.first, policy.serving.cap);
    check_pause("/unreadable", policy.unreadable.first, policy.unreadable.cap);
    const std::string sum = check_retention(policy, policy.has_serving);
    if (!sum.empty()) fault(place_of({"retention", "deadline", "timeout"}), sum);
    check_repeats(policy);
    if (!policy.capabilities.deduplicates || policy.capabilities.idempotent) return;
    const auto remembers = around_.remembers ? around_.remembers(definition_.target) : std::nullopt;
    if (!remembers || *remembers <= Duration{0}) return;  // 0: it is not said
    const std::string late = check_remembers(policy, *remembers);
    if (!late.empty()) fault(place_of({"deadline", "retry", "timeout"}), late);
  }

  // Steps that were asked for and cannot be taken.
  void check_repeats(const Policy& policy) {
    if (definition_.tree.find("on_unknown") == nullptr) return;
    const Target& target = *find_target(around_.targets, definition_.target);
    if (definition_.resolves_by(OnUnknown::probe) && !policy.capabilities.history &&
        !definition_.on_store) {
      fault("/on_unknown", "there is nothing to probe: declare a probe; the target '" +
                               target.name + "' keeps no record of operations by itself");
    }
    const Capabilities& can = policy.capabilities;
    if (definition_.resolves_by(OnUnknown::repeat) && !can.idempotent && !can.deduplicates &&
        !can.probes) {
      fault("/on_unknown",
            "\"repeat\" is never safe here: the effect is not idempotent, the "
            "target '" +
                target.name +
                "' does not deduplicate, and no probe can say that it did not "
                "happen");
    }
  }

  const Definition& definition_;
  const Surroundings& around_;
  Faults faults_;
};

std::vector<Objection> names_refused(const Intended& intended, const Connector& store) {
  TRUED_ASSERT(intended.intent != nullptr);
  std::vector<Objection> found;
  const auto object = [&](std::string detail) {
    found.push_back({Objection::About::input, "", std::move(detail)});
  };
  for (const ArtifactIntent& artifact : intended.intent->artifacts) {
    const std::string wrong = store.check_name(artifact.name);
    if (!wrong.empty()) object("'" + printable(artifact.name, 120) + "': " + wrong);
  }
  const auto clash = find_clash(*intended.intent);
  if (clash) object(trued::describe(*intended.intent, *clash));
  return found;
}

std::vector<Objection> calls_refused(const Definition& definition, const Intended& intended,
                                     const CallTarget& calls) {
  const auto input = json::parse(intended.input);
  if (!input.has_value()) return {};
  const json::Value operation = operation_value(intended.identity, OperationId(), AttemptNo(1));
  const auto call = definition.effect.call.render({.input = &*input, .operation = &operation},
                                                  effect_encoding(calls));
  if (!call.has_value()) return {objection(call.error(), "effect")};
  std::vector<Objection> found;
  for (const CallFault& fault : calls.check_effect(*call)) {
    found.push_back({Objection::About::input, "",
                     "the effect, filled in, is refused: " + fault.pointer + ": " + fault.detail});
  }
  return found;
}

}  // namespace

Faults check_definition(const Definition& definition, const Surroundings& around) {
  return Checker(definition, around).check();
}

std::vector<Objection> check_intended(const Definition& definition, const Intended& intended,
                                      const Targets& targets) {
  const Target* target = find_target(targets, definition.target);
  if (target == nullptr || (definition.on_store ? !target->store : !target->calls)) {
    return {{.about = Objection::About::input,
             .pointer = "",
             .detail = "the target '" + definition.target + "' cannot carry this out any more"}};
  }
  return definition.on_store ? names_refused(intended, *target->store)
                             : calls_refused(definition, intended, *target->calls);
}

Policy policy_of(const Definition& definition, const Targets& targets) {
  const Target* target = find_target(targets, definition.target);
  TRUED_ASSERT(target != nullptr);
  Policy policy = definition.bounds.over(target->policy);
  policy.capabilities = capabilities_of(definition, *target);
  policy.irreversible = definition.irreversible;
  policy.compensable = definition.compensate.has_value();
  policy.reads_elsewhere = definition.reads_elsewhere();
  policy.has_serving = definition.reads_serving() || (definition.on_store && target->serving);
  return policy;
}

EncodingAt effect_encoding(const CallTarget& target) {
  return target.hands_over() ? EncodingAt() : EncodingAt(call_encoding);
}

std::string check_remembers(const Policy& policy, Duration remembers) {
  // The last attempt may begin when the deadline passes, ends within its timeout, and is followed
  // by a look at what it came to.
  const Duration reads = std::max(policy.store.within, policy.unreadable.within);
  const Duration sum = policy.deadline + policy.effect_timeout + reads;
  if (sum <= remembers) return "";
  return "the target remembers a key for " + format_duration(remembers) +
         ", and an attempt may come later: deadline " + format_duration(policy.deadline) +
         " + timeout " + format_duration(policy.effect_timeout) + " + reading back " +
         format_duration(reads) + " = " + format_duration(sum) + " (with up to " +
         std::to_string(policy.retry.attempts_max) + " attempts, at most " +
         format_duration(policy.retry.cap) +
         " apart); a late one would be carried out a second time";
}

}  // namespace trued::define
