#include "api/submit.h"

#include <array>
#include <utility>

#include "base/assert.h"
#include "base/resembles.h"
#include "base/time.h"
#include "define/check.h"
#include "engine/check_write.h"

namespace trued::api {
namespace {

constexpr std::array<std::string_view, 8> kMembers{"type",     "input",      "key",      "scope",
                                                   "priority", "not_before", "deadline", "actor"};

bool fail(Problem& problem, std::string_view name, std::string pointer, std::string detail) {
  TRUED_ASSERT(!detail.empty());
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

// The key of body or header; nothing if there is none.
bool take_key(json::Value& body, const SubmitContext& context, std::optional<std::string>& key,
              Problem& problem) {
  if (!take_text(body, "key", key, problem)) return false;
  if (key && context.header_key && *key != *context.header_key) {
    return fail(problem, "malformed", "/key",
                "the body's key and the Idempotency-Key header differ; send one");
  }
  if (!key) key = context.header_key;
  if (key && !valid_key(*key)) {
    return fail(problem, "malformed", "/key",
                "a key has 1 to 255 visible ASCII characters without spaces");
  }
  return true;
}

bool no_key(Problem& problem) {
  return fail(problem, "idempotency-key-required", "",
              "name the operation by the header 'Idempotency-Key: \"KEY\"' or by \"key\" in the "
              "body; keep the same key when you repeat it");
}

bool in_scope(const SubmitContext& context, const std::string& scope, Problem& problem) {
  if (context.caller.rights->covers(scope)) return true;
  problem = out_of_scope(context.caller, scope, "/scope");
  return false;
}

bool no_such_type(const SubmitContext& context, const std::string& type, Problem& problem) {
  std::vector<std::string> known{std::string(kWriteType)};
  if (context.types != nullptr) {
    for (const auto& [name, definition] : context.types->definitions()) known.push_back(name);
  }
  std::string listed;
  for (const std::string& each : known) listed += (listed.empty() ? "" : ", ") + each;
  const auto meant = resembles(type, known);
  return fail(problem, "no-such-type", "/type",
              "there is no type '" + type + "' here; known: " + listed +
                  (meant ? "; did you mean '" + *meant + "'?" : ""));
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

bool take_write(json::Value input, std::optional<std::string> scope, std::optional<std::string> key,
                const SubmitContext& context, Submission& out, Problem& problem) {
  if (scope && !valid_name(*scope)) {
    return fail(problem, "malformed", "/scope", "a scope has 1 to 64 characters of [A-Za-z0-9_.-]");
  }
  out.identity = {.scope = scope.value_or("default"),
                  .type = std::string(kWriteType),
                  .key = std::move(key).value()};
  if (!in_scope(context, out.identity.scope, problem)) return false;
  InputFault fault;
  auto parsed = parse_write_input(std::move(input), &context.targets, fault);
  if (!parsed) {
    return fail(problem, fault.no_such_target ? "no-such-target" : "input-invalid",
                "/input" + fault.pointer, fault.detail);
  }
  out.definition = std::string(kWriteDefinition);
  out.intent = std::move(parsed->intent);
  out.intent_json = std::move(parsed->canonical);
  out.fingerprint = parsed->fingerprint;
  return true;
}

bool object(const std::vector<define::Objection>& objections, Problem& problem) {
  using About = define::Objection::About;
  TRUED_ASSERT(!objections.empty());
  for (const define::Objection& each : objections) {
    problem.errors.push_back({.pointer = (each.about == About::input   ? "/input"
                                          : each.about == About::scope ? "/scope"
                                                                       : "/key") +
                                         each.pointer,
                              .detail = each.detail});
  }
  const define::Objection& first = objections.front();
  const std::string_view name = first.about == About::input ? "input-invalid" : "malformed";
  const std::size_t more = objections.size() - 1;
  return fail(problem, name, problem.errors.front().pointer,
              first.detail + (more == 0 ? "" : "; and " + std::to_string(more) + " more"));
}

// An attempt that comes later than the definition allows may meet a target that has forgotten the
// key, and a ledger that has forgotten the operation.
bool within_deadline(const SubmitContext& context, const Policy& policy, const Submission& out,
                     Problem& problem) {
  if (!out.deadline) return true;
  const WallTime latest =
      std::max(context.now, out.not_before.value_or(context.now)) + policy.deadline;
  if (*out.deadline <= latest) return true;
  return fail(problem, "input-invalid", "/deadline",
              "'" + out.identity.type + "' allows " + format_duration(policy.deadline) +
                  " at most, until " + format_rfc3339(latest) +
                  ": send an earlier deadline, or none");
}

bool take_defined(const define::CurrentVersion& type, const json::Value& input,
                  std::optional<std::string> scope, std::optional<std::string> key,
                  bool prioritised, const SubmitContext& context, Submission& out,
                  Problem& problem) {
  auto intended = type.definition->intend(
      input, {.scope = std::move(scope).value_or(""), .key = std::move(key)});
  if (!intended.has_value()) return object(intended.error(), problem);
  if (!in_scope(context, intended->identity.scope, problem)) return false;
  if (type.target == nullptr) {
    return fail(problem, "no-such-target", "/type",
                "'" + to_string(type.id) + "' cannot be carried out here: " + type.wrong);
  }
  const auto refused = check_intended(*type.definition, *intended, context.targets);
  if (!refused.empty()) return object(refused, problem);
  out.identity = std::move(intended->identity);
  out.definition = to_string(type.id);
  out.intent = std::move(intended->intent);
  out.intent_json = std::move(intended->input);
  out.fingerprint = intended->fingerprint;
  if (!prioritised) out.priority = type.definition->priority;
  return within_deadline(context, type.target->policy, out, problem);
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
  std::optional<std::string> type;
  std::optional<std::string> scope;
  std::optional<std::string> key;
  if (!check_members(body, problem) || !take_text(body, "type", type, problem) ||
      !take_text(body, "scope", scope, problem)) {
    return std::nullopt;
  }
  const auto refuse = [](bool) { return std::nullopt; };
  if (!type) {
    return refuse(fail(problem, "malformed", "/type", "'type' is missing; \"write\" is built in"));
  }
  const bool writes = *type == kWriteType;
  const auto defined =
      writes || context.types == nullptr ? std::nullopt : context.types->current(*type);
  if (!writes && !defined) return refuse(no_such_type(context, *type, problem));
  if (scope && valid_name(*scope) && !in_scope(context, *scope, problem)) return std::nullopt;
  if (!take_key(body, context, key, problem)) return std::nullopt;
  const bool derived = defined && !defined->definition->identity.empty();
  if (!key && !derived) return refuse(no_key(problem));
  if (!take_rest(body, context, submission, problem)) return std::nullopt;
  json::Value* input = body.find("input");
  if (input == nullptr)
    return refuse(fail(problem, "input-invalid", "/input", "'input' is missing"));
  const bool prioritised = body.find("priority") != nullptr;
  const bool sound = writes ? take_write(std::move(*input), std::move(scope), std::move(key),
                                         context, submission, problem)
                            : take_defined(*defined, *input, std::move(scope), std::move(key),
                                           prioritised, context, submission, problem);
  if (!sound) return std::nullopt;
  TRUED_ASSERT(submission.intent != nullptr && !submission.definition.empty());
  TRUED_ASSERT(valid_key(submission.identity.key) && valid_name(submission.identity.scope));
  TRUED_ASSERT(context.caller.rights->covers(submission.identity.scope));
  return submission;
}

}  // namespace trued::api
