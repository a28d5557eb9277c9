// What an input comes to: everything of a definition that happens before anything is accepted.
#include <algorithm>

#include "base/assert.h"
#include "define/definition.h"
#include "define/expectation.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "json/pointer.h"
#include "target/compare.h"

namespace trued::define {
namespace {

using About = Objection::About;
using Objections = std::vector<Objection>;

constexpr std::size_t kNameBytesMax = 1024;
constexpr std::size_t kMessageBytesMax = std::size_t{64} * 1024;

// "input.items.0.sku" as "/items/0/sku"; empty for other roots.
std::string pointer_of(std::string_view path) {
  constexpr std::string_view kRoot = "input.";
  std::string pointer;
  if (!path.starts_with(kRoot)) return pointer;
  const auto steps = parse_path(path.substr(kRoot.size()));
  if (!steps) return pointer;
  for (const std::string& step : *steps) json::append_step(pointer, step);
  return pointer;
}

bool has_control(const std::string& text) { return printable(text, text.size()) != text; }

// What people will see: line breaks and tabs are fine there.
bool has_strange_control(std::string text) {
  std::ranges::replace_if(text, [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return has_control(text);
}

// One input on its way to an intent.
class Making {
 public:
  Making(const Definition& definition, const json::Value& input)
      : definition_(definition), input_(input) {}

  Identity identity(const Submitted& submitted) {
    Identity identity{.scope = scope(submitted), .type = definition_.name, .key = key(submitted)};
    return identity;
  }

  std::shared_ptr<const Intent> intent(const Identity& identity) {
    const json::Value operation = operation_value(identity, std::nullopt, std::nullopt);
    const Values values{.input = &input_, .operation = &operation};
    auto intent = std::make_shared<Intent>();
    intent->target = definition_.target;
    intent->verify = definition_.bounds.verify;
    intent->input = json::canonical(input_);
    if (!definition_.message.source().is_null()) {
      auto message = definition_.message.render_text(values);
      if (!message.has_value()) {
        object(message.error(), "effect.message");
      } else {
        check_message(*message);
        intent->message = std::move(*message);
      }
    }
    for (std::size_t i = 0; i < definition_.artifacts.size(); ++i) {
      artifact(i, values, *intent);
    }
    return intent;
  }

  // Fills in everything that is needed later, so that what an input lacks is said now.
  void try_out(const Identity& identity, const Intent& intent) {
    const json::Value operation = operation_value(identity, OperationId(), AttemptNo(1));
    Values values{.input = &input_, .operation = &operation};
    // How values are written into it is for its target to say (check_intended()).
    const CallSpec& effect = definition_.effect;
    if (!definition_.on_store) try_template(effect.call, values, effect.pointer, {});
    for (const Requirement& requirement : definition_.requirements) {
      if (requirement.read) {
        try_call(*requirement.read, values);
        try_expect(requirement.expect, values);
      } else {
        try_template(requirement.id, values, requirement.pointer + "/id", {});
        try_template(requirement.key, values, requirement.pointer + "/key", {});
        try_template(requirement.scope, values, requirement.pointer + "/scope", {});
      }
    }
    if (definition_.probe) {
      try_call(definition_.probe->read, values);
      try_expect(definition_.probe->happened, values);
      if (definition_.probe->did_not) try_expect(*definition_.probe->did_not, values);
    }
    if (definition_.compensate) {
      try_template(definition_.compensate->input, values, "/compensate/input", {});
    }
    for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
      const json::Value named = artifact_value(intent.artifacts.at(i).name);
      values.artifact = &named;
      const ArtifactSpec& spec = definition_.artifacts.at(i);
      if (spec.read) try_call(*spec.read, values);
      if (spec.serving) try_call(*spec.serving, values);
    }
  }

  void object(About about, std::string pointer, std::string detail) {
    TRUED_ASSERT(!detail.empty());
    objections.push_back({about, std::move(pointer), std::move(detail)});
  }

  static json::Value artifact_value(const std::string& name) {
    json::Value::Object members;
    members.emplace_back("name", json::Value(name));
    members.emplace_back("path", json::Value(name));
    return json::Value(std::move(members));
  }

  Objections objections;

 private:
  void object(const RenderFault& fault, const std::string& place) {
    Objection found = objection(fault, place);
    // One missing member may be used in many places; once is enough.
    const bool known = std::ranges::any_of(objections, [&](const Objection& each) {
      return !found.pointer.empty() && each.pointer == found.pointer;
    });
    if (!known) objections.push_back(std::move(found));
  }

  std::string scope(const Submitted& submitted) {
    if (!definition_.scope) {
      const std::string scope =
          submitted.scope.empty() ? std::string(kDefaultScope) : submitted.scope;
      if (!valid_name(scope)) object(About::scope, "", "'" + printable(scope, 80) + kNoScope);
      return scope;
    }
    const Values values{.input = &input_};
    auto rendered = definition_.scope->render_text(values);
    if (!rendered.has_value()) {
      object(rendered.error(), "scope");
      return "";
    }
    if (!valid_name(*rendered)) {
      const auto& references = definition_.scope->references();
      object(About::input, references.empty() ? "" : pointer_of(references.front().path()),
             "the scope of '" + definition_.name + "' comes to '" + printable(*rendered, 80) +
                 kNoScope);
    } else if (!submitted.scope.empty() && submitted.scope != *rendered) {
      object(About::scope, "",
             "the scope '" + printable(submitted.scope, 80) + "' is not that of the input, '" +
                 *rendered + "'; leave it out");
    }
    return std::move(*rendered);
  }

  std::string key(const Submitted& submitted) {
    if (definition_.identity.empty()) {
      if (!submitted.key) {
        object(About::key, "",
               "a key is needed: '" + definition_.name +
                   "' declares no identity; send an Idempotency-Key");
        return "";
      }
      if (!valid_key(*submitted.key)) {
        object(About::key, "", "a key has 1 to 255 visible ASCII characters");
      }
      return *submitted.key;
    }
    json::Value::Object fields;
    for (const auto& [path, steps] : definition_.identity) {
      const json::Value* value = value_at(input_, steps);
      if (value == nullptr || value->is_null()) {
        object(About::input, pointer_of("input." + path),
               std::string(value == nullptr ? "is missing" : "is null") + ", and the key of '" +
                   definition_.name + "' is derived from it");
        continue;
      }
      fields.emplace_back(path, *value);
    }
    std::string derived = derived_key(json::Value(std::move(fields)));
    if (submitted.key && *submitted.key != derived) {
      object(About::key, "",
             "'" + definition_.name +
                 "' derives its key from the input, and it is not the one "
                 "given; send none");
    }
    return derived;
  }

  void check_message(const std::string& message) {
    if (message.size() > kMessageBytesMax) {
      object(About::input, "", "the message comes to more than 65536 bytes");
    } else if (has_strange_control(message)) {
      object(About::input, "", "the message holds a control character; line breaks are fine");
    }
  }

  void artifact(std::size_t index, const Values& given, Intent& intent) {
    const ArtifactSpec& spec = definition_.artifacts.at(index);
    const std::string place = "artifact." + std::to_string(index);
    auto name = spec.name.render_text(given);
    if (!name.has_value()) return object(name.error(), place + (spec.read ? ".name" : ".path"));
    const json::Value named = artifact_value(*name);
    Values values = given;
    values.artifact = &named;
    auto meant = expectation(spec.expect, values);
    if (!meant.has_value()) return object(meant.error(), place + ".expect");
    check_name(*name, spec, intent);
    meant->name = std::move(*name);
    intent.artifacts.push_back(std::move(*meant));
  }

  void check_name(const std::string& name, const ArtifactSpec& spec, const Intent& intent) {
    const auto& references = spec.name.references();
    const std::string pointer = references.empty() ? "" : pointer_of(references.front().path());
    if (name.empty() || name.size() > kNameBytesMax || has_control(name)) {
      return object(About::input, pointer,
                    "makes the name of an artifact '" + printable(name, 80) +
                        "': expected 1 to 1024 bytes without control characters");
    }
    for (const ArtifactIntent& other : intent.artifacts) {
      if (other.name != name) continue;
      object(About::input, pointer, "makes two artifacts of one name, '" + name + "'");
    }
  }

  void try_call(const CallSpec& spec, const Values& values) {
    try_template(spec.call, values, spec.pointer, call_encoding);
  }

  void try_template(const Template& text, const Values& values, const std::string& place,
                    const EncodingAt& encoding) {
    const auto rendered = text.render(values, encoding);
    if (rendered.has_value()) return;
    try_fault(rendered.error(), place);
    if (!rendered.error().missing) return;
    // Behind one thing that is missing there may be others.
    for (const Reference& each : text.references()) {
      if (each.root != Root::input || value_at(input_, each.steps) != nullptr) continue;
      object({.pointer = each.pointer,
              .path = each.path(),
              .detail = "there is no '" + each.path() + "'",
              .missing = true},
             place.substr(1));
    }
  }

  void try_expect(const Expect& expect, const Values& values) {
    const auto rendered = expectation(expect, values);
    if (!rendered.has_value()) try_fault(rendered.error(), expect.pointer);
  }

  // What comes of the effect is not known yet, and missing is no fault of the input.
  void try_fault(const RenderFault& fault, const std::string& place) {
    if (fault.missing && fault.path.starts_with("result")) return;
    object(fault, place.substr(1));
  }

  static constexpr const char* kNoScope =
      "', which is no scope: 1 to 64 characters of "
      "[A-Za-z0-9_.-]";

  const Definition& definition_;
  const json::Value& input_;
};

Fingerprint fingerprint(const std::string& canonical_input, const std::string& type) {
  std::string request = "{\"input\":" + canonical_input + ",\"type\":";
  json::write_string(type, request);
  request += '}';
  return Fingerprint(sha256(request));
}

}  // namespace

Objection objection(const RenderFault& fault, const std::string& place) {
  return {.about = About::input,
          .pointer = pointer_of(fault.path),
          .detail = fault.detail + " (used in " + place + ")"};
}

Result<Intended, std::vector<Objection>> Definition::intend(const json::Value& input_value,
                                                            const Submitted& submitted) const {
  Making making(*this, input_value);
  for (Fault& fault : input.validate(input_value)) {
    making.object(About::input, std::move(fault.pointer), std::move(fault.detail));
  }
  // What does not fit the schema would only be blamed again, in other words.
  if (!making.objections.empty()) return std::move(making.objections);
  Intended intended;
  intended.identity = making.identity(submitted);
  if (!making.objections.empty()) return std::move(making.objections);
  intended.intent = making.intent(intended.identity);
  if (making.objections.empty()) making.try_out(intended.identity, *intended.intent);
  if (!making.objections.empty()) return std::move(making.objections);
  TRUED_ASSERT(intended.intent->artifacts.size() == artifacts.size());
  TRUED_ASSERT(valid_name(intended.identity.scope) && valid_key(intended.identity.key));
  intended.input = intended.intent->input;
  intended.fingerprint = fingerprint(intended.input, name);
  return intended;
}

Result<std::shared_ptr<const Intent>, Objection> Definition::restore(const json::Value& input_value,
                                                                     const Identity& who) const {
  Making making(*this, input_value);
  auto intent = making.intent(who);
  if (!making.objections.empty()) return std::move(making.objections.front());
  TRUED_ASSERT(intent->artifacts.size() == artifacts.size());
  return intent;
}

std::vector<std::string> Definition::turns(const Intent& intent, const Identity& who) const {
  std::vector<std::string> names;
  const auto input_value = json::parse(intent.input);
  const json::Value operation = operation_value(who, std::nullopt, std::nullopt);
  for (std::size_t i = 0; i < intent.artifacts.size(); ++i) {
    const std::string& called = intent.artifacts.at(i).name;
    const CallSpec* read =
        i < artifacts.size() && artifacts[i].read ? &*artifacts[i].read : nullptr;
    if (read == nullptr || !input_value.has_value()) {
      names.push_back(called);
      continue;
    }
    const json::Value named = Making::artifact_value(called);
    const auto call = read->call.render(
        {.input = &*input_value, .operation = &operation, .artifact = &named}, call_encoding);
    // What is found by its own id or result is nobody else's.
    const std::string what =
        call.has_value() ? read->target + " " + json::canonical(*call) : effect_identity(who);
    names.push_back("read:" + sha256(what).hex());
  }
  TRUED_ASSERT(names.size() == intent.artifacts.size());
  return names;
}

}  // namespace trued::define
