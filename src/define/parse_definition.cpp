#include <algorithm>
#include <array>

#include "define/bounds.h"
#include "define/definition.h"
#include "define/expectation.h"
#include "define/fields.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "json/pointer.h"
#include "target/compare.h"

namespace trued::define {
namespace {

// What templates may name, by where they stand. `started` is known once an operation is accepted.
constexpr Roots kScopeRoots{.place = "in the scope"};
constexpr Roots kNameRoots{.operation = true, .place = "in the name of an artifact"};
constexpr Roots kMessageRoots{.operation = true, .place = "in the message"};
constexpr Roots kExpectRoots{.operation = true, .artifact = true, .place = "in expected content"};
constexpr Roots kEffectRoots{
    .operation = true, .started = true, .attempt = true, .place = "in the effect"};
constexpr Roots kRequireRoots{
    .operation = true, .started = true, .attempt = true, .place = "in a precondition"};
constexpr Roots kStoreReadRoots{.operation = true,
                                .started = true,
                                .result = true,
                                .artifact = true,
                                .place = "in the read of an artifact"};
constexpr Roots kServingReadRoots{.operation = true,
                                  .started = true,
                                  .artifact = true,
                                  .place = "in the read at the serving level"};
constexpr Roots kProbeRoots{
    .operation = true, .started = true, .result = true, .place = "in a probe"};
constexpr Roots kCompensateRoots{
    .operation = true, .started = true, .result = true, .place = "in a compensation"};

class DefinitionParser {
 public:
  DefinitionParser(Definition& out, Faults& faults) : out_(out), faults_(faults) {}

  void parse() {
    Fields fields(out_.tree, "", faults_);
    if (!fields.is_object()) return;
    std::string description;
    fields.text("description", description);
    if (const json::Value* input = fields.get("input")) {
      out_.input = Schema::compile(*input, "/input", faults_);
    }
    read_identity(fields);
    if (const json::Value* scope = fields.get("scope")) {
      out_.scope = text_template(*scope, kScopeRoots, "/scope");
    }
    read_effect(fields);
    read_artifacts(fields);
    read_probe(fields);
    read_requirements(fields);
    read_compensate(fields);
    read_bounds(fields, faults_, out_.bounds);
    read_rest(fields);
    fields.done();
    check_together();
  }

 private:
  void fault(std::string pointer, std::string detail) {
    faults_.push_back({std::move(pointer), std::move(detail)});
  }

  // ---- templates --------------------------------------------------------------------------------

  Template compiled(const json::Value& tree, const Roots& roots, const std::string& pointer) {
    Template result = Template::compile(tree, roots, pointer, faults_);
    for (const Reference& reference : result.references()) {
      check_reference(reference, pointer + reference.pointer);
    }
    return result;
  }

  // A path into the input must be able to exist, and what stands within text be able to be text.
  void check_reference(const Reference& reference, const std::string& pointer) {
    if (reference.root != Root::input) return;
    const SchemaPath path = out_.input.at(reference.steps);
    const std::string shown = "'${" + reference.path() + "}'";
    if (!path.possible) return fault(pointer, shown + " cannot exist: " + path.detail);
    if (!reference.whole && !path.textual) {
      fault(pointer, shown +
                         " cannot stand within text: no value that the schema allows there is "
                         "a text, a number, true or false");
    }
  }

  Template text_template(const json::Value& value, const Roots& roots, const std::string& pointer) {
    if (!value.is_string()) fault(pointer, "expected a text");
    Template result = compiled(value, roots, pointer);
    for (const Reference& reference : result.references()) {
      if (!reference.whole || reference.root != Root::input) continue;
      const SchemaPath path = out_.input.at(reference.steps);
      if (path.textual || !path.possible) continue;
      fault(pointer, "'${" + reference.path() + "}' is no text, and a text is needed here");
    }
    return result;
  }

  // ---- parts ------------------------------------------------------------------------------------

  void read_identity(Fields& fields) {
    const json::Value* value = fields.get("identity");
    if (value == nullptr) return;
    if (!value->is_array() || value->items().empty()) {
      return fields.fault("identity",
                          "expected a list of paths into the input, such as "
                          "[\"user\", \"cart.id\"]; leave it out for keys that clients "
                          "give");
    }
    for (std::size_t i = 0; i < value->items().size(); ++i) {
      read_identity_field(value->items().at(i), "/identity/" + std::to_string(i));
    }
  }

  void read_identity_field(const json::Value& value, const std::string& pointer) {
    const std::string text = value.is_string() ? value.as_string() : "";
    auto steps = parse_path(text);
    if (!steps) {
      return fault(pointer, "expected a path into the input, such as \"user\" or \"cart.id\"");
    }
    const SchemaPath path = out_.input.at(*steps);
    if (!path.possible) return fault(pointer, "'" + text + "' cannot exist: " + path.detail);
    for (const auto& [known, ignored] : out_.identity) {
      if (known == text) return fault(pointer, "'" + text + "' stands in the list twice");
    }
    out_.identity.emplace_back(text, std::move(*steps));
  }

  void read_effect(Fields& fields) {
    const json::Value* value = fields.get("effect");
    if (value == nullptr) {
      return fields.fault("effect",
                          "is missing: { target = \"NAME\", … }, what the operation does");
    }
    Fields effect(*value, "/effect", faults_);
    if (!effect.is_object()) return;
    effect.text("target", out_.target);
    if (out_.target.empty()) effect.fault("target", "is missing: the name of a [target.NAME]");
    out_.on_store = std::ranges::all_of(value->members(), [](const auto& member) {
      return member.first == "target" || member.first == "message";
    });
    if (out_.on_store) {
      const json::Value* message = effect.get("message");
      if (message != nullptr) {
        out_.message = text_template(*message, kMessageRoots, "/effect/message");
      }
      return;
    }
    out_.effect = call(*value, kEffectRoots, "/effect");
  }

  // A call, without the name of its target, which it shares with the effect if it names none.
  CallSpec call(const json::Value& value, const Roots& roots, const std::string& pointer) {
    CallSpec spec{.target = out_.target, .call = {}, .pointer = pointer};
    Fields fields(value, pointer, faults_);
    if (!fields.is_object()) return spec;
    fields.text("target", spec.target);
    json::Value::Object members;
    for (const auto& [name, member] : value.members()) {
      if (name != "target") members.emplace_back(name, member);
    }
    if (members.empty()) fault(pointer, "says nothing of what to call");
    spec.call = compiled(json::Value(std::move(members)), roots, pointer);
    return spec;
  }

  Expect expect(const json::Value& value, const Roots& roots, const std::string& pointer) {
    Expect result;
    result.pointer = pointer;
    Fields fields(value, pointer, faults_);
    if (!fields.is_object()) return result;
    std::size_t given = 0;
    if (const json::Value* json = fields.get("json")) {
      ++given;
      result.kind = Expect::Kind::json;
      result.value = compiled(*json, roots, pointer + "/json");
    }
    if (const json::Value* text = fields.get("text")) {
      ++given;
      result.kind = Expect::Kind::text;
      result.value = text_template(*text, roots, pointer + "/text");
    }
    if (const json::Value* digest = fields.get("sha256")) {
      ++given;
      result.kind = Expect::Kind::sha256;
      result.value = text_template(*digest, roots, pointer + "/sha256");
      check_digest(result.value, pointer + "/sha256");
    }
    if (const json::Value* absent = fields.get("absent")) {
      ++given;
      result.kind = Expect::Kind::absent;
      if (!absent->is_bool() || !absent->as_bool()) fields.fault("absent", "expected true");
    }
    read_encoding(fields, result);
    fields.done();
    if (given != 1) fault(pointer, "expected exactly one of json, text, sha256 and absent");
    return result;
  }

  void check_digest(const Template& digest, const std::string& pointer) {
    if (!digest.is_constant()) return;
    const auto text = digest.render_text({});
    if (text.has_value() && !parse_digest(*text)) {
      fault(pointer, "expected 64 hexadecimal digits");
    }
  }

  void read_encoding(Fields& fields, Expect& result) {
    std::optional<std::size_t> encoding;
    fields.choice("encoding", {"utf8", "base64"}, encoding);
    if (!encoding) return;
    result.base64 = *encoding == 1;
    if (result.kind != Expect::Kind::text) fields.fault("encoding", "is of a text");
  }

  // ---- artifacts --------------------------------------------------------------------------------

  void read_artifacts(Fields& fields) {
    const json::Value* list = fields.get("artifact");
    if (list == nullptr) return;
    if (!list->is_array()) return fields.fault("artifact", "expected [[operation.NAME.artifact]]");
    for (std::size_t i = 0; i < list->items().size(); ++i) {
      const std::string pointer = "/artifact/" + std::to_string(i);
      Fields one(list->items().at(i), pointer, faults_);
      if (!one.is_object()) continue;
      out_.on_store ? read_stored(one) : read_called(one);
    }
  }

  // Something that the effect puts into its store.
  void read_stored(Fields& fields) {
    const std::string& pointer = fields.pointer();
    ArtifactSpec spec;
    const json::Value* path = fields.get("path");
    if (path == nullptr) {
      fields.fault("path", "is missing: where in the store");
    } else {
      spec.name = text_template(*path, kNameRoots, pointer + "/path");
    }
    const json::Value* content = fields.get("content");
    const json::Value* absent = fields.get("absent");
    spec.expect.kind = absent != nullptr ? Expect::Kind::absent : Expect::Kind::text;
    spec.expect.pointer = pointer + (absent != nullptr ? "/absent" : "/content");
    if ((content == nullptr) == (absent == nullptr)) {
      fault(pointer, "expected either content, or absent = true");
    }
    if (content != nullptr) {
      spec.expect.value = text_template(*content, kExpectRoots, pointer + "/content");
    }
    if (absent != nullptr && (!absent->is_bool() || !absent->as_bool())) {
      fields.fault("absent", "expected true");
    }
    read_encoding(fields, spec.expect);
    read_serving(fields, spec);
    if (fields.get("read") != nullptr || fields.get("expect") != nullptr) {
      fault(pointer, "what an effect puts into a store is read there: give path and content");
    }
    fields.done();
    out_.artifacts.push_back(std::move(spec));
  }

  // Something that a call leaves behind, and how it is read.
  void read_called(Fields& fields) {
    const std::string& pointer = fields.pointer();
    ArtifactSpec spec;
    const json::Value* name = fields.get("name");
    if (name == nullptr) {
      fields.fault("name", "is missing: what people call it");
    } else {
      spec.name = text_template(*name, kNameRoots, pointer + "/name");
    }
    const json::Value* read = fields.get("read");
    if (read == nullptr) {
      fields.fault("read", "is missing: how it is read back");
    } else {
      spec.read = call(*read, kStoreReadRoots, pointer + "/read");
    }
    const json::Value* expected = fields.get("expect");
    if (expected == nullptr) {
      fields.fault("expect",
                   "is missing: { json = … }, { text = … }, { sha256 = … } or "
                   "{ absent = true }");
    } else {
      spec.expect = expect(*expected, kExpectRoots, pointer + "/expect");
    }
    read_serving(fields, spec);
    fields.done();
    out_.artifacts.push_back(std::move(spec));
  }

  void read_serving(Fields& fields, ArtifactSpec& spec) {
    const json::Value* serving = fields.get("serving");
    if (serving == nullptr) return;
    spec.serving = call(*serving, kServingReadRoots, fields.pointer() + "/serving");
  }

  // ---- resolution -------------------------------------------------------------------------------

  void read_probe(Fields& fields) {
    const json::Value* value = fields.get("probe");
    if (value == nullptr) return;
    Fields probe(*value, "/probe", faults_);
    if (!probe.is_object()) return;
    ProbeSpec spec;
    const json::Value* read = probe.get("read");
    const json::Value* happened = probe.get("happened");
    if (read == nullptr) {
      probe.fault("read", "is missing: what to ask");
    } else {
      spec.read = call(*read, kProbeRoots, "/probe/read");
    }
    if (happened == nullptr) {
      probe.fault("happened", "is missing: what is found if it happened");
    } else {
      spec.happened = expect(*happened, kProbeRoots, "/probe/happened");
    }
    if (const json::Value* did_not = probe.get("did_not")) {
      spec.did_not = expect(*did_not, kProbeRoots, "/probe/did_not");
    }
    probe.done();
    if (out_.on_store) {
      fault("/probe", "is for calls: what a store records is asked of its own history");
    }
    out_.probe = std::move(spec);
  }

  void read_requirements(Fields& fields) {
    const json::Value* list = fields.get("requires");
    if (list == nullptr) return;
    if (!list->is_array()) return fields.fault("requires", "expected a list of preconditions");
    for (std::size_t i = 0; i < list->items().size(); ++i) {
      const std::string pointer = "/requires/" + std::to_string(i);
      Fields one(list->items().at(i), pointer, faults_);
      if (one.is_object()) read_requirement(one);
    }
  }

  void read_requirement(Fields& fields) {
    const std::string& pointer = fields.pointer();
    Requirement requirement;
    requirement.pointer = pointer;
    const json::Value* read = fields.get("read");
    const json::Value* expected = fields.get("expect");
    if (read != nullptr || expected != nullptr) {
      if (read == nullptr || expected == nullptr) {
        fault(pointer, "a fact is given by both: read and expect");
      } else {
        requirement.read = call(*read, kRequireRoots, pointer + "/read");
        requirement.expect = expect(*expected, kRequireRoots, pointer + "/expect");
      }
    } else {
      read_operation_state(fields, requirement);
    }
    fields.done();
    out_.requirements.push_back(std::move(requirement));
  }

  void read_operation_state(Fields& fields, Requirement& requirement) {
    const std::string& pointer = fields.pointer();
    const json::Value* id = fields.get("id");
    const json::Value* key = fields.get("key");
    const json::Value* scope = fields.get("scope");
    fields.text("operation", requirement.type);
    if (id != nullptr) requirement.id = text_template(*id, kRequireRoots, pointer + "/id");
    if (key != nullptr) requirement.key = text_template(*key, kRequireRoots, pointer + "/key");
    if (scope != nullptr) {
      requirement.scope = text_template(*scope, kRequireRoots, pointer + "/scope");
    }
    const bool by_identity = !requirement.type.empty() && key != nullptr;
    const bool mixed = id != nullptr && (!requirement.type.empty() || key || scope);
    if (mixed || (id == nullptr && !by_identity)) {
      fault(pointer,
            "expected a fact (read and expect), or an operation: by id, or by operation "
            "(its type) and key");
    }
    read_statuses(fields, requirement);
  }

  void read_statuses(Fields& fields, Requirement& requirement) {
    const json::Value* value = fields.get("status");
    json::Value::Array list;
    if (value == nullptr) {
      return fields.fault("status", "is missing: \"confirmed\", or a list of statuses");
    }
    if (value->is_array()) {
      list = value->items();
    } else {
      list.push_back(*value);
    }
    for (const json::Value& each : list) {
      const auto status = parse_status(each.is_string() ? each.as_string() : "");
      if (!status) {
        return fields.fault("status",
                            "expected pending, confirmed, unverified, superseded, "
                            "failed, undone, canceled or needs_action");
      }
      requirement.statuses.push_back(*status);
    }
  }

  void read_compensate(Fields& fields) {
    const json::Value* value = fields.get("compensate");
    if (value == nullptr) return;
    Fields compensate(*value, "/compensate", faults_);
    if (!compensate.is_object()) return;
    CompensateSpec spec;
    compensate.text("operation", spec.operation);
    if (spec.operation.empty())
      compensate.fault("operation", "is missing: the type that undoes it");
    const json::Value* input = compensate.get("input");
    if (input == nullptr || !input->is_object()) {
      compensate.fault("input", "is missing: a table, the input of what undoes it");
    } else {
      spec.input = compiled(*input, kCompensateRoots, "/compensate/input");
    }
    compensate.done();
    out_.compensate = std::move(spec);
  }

  void read_rest(Fields& fields) {
    std::optional<std::size_t> priority;
    fields.choice("priority", {"critical", "normal", "low"}, priority);
    if (priority) out_.priority = static_cast<Priority>(*priority);
    fields.flag("idempotent", out_.idempotent);
    std::optional<bool> irreversible;
    fields.flag("irreversible", irreversible);
    out_.irreversible = irreversible.value_or(false);
    fields.text("owner", out_.owner);
    constexpr std::size_t kOwnerBytesMax = 255;
    if (out_.owner.size() > kOwnerBytesMax || printable(out_.owner, kOwnerBytesMax) != out_.owner) {
      fields.fault("owner", "expected at most 255 bytes without control characters");
    }
    fields.duration("decide_within", out_.decide_within);
    read_on_unknown(fields);
  }

  void read_on_unknown(Fields& fields) {
    out_.on_unknown = {OnUnknown::read_back, OnUnknown::probe, OnUnknown::repeat,
                       OnUnknown::person};
    const json::Value* value = fields.get("on_unknown");
    if (value == nullptr) return;
    constexpr const char* kOrder =
        "expected steps of \"read_back\", \"probe\", \"repeat\", \"person\" in this order, the "
        "last "
        "one always: somebody must decide what nothing else can";
    if (!value->is_array()) return fields.fault("on_unknown", kOrder);
    std::vector<OnUnknown> steps;
    for (const json::Value& each : value->items()) {
      const auto known = std::ranges::find_if(out_.on_unknown, [&](OnUnknown step) {
        return each.is_string() && to_string(step) == each.as_string();
      });
      const bool sorted =
          known != out_.on_unknown.end() && (steps.empty() || steps.back() < *known);
      if (!sorted) return fields.fault("on_unknown", kOrder);
      steps.push_back(*known);
    }
    if (steps.empty() || steps.back() != OnUnknown::person) {
      return fields.fault("on_unknown", kOrder);
    }
    out_.on_unknown = std::move(steps);
    if (!out_.artifacts.empty() && !out_.resolves_by(OnUnknown::read_back)) {
      fields.fault("on_unknown", "what can be read back is, first of all: add \"read_back\"");
    }
  }

  // What no single part has wrong.
  void check_together() {
    if (out_.on_store && out_.artifacts.empty() && out_.tree.find("effect") != nullptr) {
      fault("/effect",
            "does nothing: say what to call, or what to put into the store, with "
            "[[operation.NAME.artifact]] path and content");
    }
    if (out_.on_store && out_.idempotent) {
      fault("/idempotent", "is known of a store; leave it out");
    }
    if (out_.irreversible && out_.compensate) {
      fault("/irreversible", "contradicts compensate, which says how to undo it");
    }
    const auto serving = std::ranges::count_if(
        out_.artifacts, [](const ArtifactSpec& spec) { return spec.serving.has_value(); });
    if (serving != 0 && static_cast<std::size_t>(serving) != out_.artifacts.size()) {
      for (std::size_t i = 0; i < out_.artifacts.size(); ++i) {
        if (out_.artifacts.at(i).serving) continue;
        fault("/artifact/" + std::to_string(i),
              "has no serving read, while others have one: give one to all or to none");
      }
    }
  }

  Definition& out_;
  Faults& faults_;
};

}  // namespace

std::shared_ptr<const Definition> parse_definition(const std::string& name, const json::Value& tree,
                                                   Faults& faults) {
  const std::size_t before = faults.size();
  auto definition = std::make_shared<Definition>();
  definition->name = name;
  definition->tree = tree;
  if (!valid_name(name)) {
    faults.push_back({"", "'" + name +
                              "' is no name for a type: 1 to 64 characters of "
                              "[A-Za-z0-9_.-]"});
  } else if (name == "write" || name == "definition") {
    faults.push_back({"", "'" + name + "' is built in; choose another name"});
  }
  DefinitionParser(*definition, faults).parse();
  if (faults.size() != before) return nullptr;
  json::Value::Object whole;
  whole.emplace_back("definition", tree);
  whole.emplace_back("name", json::Value(name));
  definition->canonical = json::canonical(json::Value(std::move(whole)));
  // What is stored must be read again: not nested too deep, for one.
  const auto again = json::parse(definition->canonical);
  if (!again.has_value()) {
    faults.push_back({"", "cannot be stored: " + again.error().message});
    return nullptr;
  }
  definition->digest = sha256(definition->canonical);
  return definition;
}

}  // namespace trued::define
