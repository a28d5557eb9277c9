// What submissions are answered with.
#include <algorithm>

#include "api/impl.h"
#include "api/receipts.h"
#include "base/assert.h"
#include "core/tells.h"
#include "json/diff.h"
#include "json/parse.h"

namespace trued::api {
namespace {

constexpr std::size_t kDifferencesMax = 20;

// Where two inputs differ, as pointers into the submission.
std::vector<std::string> differences(const std::string& stored, std::string_view sent) {
  const auto before = json::parse(stored);
  const auto after = json::parse(sent);
  if (!before.has_value() || !after.has_value()) return {};
  const json::Value* input = after->find("input");
  if (input == nullptr) return {};
  auto pointers = json::differing_pointers(*before, *input, kDifferencesMax);
  TRUED_ASSERT(pointers.size() <= kDifferencesMax);
  for (std::string& pointer : pointers) pointer.insert(0, "/input");
  return pointers;
}

std::string listed(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + text;
  return list;
}

Problem late(const Tombstone& tombstone) {
  return {.name = "late-duplicate",
          .detail = "the key was used by " + to_string(tombstone.id) + ", which ended " +
                    std::string(to_string(tombstone.state)) + " at " +
                    format_rfc3339(tombstone.settled_at) +
                    " and is past its retention; nothing was executed. Use a new key if you mean "
                    "a new operation",
          .retired = tombstone};
}

// Whoever waited for the end of it learns that what it was based on has changed; a later repeat
// gets the stored receipt like every other.
bool is_news_of_stale_state(const Answer& answer) {
  const bool waited =
      answer.decision == SubmitDecision::fresh || answer.decision == SubmitDecision::in_flight;
  return waited && ended_stale(*answer.operation);
}

// What helps is for the next step of the receipt to say: it depends on what a failure allows.
Problem stale_precondition_problem(const Operation& operation, const StalePrecondition& stale,
                                   std::string receipt) {
  return {.name = "stale-state",
          .detail = stale.which + " of '" + operation.definition + "' does not hold: expected " +
                    stale.expected + ", seen " + stale.seen + "; nothing was sent. " +
                    next_step(operation).detail,
          .expected = stale.expected,
          .seen = stale.seen,
          .receipt = std::move(receipt)};
}

Problem stale_state(const Operation& operation, const std::optional<std::string>& base,
                    std::string receipt) {
  if (const auto stale = stale_precondition(operation)) {
    return stale_precondition_problem(operation, *stale, std::move(receipt));
  }
  const std::string_view reason = operation.reason;
  return {.name = "stale-state",
          .detail = std::string(reason.substr(std::min(reason.find(' ') + 1, reason.size()))) +
                    "; nothing was sent. Look at what stands there now, and submit again under a "
                    "new key with that version as 'base'",
          .pointer = "/input/base",
          .expected = base.value_or(""),
          .seen = operation.version_before,
          .receipt = std::move(receipt)};
}

}  // namespace

io::HttpResponse Service::Impl::answer_of(const Answer& answer, std::string_view instance,
                                          const std::optional<std::string>& base) const {
  TRUED_ASSERT(answer.decision != SubmitDecision::conflict);
  TRUED_ASSERT(answer.decision == SubmitDecision::late ? answer.tombstone.has_value()
                                                       : answer.operation != nullptr);
  if (answer.decision == SubmitDecision::late) return respond(late(*answer.tombstone), instance);
  const Operation& operation = *answer.operation;
  if (is_news_of_stale_state(answer)) {
    return respond(stale_state(operation, base, receipt(operation, answer.decision, durability())),
                   instance);
  }
  const bool settled = is_settled(operation.state);
  // What this submission set going is no replay, whether it is new or runs again.
  const bool executes = answer.decision == SubmitDecision::fresh || answer.reexecutes;
  const int status = !settled ? 202 : executes ? 201 : 200;
  io::HttpResponse response =
      json_response(status, receipt(operation, answer.decision, durability()));
  response.headers.push_back({"Idempotent-Replayed", executes ? "false" : "true"});
  if (status != 200) {
    response.headers.push_back({"Location", "/v1/operations/" + to_string(operation.id)});
  }
  return response;
}

Problem Service::Impl::conflict_unread(const Answer& answer) const {
  TRUED_ASSERT(answer.decision == SubmitDecision::conflict && answer.operation != nullptr);
  const Operation& operation = *answer.operation;
  return {.name = "idempotency-conflict",
          .detail = "the key '" + operation.identity.key + "' belongs to " +
                    to_string(operation.id) +
                    ", whose input is another; nothing was executed. Use a new key for a new "
                    "request",
          .differing = {"/input"},
          .receipt = receipt(operation, answer.decision, durability())};
}

Problem Service::Impl::conflict(const Answer& answer, std::string_view body) {
  Problem problem = conflict_unread(answer);
  std::optional<std::string> stored;
  {
    const std::scoped_lock lock(reader_mutex);
    auto intent = ports.reader->intent(answer.operation->id);
    if (intent.has_value()) stored = std::move(intent).value();
  }
  if (!stored) return problem;
  auto pointers = differences(*stored, body);
  if (pointers.empty()) return problem;
  const bool all = pointers.size() < kDifferencesMax;
  problem.detail = "the key '" + answer.operation->identity.key + "' belongs to " +
                   to_string(answer.operation->id) + ", whose request differs in " +
                   listed(pointers) + (all ? "" : " and perhaps more") +
                   "; nothing was executed. Use a new key for a new request";
  problem.differing = std::move(pointers);
  return problem;
}

Reply Service::Impl::reply_with_receipt(Call call, Wait wait, std::optional<Consistency> asked) {
  auto shared = std::make_shared<Call>(std::move(call));
  return [self = shared_from_this(), shared, wait,
          asked = std::move(asked)](std::variant<Answer, EngineProblem> reply) {
    if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
      return shared->fail(problem_of(*refused));
    }
    shared->answer_made([self, wait, asked, operation = std::get<Answer>(reply).operation] {
      io::HttpResponse response =
          json_response(200, receipt(*operation, std::nullopt, self->durability()));
      say_applied(wait, response);
      if (asked) {
        tell_served(*asked, self->options.source,
                    {.at = self->ports.engine->position(), .behind = 0, .stale = Duration{0}},
                    response);
      }
      return response;
    });
  };
}

}  // namespace trued::api
