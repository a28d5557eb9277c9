// Operations: submit, read, list, events.
#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "api/impl.h"
#include "api/parameters.h"
#include "api/receipts.h"
#include "api/submit.h"
#include "api/text.h"

namespace trued::api {
namespace {

Problem no_such_operation(const std::string& id) {
  return {.name = "no-such-operation",
          .detail = "there is no operation '" + id + "' here, or it is past its retention"};
}

bool read_parameter(const std::string& name, const std::string& value, ListQuery& query,
                    Problem& problem) {
  if (name == "type") query.type = value;
  if (name == "scope") query.scope = value;
  if (name == "key") query.key = value;
  if (name == "target") query.target = value;
  if (name == "state")
    return read_word(name, value, query.state, &parse_state, State::canceled, problem);
  if (name == "status")
    return read_word(name, value, query.status, &parse_status, Status::needs_action, problem);
  if (name == "since") return read_time(name, value, query.since, problem);
  if (name == "until") return read_time(name, value, query.until, problem);
  if (name == "limit") return read_limit(value, query.limit, problem);
  if (name != "cursor") return true;
  query.before = parse_operation_id("op_" + value);
  if (!query.before) problem = malformed("cursor must be one that an earlier page gave");
  return query.before.has_value();
}

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

// A page of the scopes that `rights` cover.
Result<ListPage> list_visible(LedgerReader& reader, const ListQuery& query,
                              const config::Rights& rights) {
  if (rights.everywhere() || !query.scope.empty()) return reader.list(query);
  // The newest of each scope hold the newest of them all.
  ListPage all;
  for (const std::string& scope : rights.scopes) {
    ListQuery one = query;
    one.scope = scope;
    TRUED_TRY(ListPage page, reader.list(one));
    all.more = all.more || page.more;
    std::ranges::move(page.operations, std::back_inserter(all.operations));
  }
  std::ranges::sort(all.operations, std::ranges::greater{}, &Operation::id);
  if (all.operations.size() > query.limit) {
    all.more = true;
    all.operations.erase(all.operations.begin() + query.limit, all.operations.end());
  }
  return all;
}

// The first event of an operation says of which scope it is.
bool visible(const std::vector<EventRecord>& events, const config::Rights& rights) {
  if (events.empty()) return false;
  const auto* accepted = std::get_if<Accepted>(&events.front().event);
  return rights.everywhere() || (accepted != nullptr && rights.covers(accepted->identity.scope));
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

void Service::Impl::get(Call call) {
  const auto id = parse_operation_id(call.id);
  if (!id) return call.fail(no_such_operation(call.id));
  Wait wait = preferred_wait(call.request);
  for (const auto& [name, value] : io::parse_query(call.request.query)) {
    const auto span = read_seconds(value);
    if (!span) return call.fail(malformed("wait must be a whole number of seconds"));
    wait = {.span = *span};
  }
  if (wait.span.count() > 0) {
    return if_visible(std::move(call), *id,
                      [self = shared_from_this(), id = *id, wait](Call later) {
                        self->ports.engine->wait_for(
                            id, wait.span, self->reply_with_receipt(std::move(later), wait));
                      });
  }
  on_pool(std::move(call), [self = shared_from_this(), id = *id](Call later) {
    auto found = [&] {
      const std::scoped_lock lock(self->reader_mutex);
      return self->ports.reader->find(id);
    }();
    if (!found.has_value()) return later.fail(ledger_problem(found.error()));
    if (!found.value() || !later.caller.rights->covers(found.value()->identity.scope)) {
      return later.fail(no_such_operation(later.id));
    }
    later.answer(json_response(200, receipt(*found.value(), std::nullopt, self->durability())));
  });
}

void Service::Impl::list(Call call) {
  ListQuery query;
  Problem problem;
  for (const auto& [name, value] : io::parse_query(call.request.query)) {
    if (!read_parameter(name, value, query, problem)) return call.fail(problem);
  }
  if (!query.scope.empty() && !call.caller.rights->covers(query.scope)) {
    return call.fail(out_of_scope(call.caller, query.scope));
  }
  on_pool(std::move(call), [self = shared_from_this(), query](Call later) {
    auto page = [&] {
      const std::scoped_lock lock(self->reader_mutex);
      return list_visible(*self->ports.reader, query, *later.caller.rights);
    }();
    if (!page.has_value()) return later.fail(ledger_problem(page.error()));
    std::string body;
    json::Writer out(body);
    out.begin_object().key("operations").begin_array();
    for (const Operation& operation : page->operations) {
      write_receipt(out, operation, std::nullopt, self->durability());
    }
    out.end_array().key("cursor");
    if (page->more) {
      out.string(page->operations.back().id.value().base32());
    } else {
      out.null();
    }
    out.end_object();
    later.answer(json_response(200, std::move(body)));
  });
}

void Service::Impl::events(Call call) {
  const auto id = parse_operation_id(call.id);
  if (!id) return call.fail(no_such_operation(call.id));
  on_pool(std::move(call), [self = shared_from_this(), id = *id](Call later) {
    auto events = [&] {
      const std::scoped_lock lock(self->reader_mutex);
      return self->ports.reader->events(id);
    }();
    if (!events.has_value()) return later.fail(ledger_problem(events.error()));
    if (!visible(*events, *later.caller.rights)) return later.fail(no_such_operation(later.id));
    std::string body;
    json::Writer out(body);
    out.begin_object().member("id", std::string_view(to_string(id))).key("events").begin_array();
    for (const EventRecord& record : *events) write_event(out, record);
    out.end_array().end_object();
    later.answer(json_response(200, std::move(body)));
  });
}

}  // namespace trued::api
