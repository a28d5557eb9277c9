#include "api/reads.h"

#include <memory>
#include <utility>

#include "api/impl.h"
#include "api/parameters.h"
#include "api/receipts.h"
#include "base/assert.h"

namespace trued::api {
namespace {

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

// The first event of an operation says of which scope it is.
bool visible(const std::vector<EventRecord>& events, const config::Rights& rights) {
  if (events.empty()) return false;
  const auto* accepted = std::get_if<Accepted>(&events.front().event);
  return rights.everywhere() || (accepted != nullptr && rights.covers(accepted->identity.scope));
}

Looked shown_as(std::string body) { return {.response = json_response(200, std::move(body))}; }

}  // namespace

Problem no_such_operation(const std::string& id) {
  return {.name = "no-such-operation",
          .detail = "there is no operation '" + id + "' here, or it is past its retention"};
}

bool read_list_query(const io::HttpRequest& request, const Caller& caller, ListQuery& query,
                     Problem& problem) {
  for (const auto& [name, value] : io::parse_query(request.query)) {
    if (!read_parameter(name, value, query, problem)) return false;
  }
  if (query.scope.empty()) {
    query.scopes = caller.rights->scopes;
  } else if (!caller.rights->covers(query.scope)) {
    problem = out_of_scope(caller, query.scope);
    return false;
  }
  return true;
}

Look look_at_operation(OperationId id, const Caller& caller, std::string durability) {
  return [id, rights = caller.rights,
          durability = std::move(durability)](LedgerReader& reader) -> Result<Looked> {
    TRUED_TRY(const auto found, reader.find(id));
    if (!found || !rights->covers(found->identity.scope)) {
      return Looked{.refused = no_such_operation(to_string(id))};
    }
    return shown_as(receipt(*found, std::nullopt, durability));
  };
}

Look look_at_list(ListQuery query, const Caller& /*caller*/, std::string durability) {
  return [query = std::move(query),
          durability = std::move(durability)](LedgerReader& reader) -> Result<Looked> {
    TRUED_TRY(const ListPage page, reader.list(query));
    std::string body;
    json::Writer out(body);
    out.begin_object().key("operations").begin_array();
    for (const Operation& operation : page.operations) {
      write_receipt(out, operation, std::nullopt, durability);
    }
    out.end_array().key("cursor");
    if (page.more) {
      out.string(page.operations.back().id.value().base32());
    } else {
      out.null();
    }
    out.end_object();
    return shown_as(std::move(body));
  };
}

Look look_at_events(OperationId id, const Caller& caller) {
  return [id, rights = caller.rights](LedgerReader& reader) -> Result<Looked> {
    TRUED_TRY(const auto events, reader.events(id));
    if (!visible(events, *rights)) return Looked{.refused = no_such_operation(to_string(id))};
    std::string body;
    json::Writer out(body);
    out.begin_object().member("id", std::string_view(to_string(id))).key("events").begin_array();
    for (const EventRecord& record : events) write_event(out, record);
    out.end_array().end_object();
    return shown_as(std::move(body));
  };
}

void read_at_replicas(ReplicaReads& replicas, const Consistency& asked, Duration patience,
                      Look look, Call call, std::move_only_function<void(Call)> otherwise) {
  TRUED_ASSERT(look != nullptr && otherwise != nullptr);
  TRUED_ASSERT(asked.level != Level::strong);  // which is of the primary alone
  auto looked = std::make_shared<Looked>();
  const auto keep = [looked, look = std::move(look)](LedgerReader& reader) -> Result<void> {
    TRUED_TRY(*looked, look(reader));
    return {};
  };
  replicas.read(want_of(asked, patience), keep,
                [looked, asked, call = std::move(call),
                 otherwise = std::move(otherwise)](std::optional<ServedBy> served) mutable {
                  if (!served) return otherwise(std::move(call));
                  // Of a replica that follows the primary, so of its ledger.
                  if (asked.token) {
                    auto foreign = check_ledger(*asked.token, served->how.at);
                    if (foreign) return call.fail(*foreign);
                  }
                  call.show(std::move(*looked), asked, served->name, served->how);
                });
}

void Call::show(Looked looked, const Consistency& asked, const std::string& source,
                const Freshness& how) {
  io::HttpResponse response =
      looked.refused ? respond(*looked.refused, instance()) : std::move(looked.response);
  tell_served(asked, source, how, response);
  answer(std::move(response));
}

// A read of the ledger itself, in the middle of a retry of which `until` is the end.
void Service::Impl::read_here(Call call, Consistency asked, Look look,
                              std::optional<std::chrono::nanoseconds> until) {
  TRUED_ASSERT(look != nullptr && ports.reader != nullptr);
  on_pool(std::move(call), [self = shared_from_this(), asked = std::move(asked),
                            look = std::move(look), until](Call here) mutable {
    LedgerPosition seen;
    auto looked = [&]() -> Result<Looked> {
      const std::scoped_lock lock(self->reader_mutex);
      auto result = look(*self->ports.reader);
      seen = self->ports.reader->seen();
      return result;
    }();
    if (!looked.has_value()) return here.fail(ledger_problem(looked.error()));
    if (asked.token) {
      if (auto foreign = check_ledger(*asked.token, seen)) return here.fail(*foreign);
      if (asked.token->batch > seen.batch) {
        return self->wait_for_batch(std::move(here), std::move(asked), std::move(look), seen,
                                    until);
      }
    }
    here.show(std::move(looked).value(), asked, self->options.source,
              {.at = seen, .behind = 0, .stale = Duration{0}});
  });
}

// What a replica shows may be on its way to be acknowledged; the primary shows it then.
void Service::Impl::wait_for_batch(Call call, Consistency asked, Look look,
                                   const LedgerPosition& seen,
                                   std::optional<std::chrono::nanoseconds> until) {
  TRUED_ASSERT(asked.token.has_value() && asked.token->batch > seen.batch);
  constexpr std::chrono::milliseconds kPatience{1'000};
  constexpr std::chrono::milliseconds kPause{50};
  const auto now = ports.clock.monotonic();
  const auto end = until.value_or(now + kPatience);
  if (ports.replicas == nullptr || now + kPause > end) {
    return call.fail(session_ahead(*asked.token, seen));
  }
  auto shared = std::make_shared<Call>(std::move(call));
  later.at(now + kPause, [self = shared_from_this(), shared, asked = std::move(asked),
                          look = std::move(look), end]() mutable {
    self->read_here(std::move(*shared), std::move(asked), std::move(look), end);
  });
}

void Service::Impl::read(Call call, Consistency asked, Look look) {
  if (asked.level == Level::strong || ports.replicas == nullptr) {
    return read_here(std::move(call), std::move(asked), std::move(look), std::nullopt);
  }
  auto otherwise = [self = shared_from_this(), asked, look](Call here) mutable {
    if (self->ports.engine == nullptr) return self->forward(std::move(here));
    self->read_here(std::move(here), std::move(asked), std::move(look), std::nullopt);
  };
  read_at_replicas(*ports.replicas, asked, options.replica_wait, std::move(look), std::move(call),
                   std::move(otherwise));
}

void Service::Impl::get(Call call) {
  const auto id = parse_operation_id(call.id);
  if (!id) return call.fail(no_such_operation(call.id));
  Consistency asked;
  Problem problem;
  if (!read_consistency(call.request, asked, problem)) return call.fail(problem);
  Wait wait = preferred_wait(call.request);
  // A preference may be passed over; a parameter may not.
  if (asked.level != Level::strong) wait = {};
  for (const auto& [name, value] : io::parse_query(call.request.query)) {
    const auto span = read_seconds(value);
    if (!span) return call.fail(malformed("wait must be a whole number of seconds"));
    wait = {.span = *span};
  }
  if (wait.span.count() == 0) {
    Look look = look_at_operation(*id, call.caller, std::string(durability()));
    return read(std::move(call), std::move(asked), std::move(look));
  }
  if (asked.level != Level::strong) {
    return call.fail(malformed(
        "wait is for news, which only the node that acts has: that is a strong read. Leave out "
        "wait, or ask for Trued-Consistency: strong"));
  }
  wait_for_news(std::move(call), *id, asked, wait);
}

void Service::Impl::list(Call call) {
  ListQuery query;
  Consistency asked;
  Problem problem;
  if (!read_consistency(call.request, asked, problem) ||
      !read_list_query(call.request, call.caller, query, problem)) {
    return call.fail(problem);
  }
  Look look = look_at_list(std::move(query), call.caller, std::string(durability()));
  read(std::move(call), std::move(asked), std::move(look));
}

void Service::Impl::events(Call call) {
  const auto id = parse_operation_id(call.id);
  if (!id) return call.fail(no_such_operation(call.id));
  Consistency asked;
  Problem problem;
  if (!read_consistency(call.request, asked, problem)) return call.fail(problem);
  Look look = look_at_events(*id, call.caller);
  read(std::move(call), std::move(asked), std::move(look));
}

}  // namespace trued::api
