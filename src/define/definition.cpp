#include "define/definition.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "json/canonical.h"
#include "json/diff.h"
#include "json/parse.h"
#include "target/compare.h"

namespace trued::define {
namespace {

constexpr std::array<std::string_view, 4> kOnUnknownNames{"read_back", "probe", "repeat", "person"};
static_assert(kOnUnknownNames.size() == static_cast<std::size_t>(OnUnknown::person) + 1);

// "/retry/attempts_max" as "retry.attempts_max".
std::string dotted(std::string_view pointer) {
  std::string text;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      if (!text.empty()) text += '.';
    } else if (pointer[i] == '~' && i + 1 < pointer.size()) {
      text += pointer[++i] == '0' ? '~' : '/';
    } else {
      text += pointer[i];
    }
  }
  return text;
}

const json::Value* at_pointer(const json::Value& root, std::string_view pointer) {
  const json::Value* at = &root;
  while (!pointer.empty()) {
    TRUED_ASSERT(pointer.front() == '/');
    pointer.remove_prefix(1);
    const std::size_t slash = std::min(pointer.find('/'), pointer.size());
    // One step; its dots are no steps of a path.
    at = value_at(*at, {dotted(pointer.substr(0, slash))});
    if (at == nullptr) return nullptr;
    pointer.remove_prefix(slash);
  }
  return at;
}

std::string shown(const json::Value& value) {
  constexpr std::size_t kShownMax = 120;
  return printable(json::canonical(value), kShownMax);
}

}  // namespace

std::string_view to_string(OnUnknown step) {
  return kOnUnknownNames.at(static_cast<std::size_t>(step));
}

bool Definition::resolves_by(OnUnknown step) const {
  return std::ranges::find(on_unknown, step) != on_unknown.end();
}

bool Definition::reads_serving() const {
  return std::ranges::any_of(artifacts,
                             [](const ArtifactSpec& a) { return a.serving.has_value(); });
}

bool Definition::reads_elsewhere() const {
  return !artifacts.empty() && std::ranges::all_of(artifacts, [this](const ArtifactSpec& a) {
    return a.read && a.read->target != target;
  });
}

std::vector<std::string> Definition::targets() const {
  std::vector<std::string> names{target};
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  for (const ArtifactSpec& artifact : artifacts) {
    if (artifact.read) add(artifact.read->target);
    if (artifact.serving) add(artifact.serving->target);
  }
  if (probe) add(probe->read.target);
  for (const Requirement& requirement : requirements) {
    if (requirement.read) add(requirement.read->target);
  }
  return names;
}

Result<json::Value, RenderFault> Definition::compensation(const Values& values) const {
  TRUED_ASSERT(compensate.has_value());
  return compensate->input.render(values);
}

Result<std::shared_ptr<const Definition>> load_definition(std::string_view canonical) {
  TRUED_TRY(const json::Value whole, json::parse(canonical));
  const json::Value* name = whole.find("name");
  const json::Value* tree = whole.find("definition");
  if (name == nullptr || !name->is_string() || tree == nullptr) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "what is stored as a definition is none: it has no name or no tree"};
  }
  Faults faults;
  auto definition = parse_definition(name->as_string(), *tree, faults);
  if (definition == nullptr) {
    TRUED_ASSERT(!faults.empty());
    const Fault& first = faults.front();
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "the stored definition of '" + name->as_string() +
                            "' is not understood by this version: " + first.pointer + ": " +
                            first.detail};
  }
  return definition;
}

std::vector<std::string> diff(const Definition& before, const Definition& after) {
  constexpr std::size_t kLinesMax = 200;
  std::vector<std::string> lines;
  for (const std::string& pointer : json::differing_pointers(before.tree, after.tree, kLinesMax)) {
    const json::Value* old = at_pointer(before.tree, pointer);
    const json::Value* now = at_pointer(after.tree, pointer);
    const std::string place = pointer.empty() ? "the definition" : dotted(pointer);
    if (old == nullptr) {
      lines.push_back(place + ": added " + (now == nullptr ? "" : shown(*now)));
    } else if (now == nullptr) {
      lines.push_back(place + ": removed " + shown(*old));
    } else {
      lines.push_back(place + ": " + shown(*old) + " -> " + shown(*now));
    }
  }
  return lines;
}

json::Value operation_value(const Identity& identity, const std::optional<OperationId>& id,
                            const std::optional<AttemptNo>& attempt) {
  json::Value::Object members;
  if (attempt) {
    members.emplace_back("attempt", json::Value(std::int64_t{attempt->value()}));
  }
  if (id) members.emplace_back("id", json::Value(trued::to_string(*id)));
  members.emplace_back("identity", json::Value(effect_identity(identity)));
  members.emplace_back("key", json::Value(identity.key));
  members.emplace_back("scope", json::Value(identity.scope));
  members.emplace_back("type", json::Value(identity.type));
  return json::Value(std::move(members));
}

std::string derived_key(const json::Value& fields) {
  return "sha256:" + sha256(json::canonical(fields)).hex();
}

}  // namespace trued::define
