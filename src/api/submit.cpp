#include "api/submit.h"

#include <array>
#include <utility>

#include "engine/check_write.h"

namespace trued::api {
namespace {

constexpr std::array<std::string_view, 8> kMembers{"type",     "input",      "key",      "scope",
                                                   "priority", "not_before", "deadline", "actor"};

bool fail(Problem& problem, std::string_view name, std::string pointer, std::string detail) {
  problem.name = name;
  problem.pointer = std::move(pointer);
  problem.detail = std::move(detail);
  return false;
}

bool take_text(json::Value& body, std::string_view name, std::optional<std::string>& out,
               Problem& problem) {
  json::Value* value = body.find(name);
  if (value == nullptr) return true;
  if (!value->is_string()) {
    return fail(problem, "malformed", "/" + std::string(name),
                "'" + std::string(name) + "' must be a string");
  }
  out = std::move(*value).take_string();
  return true;
}

bool take_time(json::Value& body, std::string_view name, std::optional<WallTime>& out,
               Problem& problem) {
  std::optional<std::string> text;
  if (!take_text(body, name, text, problem)) return false;
  if (!text) return true;
  auto at = parse_rfc3339(*text);
  if (!at.has_value()) {
    return fail(problem, "malformed", "/" + std::string(name), at.error().message);
  }
  out = *at;
  return true;
}

bool check_members(const json::Value& body, Problem& problem) {
  if (!body.is_object()) {
    return fail(problem, "malformed", "", "the body must be a JSON object with type and input");
  }
  for (const auto& [name, value] : body.members()) {
    bool known = false;
    for (const std::string_view member : kMembers) known = known || member == name;
    if (!known) {
      return fail(problem, "malformed", pointer_to(name),
                  "unknown member '" + name +
                      "'; a submission has type, input, key, scope, priority, not_before, "
                      "deadline and actor");
    }
  }
  return true;
}

bool take_key(json::Value& body, const SubmitContext& context, std::string& key, Problem& problem) {
  std::optional<std::string> in_body;
  if (!take_text(body, "key", in_body, problem)) return false;
  if (in_body && context.header_key && *in_body != *context.header_key) {
    return fail(problem, "malformed", "/key",
                "the body's key and the Idempotency-Key header differ; send one");
  }
  if (!in_body && !context.header_key) {
    return fail(problem, "idempotency-key-required", "",
                "name the operation by the header 'Idempotency-Key: \"KEY\"' or by \"key\" in the "
                "body; keep the same key when you repeat it");
  }
  key = in_body ? std::move(*in_body) : *context.header_key;
  if (!valid_key(key)) {
    return fail(problem, "malformed", "/key",
                "a key has 1 to 255 visible ASCII characters without spaces");
  }
  return true;
}

bool take_identity(json::Value& body, const SubmitContext& context, Identity& identity,
                   Problem& problem) {
  std::optional<std::string> type;
  std::optional<std::string> scope;
  if (!take_text(body, "type", type, problem) || !take_text(body, "scope", scope, problem)) {
    return false;
  }
  if (!type) return fail(problem, "malformed", "/type", "'type' is missing; \"write\" is built in");
  if (*type != kWriteType) {
    return fail(problem, "no-such-type", "/type",
                "there is no type '" + *type + "' here; known: write");
  }
  if (scope && !valid_name(*scope)) {
    return fail(problem, "malformed", "/scope", "a scope has 1 to 64 characters of [A-Za-z0-9_.-]");
  }
  identity.type = std::move(*type);
  identity.scope = scope.value_or("default");
  if (!context.caller.rights->covers(identity.scope)) {
    problem = out_of_scope(context.caller, identity.scope, "/scope");
    return false;
  }
  return take_key(body, context, identity.key, problem);
}

bool take_rest(json::Value& body, const SubmitContext& context, Submission& out, Problem& problem) {
  std::optional<std::string> priority;
  std::optional<std::string> actor;
  if (!take_text(body, "priority", priority, problem) ||
      !take_text(body, "actor", actor, problem) ||
      !take_time(body, "not_before", out.not_before, problem) ||
      !take_time(body, "deadline", out.deadline, problem)) {
    return false;
  }
  if (priority) {
    const auto parsed = parse_priority(*priority);
    if (!parsed) {
      return fail(problem, "malformed", "/priority", "priority must be critical, normal or low");
    }
    out.priority = *parsed;
  }
  const std::string wrong = wrong_with_actor(actor.value_or(""));
  if (!wrong.empty()) {
    const bool too_long = actor->size() > kActorBytesMax;
    return fail(problem, too_long ? "malformed" : "input-invalid", "/actor", wrong);
  }
  if (out.not_before && out.deadline && *out.deadline <= *out.not_before) {
    return fail(problem, "malformed", "/deadline", "deadline must be after not_before");
  }
  out.actor = context.caller.actor;
  if (actor) out.actor += (out.actor.empty() ? "" : "/") + *actor;
  return true;
}

}  // namespace

std::optional<std::string> unquote_key(std::string_view header) {
  while (header.starts_with(' ')) header.remove_prefix(1);
  while (header.ends_with(' ')) header.remove_suffix(1);
  if (!header.starts_with('"')) return std::string(header);
  std::string key;
  for (std::size_t i = 1; i < header.size(); ++i) {
    if (header[i] == '"') {
      if (i + 1 == header.size()) return key;
      return std::nullopt;
    }
    if (header[i] == '\\') {
      ++i;
      if (i == header.size() || (header[i] != '"' && header[i] != '\\')) return std::nullopt;
    }
    key += header[i];
  }
  return std::nullopt;
}

std::optional<Submission> read_submission(json::Value body, const SubmitContext& context,
                                          Problem& problem) {
  Submission submission;
  if (!check_members(body, problem) ||
      !take_identity(body, context, submission.identity, problem) ||
      !take_rest(body, context, submission, problem)) {
    return std::nullopt;
  }
  json::Value* input = body.find("input");
  if (input == nullptr) {
    fail(problem, "input-invalid", "/input", "'input' is missing");
    return std::nullopt;
  }
  InputFault fault;
  auto parsed = parse_write_input(std::move(*input), &context.targets, fault);
  if (!parsed) {
    fail(problem, fault.no_such_target ? "no-such-target" : "input-invalid",
         "/input" + fault.pointer, fault.detail);
    return std::nullopt;
  }
  submission.definition = std::string(kWriteDefinition);
  submission.intent = std::move(parsed->intent);
  submission.intent_json = std::move(parsed->canonical);
  submission.fingerprint = parsed->fingerprint;
  return submission;
}

}  // namespace trued::api
