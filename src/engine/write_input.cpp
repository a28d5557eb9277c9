#include "engine/write_input.h"

#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "engine/check_write.h"
#include "json/canonical.h"
#include "json/writer.h"
#include "ledger/codec.h"

namespace trued {
namespace {

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
    TRUED_ASSERT(!detail.empty());
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

bool take_artifact(json::Value& value, const std::string& pointer, ArtifactIntent& artifact,
                   InputFault& fault) {
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
  artifact.name = std::move(*path);
  return take_content(fields, artifact, std::move(content), encoding);
}

bool take_artifacts(json::Value& input, Intent& intent, InputFault& fault) {
  json::Value* list = input.find("artifacts");
  const bool listed = list != nullptr && list->is_array();
  if (!check_count(listed ? list->items().size() : 0, fault)) return false;
  TRUED_ASSERT(listed);
  auto& items = list->items();
  intent.artifacts.resize(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string pointer = "/artifacts/" + std::to_string(i);
    if (!take_artifact(items.at(i), pointer, intent.artifacts.at(i), fault)) return false;
  }
  return true;
}

const Target* find_target(const Targets& targets, const std::string& name, InputFault& fault) {
  // What is the program's own is written by its own operations alone.
  constexpr std::string_view kOwn = "trued.";
  const auto found = name.starts_with(kOwn) ? targets.end() : targets.find(name);
  fault.pointer = "/target";
  if (found != targets.end() && found->second.store) return &found->second;
  if (found != targets.end()) {
    fault.detail = "the target '" + name + "' (" + found->second.kind +
                   ") carries calls, not artifacts: define an operation for it";
    return nullptr;
  }
  std::string known;
  for (const auto& [each, target] : targets) {
    if (!each.starts_with(kOwn)) known += (known.empty() ? "" : ", ") + each;
  }
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
  intent.target = std::move(*target);
  intent.message = message.value_or("");
  return true;
}

}  // namespace

std::optional<WriteInput> parse_write_input(json::Value input, const Targets* targets,
                                            InputFault& fault) {
  WriteInput parsed;
  json::write_canonical(input, parsed.canonical);
  if (targets != nullptr && !check_input_bytes(parsed.canonical.size(), fault)) return std::nullopt;
  auto intent = std::make_shared<Intent>();
  if (!take_head(input, *intent, fault)) return std::nullopt;
  const Target* target = nullptr;
  if (targets != nullptr) {
    target = find_target(*targets, intent->target, fault);
    if (target == nullptr) return std::nullopt;
  }
  TRUED_ASSERT(targets == nullptr || target->store != nullptr);
  if (!take_artifacts(input, *intent, fault)) return std::nullopt;
  if (!check_intent(*intent, target, fault)) return std::nullopt;
  TRUED_ASSERT(!intent->artifacts.empty() && intent->artifacts.size() <= kArtifactsMax);
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
      writer.exact(text ? artifact.content : base64_encode(artifact.content));
      if (!text) {
        writer.key("encoding");
        writer.string("base64");
      }
    }
    writer.key("path");
    writer.exact(artifact.name);
    writer.end_object();
  }
  writer.end_array();
  if (intent.base) {
    writer.key("base");
    writer.exact(*intent.base);
  }
  if (!intent.message.empty()) {
    writer.key("message");
    writer.exact(intent.message);
  }
  writer.key("target");
  writer.exact(intent.target);
  if (!intent.verify) {
    writer.key("verify");
    writer.boolean(false);
  }
  writer.end_object();
  return out;
}

}  // namespace trued
