// Operations: submitted, and waited for.
#include <utility>

#include "api/impl.h"
#include "api/parameters.h"
#include "api/submit.h"
#include "api/text.h"

namespace trued::api {
namespace {

// The key of the Idempotency-Key header, if there is one.
bool read_key_header(const io::HttpRequest& request, std::optional<std::string>& key,
                     Problem& problem) {
  for (const io::Header& header : request.headers) {
    if (!is_word(header.name, "idempotency-key")) continue;
    auto given = unquote_key(header.value);
    if (!given) {
      problem = malformed(
          "the Idempotency-Key header is neither a bare key nor one quoted string (RFC 8941)");
      return false;
    }
    if (key && *key != *given) {
      problem = malformed("there are two Idempotency-Key headers, and they differ; send one");
      return false;
    }
    key = std::move(given);
  }
  return true;
}

}  // namespace

void Service::Impl::if_visible(Call call, OperationId id,
                               std::move_only_function<void(Call)> then) {
  if (call.caller.rights->everywhere()) return then(std::move(call));
  on_pool(std::move(call),
          [self = shared_from_this(), id, then = std::move(then)](Call later) mutable {
            auto found = [&] {
              const std::scoped_lock lock(self->reader_mutex);
              return self->ports.reader->find(id);
            }();
            if (!found.has_value()) return later.fail(ledger_problem(found.error()));
            if (!found.value() || !later.caller.rights->covers(found.value()->identity.scope)) {
              return later.fail(no_such_operation(later.id));
            }
            then(std::move(later));
          });
}

bool Service::Impl::is_past_deadline(const Submission& submission) const {
  return submission.deadline && *submission.deadline <= ports.clock.wall();
}

std::optional<Problem> Service::Impl::overdue(const Submission& submission) {
  if (!is_past_deadline(submission)) return std::nullopt;
  const Identity& identity = submission.identity;
  auto known = [&] {
    const std::scoped_lock lock(reader_mutex);
    ListQuery query;
    query.scope = identity.scope;
    query.type = identity.type;
    query.key = identity.key;
    query.limit = 1;
    return ports.reader->list(query);
  }();
  if (!known.has_value()) return ledger_problem(known.error());
  if (!known->operations.empty()) return std::nullopt;
  return Problem{.name = "input-invalid",
                 .detail = "the deadline " + format_rfc3339(*submission.deadline) +
                           " has passed: it is " + format_rfc3339(ports.clock.wall()) +
                           " by this server's clock. Nothing was accepted; submit it with a later "
                           "deadline, or without one",
                 .pointer = "/deadline"};
}

void Service::Impl::submit(Call call) {
  SubmitContext context{.targets = ports.targets,
                        .header_key = std::nullopt,
                        .caller = call.caller,
                        .types = ports.types,
                        .now = ports.clock.wall()};
  Problem problem;
  if (!read_key_header(call.request, context.header_key, problem)) return call.fail(problem);
  auto body = read_json(call.request.body, problem);
  if (!body) return call.fail(problem);
  auto submission = read_submission(std::move(*body), context, problem);
  if (!submission) return call.fail(problem);
  if (!is_past_deadline(*submission))
    return submit_checked(std::move(call), *std::move(submission));
  on_pool(std::move(call),
          [self = shared_from_this(), submission = *std::move(submission)](Call later) mutable {
            if (auto late = self->overdue(submission)) return later.fail(*late);
            self->submit_checked(std::move(later), std::move(submission));
          });
}

void Service::Impl::submit_checked(Call call, Submission submission) {
  const Wait wait = preferred_wait(call.request);
  auto shared = std::make_shared<Call>(std::move(call));
  auto reply = [self = shared_from_this(), shared, wait,
                base = submission.intent->base](std::variant<Answer, EngineProblem> result) {
    if (const auto* refused = std::get_if<EngineProblem>(&result)) {
      return shared->fail(problem_of(*refused));
    }
    Answer& answer = std::get<Answer>(result);
    if (answer.decision == SubmitDecision::conflict) {
      // The comparison reads the ledger: not on the engine's thread.
      return self->on_pool(std::move(*shared), [self, answer = std::move(answer)](Call later) {
        later.fail(self->conflict(answer, later.request.body));
      });
    }
    shared->answer_made([self, shared, wait, base, answer = std::move(answer)] {
      io::HttpResponse response = self->answer_of(answer, shared->instance(), base);
      say_applied(wait, response);
      return response;
    });
  };
  ports.engine->submit(std::move(submission), wait.span, std::move(reply));
}

void Service::Impl::wait_for_news(Call call, OperationId id, const Consistency& asked, Wait wait) {
  if (asked.token) {
    if (auto foreign = check_ledger(*asked.token, ports.engine->position())) {
      return call.fail(*foreign);
    }
  }
  if_visible(std::move(call), id, [self = shared_from_this(), id, asked, wait](Call later) {
    self->ports.engine->wait_for(id, wait.span,
                                 self->reply_with_receipt(std::move(later), wait, asked));
  });
}

}  // namespace trued::api
