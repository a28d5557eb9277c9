// What a person decides about one operation.
#include "api/people.h"

#include "api/impl.h"
#include "engine/check_write.h"

namespace trued::api {
namespace {

struct Decided {
  std::string verdict;
  std::string who;
  std::string why;
};

bool read_decided(const std::string& text, bool has_verdict, Decided& out, Problem& problem) {
  if (text.empty()) return true;
  const auto body = read_json(text, problem);
  if (!body) return false;
  if (!body->is_object()) {
    problem = malformed("the body must be an object");
    return false;
  }
  for (const auto& [name, value] : body->members()) {
    if (name == "who" || name == "why" || (has_verdict && name == "verdict")) continue;
    problem = malformed("unknown member '" + name + "'; there are " +
                            (has_verdict ? "verdict, who and why" : "who and why"),
                        pointer_to(name));
    return false;
  }
  return take_words(*body, "verdict", out.verdict, problem) &&
         take_words(*body, "who", out.who, problem) && take_words(*body, "why", out.why, problem);
}

}  // namespace

bool take_words(const json::Value& body, std::string_view name, std::string& out,
                Problem& problem) {
  constexpr std::size_t kTextBytesMax = 4'096;
  const json::Value* value = body.find(name);
  if (value == nullptr) return true;
  if (!value->is_string() || value->as_string().size() > kTextBytesMax) {
    problem = malformed("'" + std::string(name) + "' must be a string of at most 4096 bytes",
                        pointer_to(name));
    return false;
  }
  out = value->as_string();
  if (!has_control(out, name == "why" ? Breaks::allowed : Breaks::refused)) return true;
  problem = {.name = "input-invalid",
             .detail = "'" + std::string(name) + "' holds a control character",
             .pointer = pointer_to(name)};
  return false;
}

std::string signature(const std::string& actor, const std::string& who) {
  if (actor.empty()) return who.empty() ? "anonymous" : who;
  return who.empty() ? actor : actor + "/" + who;
}

void Service::Impl::person(Call call) {
  const auto id = parse_operation_id(call.id);
  if (!id) {
    return call.fail(
        {.name = "no-such-operation", .detail = "there is no operation '" + call.id + "' here"});
  }
  const bool resolve = call.verb == "resolve";
  Decided decided;
  Problem problem;
  if (!read_decided(call.request.body, resolve, decided, problem)) return call.fail(problem);
  PersonInput input{.action = call.verb == "retry"        ? PersonAction::retry
                              : call.verb == "compensate" ? PersonAction::compensate
                                                          : PersonAction::cancel,
                    .who = signature(call.caller.actor, decided.who),
                    .why = std::move(decided.why)};
  if (resolve) {
    const bool happened = decided.verdict == "it_happened";
    if (!happened && decided.verdict != "it_did_not") {
      return call.fail({.name = "input-invalid",
                        .detail = "say what you found: \"verdict\": \"it_happened\" or "
                                  "\"it_did_not\"",
                        .pointer = "/verdict"});
    }
    input.action = happened ? PersonAction::it_happened : PersonAction::it_did_not;
  }
  if_visible(std::move(call), *id,
             [self = shared_from_this(), id = *id, input = std::move(input)](Call later) mutable {
               self->ports.engine->person(id, std::move(input),
                                          self->reply_with_receipt(std::move(later)));
             });
}

}  // namespace trued::api
