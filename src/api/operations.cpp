// Operations: submit, read, list, events, and what a person decides.
#include <algorithm>
#include <charconv>

#include "api/impl.h"
#include "api/receipts.h"
#include "api/submit.h"
#include "json/diff.h"
#include "json/parse.h"

namespace trued::api {
namespace {

constexpr std::size_t kDifferencesMax = 20;

Problem ledger_problem(const Error& error) {
  return {.name = "ledger-unavailable",
          .detail = "the ledger cannot be read: " + error.message,
          .retry_after = Duration{1'000}};
}

Problem no_such_operation(const std::string& id) {
  return {.name = "no-such-operation",
          .detail = "there is no operation '" + id + "' here, or it is past its retention"};
}

std::optional<OperationId> id_of(Call& call) {
  const auto id = parse_operation_id(call.id);
  if (!id) call.fail(no_such_operation(call.id));
  return id;
}

// What a repeat means, in one form, so that only meaning is compared.
std::optional<json::Value> normal_form(const Intent& intent) {
  auto value = json::parse(write_input_json(intent));
  if (!value.has_value()) return std::nullopt;
  return std::move(value).value();
}

std::optional<json::Value> normal_form(const std::string& stored) {
  auto value = json::parse(stored);
  if (!value.has_value()) return std::nullopt;
  InputFault fault;
  const auto input = parse_write_input(std::move(value).value(), nullptr, fault);
  if (!input) return std::nullopt;
  return normal_form(*input->intent);
}

bool read_query_time(const std::string& text, std::optional<WallTime>& out, Problem& problem,
                     const std::string& name) {
  auto at = parse_rfc3339(text);
  if (!at.has_value()) {
    problem = {.name = "malformed", .detail = name + ": " + at.error().message};
    return false;
  }
  out = *at;
  return true;
}

template <class Enum>
bool read_query_word(const std::string& text, std::optional<Enum>& out,
                     std::optional<Enum> (*parse)(std::string_view), Problem& problem,
                     const std::string& name) {
  out = parse(text);
  if (out) return true;
  problem = {.name = "malformed", .detail = name + " '" + text + "' is not one there is"};
  return false;
}

bool read_limit(const std::string& text, std::uint32_t& out, Problem& problem) {
  constexpr std::uint32_t kLimitMax = 1'000;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = failure == std::errc{} && end == text.data() + text.size();
  if (whole && out >= 1 && out <= kLimitMax) return true;
  problem = {.name = "malformed", .detail = "limit must be a number from 1 to 1000"};
  return false;
}

bool read_query(const std::string& name, const std::string& value, ListQuery& query,
                Problem& problem) {
  if (name == "type")
    query.type = value;
  else if (name == "scope")
    query.scope = value;
  else if (name == "key")
    query.key = value;
  else if (name == "target")
    query.target = value;
  else if (name == "state")
    return read_query_word(value, query.state, &parse_state, problem, name);
  else if (name == "status")
    return read_query_word(value, query.status, &parse_status, problem, name);
  else if (name == "since")
    return read_query_time(value, query.since, problem, name);
  else if (name == "until")
    return read_query_time(value, query.until, problem, name);
  else if (name == "limit")
    return read_limit(value, query.limit, problem);
  else if (name == "cursor") {
    query.before = parse_operation_id("op_" + value);
    if (query.before) return true;
    problem = {.name = "malformed", .detail = "cursor must be one that an earlier page gave"};
    return false;
  } else {
    problem = {.name = "malformed",
               .detail = "unknown parameter '" + name +
                         "'; there are type, status, state, scope, key, target, since, until, "
                         "cursor and limit"};
    return false;
  }
  return true;
}

}  // namespace

Problem Service::Impl::conflict(const Answer& answer, const Intent* intent) {
  Problem problem{.name = "idempotency-conflict"};
  problem.receipt = receipt(*answer.operation, answer.decision, options.durability);
  if (intent != nullptr) {
    const std::scoped_lock lock(reader_mutex);
    const auto stored = ports.reader->intent(answer.operation->id);
    if (stored.has_value() && stored.value()) {
      const auto before = normal_form(*stored.value());
      const auto after = normal_form(*intent);
      if (before && after) {
        problem.differing = json::differing_pointers(*before, *after, kDifferencesMax);
      }
    }
  }
  for (std::string& pointer : problem.differing) pointer.insert(0, "/input");
  if (problem.differing.empty()) problem.differing.emplace_back("/input");
  std::string fields;
  for (const std::string& pointer : problem.differing)
    fields += (fields.empty() ? "" : ", ") + pointer;
  problem.detail = "the key '" + answer.operation->identity.key + "' belongs to " +
                   to_string(answer.operation->id) + ", whose request differs in " + fields +
                   "; nothing was executed. Use a new key for a new request";
  return problem;
}

Problem Service::Impl::late(const Answer& answer) const {
  const Tombstone& tombstone = *answer.tombstone;
  return {.name = "late-duplicate",
          .detail = "the key was used by " + to_string(tombstone.id) + ", which ended " +
                    std::string(to_string(tombstone.state)) + " at " +
                    format_rfc3339(tombstone.settled_at) +
                    " and is past its retention; nothing was executed. Use a new key if you mean "
                    "a new operation"};
}

io::HttpResponse Service::Impl::respond_to(const Answer& answer, const Intent* intent) {
  switch (answer.decision) {
    case SubmitDecision::conflict:
      return respond(conflict(answer, intent));
    case SubmitDecision::late:
      return respond(late(answer));
    case SubmitDecision::fresh:
    case SubmitDecision::duplicate:
    case SubmitDecision::in_flight:
      break;
  }
  const Operation& operation = *answer.operation;
  const bool settled = is_settled(operation.state);
  const bool replayed = answer.decision == SubmitDecision::duplicate;
  const int status = replayed ? 200 : settled ? 201 : 202;
  io::HttpResponse response =
      json_response(status, receipt(operation, answer.decision, options.durability));
  response.headers.push_back({"Idempotent-Replayed", replayed ? "true" : "false"});
  if (!replayed) {
    response.headers.push_back({"Location", "/v1/operations/" + to_string(operation.id)});
  }
  return response;
}

void Service::Impl::submit(Call call) {
  if (!is_media_type(call.request, "application/json")) {
    return call.fail(
        {.name = "unsupported-media-type", .detail = "send the submission as application/json"});
  }
  SubmitContext context{ports.targets, std::nullopt, call.actor};
  if (const std::string* header = call.request.find("Idempotency-Key")) {
    context.header_key = unquote_key(*header);
    if (!context.header_key) {
      return call.fail({.name = "malformed",
                        .detail = "the Idempotency-Key header is neither a bare key nor a quoted "
                                  "string"});
    }
  }
  auto body = json::parse(call.request.body);
  if (!body.has_value()) {
    return call.fail({.name = "malformed", .detail = body.error().message});
  }
  Problem problem;
  auto submission = read_submission(std::move(body).value(), context, problem);
  if (!submission) return call.fail(problem);
  const Wait wait = preferred_wait(call.request);
  const std::shared_ptr<const Intent> intent = submission->intent;
  auto shared = std::make_shared<Call>(std::move(call));
  ports.engine.submit(
      std::move(*submission), wait.span,
      [self = shared_from_this(), shared, intent, wait](std::variant<Answer, EngineProblem> reply) {
        if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
          return shared->fail(problem_of(*refused));
        }
        Answer& answer = std::get<Answer>(reply);
        if (answer.decision == SubmitDecision::conflict) {
          // The comparison reads the ledger: not on the engine's thread.
          return self->on_pool(std::move(*shared),
                               [self, answer = std::move(answer), intent](Call later) {
                                 later.answer(self->respond_to(answer, intent.get()));
                               });
        }
        io::HttpResponse response = self->respond_to(answer, intent.get());
        if (wait.asked) {
          response.headers.push_back(
              {"Preference-Applied", "wait=" + std::to_string(wait.span.count() / 1'000)});
        }
        shared->answer(std::move(response));
      });
}

void Service::Impl::get(Call call) {
  const auto id = id_of(call);
  if (!id) return;
  const Wait wait = preferred_wait(call.request);
  if (wait.span.count() > 0) {
    auto shared = std::make_shared<Call>(std::move(call));
    return ports.engine.wait_for(
        *id, wait.span,
        [self = shared_from_this(), shared](std::variant<Answer, EngineProblem> reply) {
          if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
            return shared->fail(problem_of(*refused));
          }
          shared->answer(json_response(200, receipt(*std::get<Answer>(reply).operation,
                                                    std::nullopt, self->options.durability)));
        });
  }
  on_pool(std::move(call), [self = shared_from_this(), id = *id](Call later) {
    const std::scoped_lock lock(self->reader_mutex);
    auto found = self->ports.reader->find(id);
    if (!found.has_value()) return later.fail(ledger_problem(found.error()));
    if (!found.value()) return later.fail(no_such_operation(later.id));
    later.answer(
        json_response(200, receipt(*found.value(), std::nullopt, self->options.durability)));
  });
}

void Service::Impl::list(Call call) {
  ListQuery query;
  Problem problem;
  for (const auto& [name, value] : io::parse_query(call.request.query)) {
    if (!read_query(name, value, query, problem)) return call.fail(problem);
  }
  on_pool(std::move(call), [self = shared_from_this(), query](Call later) {
    const std::scoped_lock lock(self->reader_mutex);
    auto page = self->ports.reader->list(query);
    if (!page.has_value()) return later.fail(ledger_problem(page.error()));
    std::string body;
    json::Writer out(body);
    out.begin_object().key("operations").begin_array();
    for (const Operation& operation : page->operations) {
      write_receipt(out, operation, std::nullopt, self->options.durability);
    }
    out.end_array().key("cursor");
    if (page->more) {
      out.string(std::string_view(to_string(page->operations.back().id)).substr(3));
    } else {
      out.null();
    }
    out.end_object();
    later.answer(json_response(200, std::move(body)));
  });
}

void Service::Impl::events(Call call) {
  const auto id = id_of(call);
  if (!id) return;
  on_pool(std::move(call), [self = shared_from_this(), id = *id](Call later) {
    const std::scoped_lock lock(self->reader_mutex);
    auto events = self->ports.reader->events(id);
    if (!events.has_value()) return later.fail(ledger_problem(events.error()));
    if (events->empty()) return later.fail(no_such_operation(later.id));
    std::string body;
    json::Writer out(body);
    out.begin_object().member("id", std::string_view(to_string(id))).key("events").begin_array();
    for (const EventRecord& record : *events) write_event(out, record);
    out.end_array().end_object();
    later.answer(json_response(200, std::move(body)));
  });
}

namespace {

bool take_member(const json::Value& body, std::string_view name, std::string& out,
                 Problem& problem) {
  constexpr std::size_t kTextBytesMax = 4'096;
  const json::Value* value = body.find(name);
  if (value == nullptr) return true;
  if (!value->is_string() || value->as_string().size() > kTextBytesMax) {
    problem = {.name = "malformed",
               .detail = "'" + std::string(name) + "' must be a string of at most 4096 bytes",
               .pointer = "/" + std::string(name)};
    return false;
  }
  out = value->as_string();
  return true;
}

// {"verdict": …, "who": …, "why": …}; an empty body means all defaults.
bool read_person(const Call& call, PersonInput& input, std::string& verdict, Problem& problem) {
  input.who = call.actor;
  if (call.request.body.empty()) return true;
  if (!is_media_type(call.request, "application/json")) {
    problem = {.name = "unsupported-media-type", .detail = "send the decision as application/json"};
    return false;
  }
  auto body = json::parse(call.request.body);
  if (!body.has_value() || !body->is_object()) {
    problem = {.name = "malformed",
               .detail = body.has_value() ? "the body must be an object" : body.error().message};
    return false;
  }
  for (const auto& [name, value] : body->members()) {
    if (name == "verdict" || name == "who" || name == "why") continue;
    problem = {.name = "malformed",
               .detail = "unknown member '" + name + "'; there are verdict, who and why",
               .pointer = "/" + name};
    return false;
  }
  std::string who;
  if (!take_member(*body, "verdict", verdict, problem) ||
      !take_member(*body, "who", who, problem) || !take_member(*body, "why", input.why, problem)) {
    return false;
  }
  if (!who.empty()) input.who = input.who.empty() ? who : input.who + "/" + who;
  return true;
}

}  // namespace

void Service::Impl::person(Call call) {
  const auto id = id_of(call);
  if (!id) return;
  PersonInput input;
  std::string verdict;
  Problem problem;
  if (!read_person(call, input, verdict, problem)) return call.fail(problem);
  if (input.who.empty()) input.who = "anonymous";
  if (call.verb == "resolve") {
    if (verdict != "it_happened" && verdict != "it_did_not") {
      return call.fail({.name = "input-invalid",
                        .detail = "say what you found: \"verdict\": \"it_happened\" or "
                                  "\"it_did_not\"",
                        .pointer = "/verdict"});
    }
    input.action = verdict == "it_happened" ? PersonAction::it_happened : PersonAction::it_did_not;
  } else {
    input.action = call.verb == "retry" ? PersonAction::retry : PersonAction::cancel;
  }
  auto shared = std::make_shared<Call>(std::move(call));
  ports.engine.person(
      *id, std::move(input),
      [self = shared_from_this(), shared](std::variant<Answer, EngineProblem> reply) {
        if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
          return shared->fail(problem_of(*refused));
        }
        shared->answer(json_response(200, receipt(*std::get<Answer>(reply).operation, std::nullopt,
                                                  self->options.durability)));
      });
}

}  // namespace trued::api
