#include "engine/write_input.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/encoding.h"
#include "json/canonical.h"
#include "json/writer.h"
#include "ledger/codec.h"
#include "target/nesting.h"

namespace trued {
namespace {

constexpr std::size_t kMessageBytesMax = 64 * 1024;
constexpr std::size_t kBaseBytesMax = 255;

// A member's name as a step of a JSON pointer (RFC 6901).
std::string escaped(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

// Reads members of one object and remembers the first fault.
class Fields {
 public:
  Fields(json::Value& object, std::string pointer, InputFault& fault)
      : object_(object), pointer_(std::move(pointer)), fault_(fault) {}

  bool fail(std::string_view member, std::string detail) {
    fault_.pointer = pointer_ + (member.empty() ? "" : "/" + escaped(member));
    fault_.detail = std::move(detail);
    return false;
  }

  /// False (with a fault) if a member is not one of `allowed`.
  bool only(std::initializer_list<std::string_view> allowed) {
    for (const auto& [name, value] : object_.members()) {
      bool known = false;
      for (const std::string_view one : allowed) known = known || name == one;
      if (known) continue;
      std::string list;
      for (const std::string_view one : allowed)
        list += (list.empty() ? "" : ", ") + std::string(one);
      return fail(name, "unknown field; expected one of: " + list);
    }
    return true;
  }

  /// The text of a member; `out` is untouched when it is not there.
  bool text(std::string_view member, std::optional<std::string>& out) {
    json::Value* value = object_.find(member);
    if (value == nullptr) return true;
    if (!value->is_string()) return fail(member, "must be a string");
    out = std::move(*value).take_string();
    return true;
  }

  bool flag(std::string_view member, bool& out) {
    const json::Value* value = object_.find(member);
    if (value == nullptr) return true;
    if (!value->is_bool()) return fail(member, "must be true or false");
    out = value->as_bool();
    return true;
  }

 private:
  json::Value& object_;
  std::string pointer_;
  InputFault& fault_;
};

bool take_content(Fields& fields, ArtifactIntent& artifact, std::optional<std::string> content,
                  const std::optional<std::string>& encoding) {
  if (artifact.absent) {
    if (content || encoding) {
      return fields.fail("absent", "an artifact that is to be absent has no content");
    }
    return true;
  }
  if (!content) {
    return fields.fail("content", "is missing: give the content meant, or \"absent\": true");
  }
  if (!encoding || *encoding == "utf8") {
    artifact.content = std::move(*content);
  } else if (*encoding == "base64") {
    auto decoded = base64_decode(*content);
    if (!decoded) return fields.fail("content", "is not valid base64 (RFC 4648, with padding)");
    artifact.content = std::move(*decoded);
  } else {
    return fields.fail("encoding", "must be \"utf8\" or \"base64\"");
  }
  artifact.id = {.sha256 = sha256(artifact.content), .bytes = artifact.content.size()};
  return true;
}

bool take_artifact(json::Value& value, const std::string& pointer, const Target* target,
                   ArtifactIntent& artifact, InputFault& fault) {
  Fields fields(value, pointer, fault);
  if (!value.is_object()) return fields.fail("", "must be an object with a path");
  if (!fields.only({"path", "content", "encoding", "absent"})) return false;
  std::optional<std::string> path;
  std::optional<std::string> content;
  std::optional<std::string> encoding;
  if (!fields.text("path", path) || !fields.text("content", content) ||
      !fields.text("encoding", encoding) || !fields.flag("absent", artifact.absent)) {
    return false;
  }
  if (!path) return fields.fail("path", "is missing: say which artifact is meant");
  if (target != nullptr) {
    const std::string wrong = target->store->check_name(*path);
    if (!wrong.empty()) return fields.fail("path", wrong);
  }
  artifact.name = std::move(*path);
  return take_content(fields, artifact, std::move(content), encoding);
}

bool take_artifacts(json::Value& input, const Target* target, Intent& intent, InputFault& fault) {
  Fields fields(input, "", fault);
  json::Value* list = input.find("artifacts");
  if (list == nullptr || !list->is_array() || list->items().empty()) {
    return fields.fail("artifacts", "must be an array of at least one artifact");
  }
  auto& items = list->items();
  if (items.size() > kArtifactsMax) {
    return fields.fail("artifacts", "has " + std::to_string(items.size()) + " entries; at most " +
                                        std::to_string(kArtifactsMax) + " fit one operation");
  }
  std::unordered_set<std::string> names;
  intent.artifacts.resize(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string pointer = "/artifacts/" + std::to_string(i);
    if (!take_artifact(items.at(i), pointer, target, intent.artifacts.at(i), fault)) return false;
    if (!names.insert(intent.artifacts.at(i).name).second) {
      fault.pointer = pointer + "/path";
      fault.detail = "names an artifact that stands earlier in the list";
      return false;
    }
  }
  return true;
}

// No target can hold a file and something below its path.
bool all_can_exist(const Intent& intent, InputFault& fault) {
  const auto clash = find_clash(intent);
  if (!clash) return true;
  const std::size_t second = std::max(clash->file, clash->below);
  const std::size_t first = std::min(clash->file, clash->below);
  fault.pointer = "/artifacts/" + std::to_string(second) + "/path";
  fault.detail = describe(intent, *clash) + " (see /artifacts/" + std::to_string(first) +
                 "); write one of them, or give '" + intent.artifacts.at(clash->file).name +
                 "' as \"absent\": true";
  return false;
}

const Target* find_target(const Targets& targets, const std::string& name, InputFault& fault) {
  const auto found = targets.find(name);
  fault.pointer = "/target";
  if (found != targets.end() && found->second.store) return &found->second;
  if (found != targets.end()) {
    fault.detail = "the target '" + name + "' (" + found->second.kind +
                   ") carries calls, not artifacts: define an operation for it";
    return nullptr;
  }
  std::string known;
  for (const auto& [each, target] : targets) known += (known.empty() ? "" : ", ") + each;
  fault.detail = "there is no target '" + name + "' here; " +
                 (known.empty() ? "none is configured" : "known: " + known);
  fault.no_such_target = true;
  return nullptr;
}

bool take_head(json::Value& input, Intent& intent, InputFault& fault) {
  Fields fields(input, "", fault);
  if (!input.is_object()) return fields.fail("", "must be an object");
  if (!fields.only({"target", "message", "base", "verify", "artifacts"})) return false;
  std::optional<std::string> target;
  std::optional<std::string> message;
  if (!fields.text("target", target) || !fields.text("message", message) ||
      !fields.text("base", intent.base) || !fields.flag("verify", intent.verify)) {
    return false;
  }
  if (!target) return fields.fail("target", "is missing: say where to write");
  if (message && message->size() > kMessageBytesMax) {
    return fields.fail("message", "is longer than 65536 bytes");
  }
  if (intent.base && (intent.base->empty() || intent.base->size() > kBaseBytesMax)) {
    return fields.fail("base", "must be a version of 1 to 255 bytes");
  }
  intent.target = std::move(*target);
  intent.message = message.value_or("");
  return true;
}

}  // namespace

std::optional<WriteInput> parse_write_input(json::Value input, const Targets* targets,
                                            InputFault& fault) {
  WriteInput parsed;
  json::write_canonical(input, parsed.canonical);
  auto intent = std::make_shared<Intent>();
  if (!take_head(input, *intent, fault)) return std::nullopt;
  const Target* target = nullptr;
  if (targets != nullptr) {
    target = find_target(*targets, intent->target, fault);
    if (target == nullptr) return std::nullopt;
  }
  if (!take_artifacts(input, target, *intent, fault)) return std::nullopt;
  if (target != nullptr && !all_can_exist(*intent, fault)) return std::nullopt;
  parsed.fingerprint = fingerprint_of(parsed.canonical, kWriteType);
  parsed.intent = std::move(intent);
  return parsed;
}

std::string write_input_json(const Intent& intent) {
  std::string out;
  json::Writer writer(out);
  // Names in RFC 8785 order throughout.
  writer.begin_object();
  writer.key("artifacts");
  writer.begin_array();
  for (const ArtifactIntent& artifact : intent.artifacts) {
    writer.begin_object();
    if (artifact.absent) {
      writer.key("absent");
      writer.boolean(true);
    } else {
      const bool text = utf8_valid(artifact.content);
      writer.key("content");
      writer.string(text ? artifact.content : base64_encode(artifact.content));
      if (!text) {
        writer.key("encoding");
        writer.string("base64");
      }
    }
    writer.key("path");
    writer.string(artifact.name);
    writer.end_object();
  }
  writer.end_array();
  if (intent.base) {
    writer.key("base");
    writer.string(*intent.base);
  }
  if (!intent.message.empty()) {
    writer.key("message");
    writer.string(intent.message);
  }
  writer.key("target");
  writer.string(intent.target);
  if (!intent.verify) {
    writer.key("verify");
    writer.boolean(false);
  }
  writer.end_object();
  return out;
}

}  // namespace trued
