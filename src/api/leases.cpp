// What workers ask for, and what they say of it.
#include <algorithm>
#include <utility>

#include "api/impl.h"
#include "base/digest.h"
#include "core/ids.h"
#include "json/writer.h"
#include "target/trace.h"

namespace trued::api {
namespace {

constexpr std::size_t kNamesMax = 100;
constexpr std::int64_t kLeasesMax = 100;
constexpr std::int64_t kRetryAfterMax = 86'400;
constexpr std::size_t kReasonBytesMax = 4'096;
constexpr std::size_t kResultBytesMax = std::size_t{64} << 10;

/// Reads the members of a body, one by one; the first fault stays.
class Body {
 public:
  Body(const std::string& text, std::initializer_list<std::string_view> known) {
    value_ = read_json(text, problem_);
    if (!value_) return;
    if (!value_->is_object()) {
      fail(malformed("the body must be an object"));
      return;
    }
    std::string all;
    for (const std::string_view name : known) all += (all.empty() ? "" : ", ") + std::string(name);
    for (const auto& [name, value] : value_->members()) {
      if (std::ranges::find(known, name) == known.end()) {
        fail(malformed("unknown member '" + name + "'; there are " + all, pointer_to(name)));
        return;
      }
    }
  }

  [[nodiscard]] bool sound() const { return problem_.detail.empty(); }
  [[nodiscard]] const Problem& problem() const { return problem_; }

  void fail(Problem problem) {
    if (sound()) problem_ = std::move(problem);
  }
  void wrong(std::string_view name, const std::string& what) {
    fail(malformed("'" + std::string(name) + "' " + what, pointer_to(name)));
  }

  const json::Value* get(std::string_view name) const {
    return sound() ? value_->find(name) : nullptr;
  }
  std::string text(std::string_view name, std::size_t bytes_max) {
    const json::Value* value = get(name);
    if (value == nullptr) return {};
    if (value->is_string() && value->as_string().size() <= bytes_max) return value->as_string();
    wrong(name, "must be a string of at most " + std::to_string(bytes_max) + " bytes");
    return {};
  }
  bool flag(std::string_view name, bool otherwise) {
    const json::Value* value = get(name);
    if (value == nullptr) return otherwise;
    if (value->is_bool()) return value->as_bool();
    wrong(name, "must be true or false");
    return otherwise;
  }
  std::int64_t number(std::string_view name, std::int64_t least, std::int64_t most,
                      std::int64_t otherwise) {
    const json::Value* value = get(name);
    if (value == nullptr) return otherwise;
    const bool whole = value->is_int();
    if (whole && value->as_int() >= least && value->as_int() <= most) return value->as_int();
    wrong(name,
          "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return otherwise;
  }
  std::vector<std::string> names(std::string_view name) {
    const json::Value* value = get(name);
    if (value == nullptr) return {};
    std::vector<std::string> out;
    const bool fits = value->is_array() && !value->items().empty() &&
                      value->items().size() <= kNamesMax &&
                      std::ranges::all_of(value->items(), [](const json::Value& item) {
                        return item.is_string() && valid_name(item.as_string());
                      });
    if (!fits) {
      wrong(name, "must be an array of 1 to 100 names; leave it out for all");
      return {};
    }
    for (const json::Value& item : value->items()) out.push_back(item.as_string());
    return out;
  }
  AttemptNo attempt() {
    if (sound() && get("attempt") == nullptr) wrong("attempt", "is missing: as it was handed out");
    constexpr std::int64_t kMost = 0xffff'ffff;
    return AttemptNo(static_cast<std::uint32_t>(number("attempt", 1, kMost, 1)));
  }
  // The token's name, which cannot be left out, then who the worker says it is.
  std::string worker(const Caller& caller) {
    std::string name = text("worker", kReasonBytesMax);
    if (sound() && !valid_name(name)) {
      wrong("worker", "must name who asks: 1 to 64 characters of [A-Za-z0-9_.-]");
    }
    return caller.actor.empty() ? name : caller.actor + "/" + name;
  }

 private:
  std::optional<json::Value> value_;
  Problem problem_{.detail = ""};
};

std::optional<Problem> check_targets(const std::vector<std::string>& named, const Targets& all) {
  for (std::size_t i = 0; i < named.size(); ++i) {
    const auto target = all.find(named.at(i));
    const std::string pointer = "/targets/" + std::to_string(i);
    if (target == all.end()) {
      return Problem{.name = "no-such-target",
                     .detail = "there is no target '" + named.at(i) + "' here",
                     .pointer = pointer};
    }
    if (target->second.policy.lease.count() == 0) {
      return Problem{.name = "input-invalid",
                     .detail = "the target '" + named.at(i) + "' is of kind " +
                               target->second.kind +
                               ": nothing of it is handed to workers, which are of kind worker",
                     .pointer = pointer};
    }
  }
  const bool any = std::ranges::any_of(
      all, [](const auto& entry) { return entry.second.policy.lease.count() > 0; });
  if (any) return std::nullopt;
  return Problem{.name = "input-invalid",
                 .detail = "no target here is of kind \"worker\": nothing will ever be handed out"};
}

void write_lease(json::Writer& out, const Lease& lease) {
  const Operation& operation = *lease.operation;
  out.begin_object().member("id", std::string_view(to_string(operation.id)));
  out.member("attempt", operation.attempts);
  out.member("type", std::string_view(operation.identity.type));
  out.member("definition", std::string_view(operation.definition));
  out.member("target", std::string_view(operation.target));
  out.key("scope").exact(operation.identity.scope).key("key").exact(operation.identity.key);
  out.member("identity", std::string_view(effect_identity(operation.identity)));
  out.key("actor");
  operation.actor.empty() ? out.null() : out.string(operation.actor);
  out.member("priority", to_string(operation.priority));
  out.member("deadline", std::string_view(format_rfc3339(operation.deadline)));
  out.member("lease_until", std::string_view(format_rfc3339(lease.until)));
  out.member("lease_ms", static_cast<std::int64_t>(lease.span.count()));
  out.member("traceparent",
             std::string_view(traceparent_of(operation.id, AttemptNo(operation.attempts),
                                             effect_identity(operation.identity))));
  out.key("input");
  const bool given = lease.intent && !lease.intent->input.empty();
  given ? out.raw(lease.intent->input) : out.null();
  out.key("payload").raw(lease.payload.empty() ? "{}" : lease.payload);
  out.end_object();
}

io::HttpResponse leases_response(const std::vector<Lease>& leases) {
  std::string body;
  json::Writer out(body);
  out.begin_object().key("leases").begin_array();
  for (const Lease& lease : leases) write_lease(out, lease);
  out.end_array().end_object();
  return json_response(200, std::move(body));
}

std::string detail_of(const WorkAnswer& answer, AttemptNo attempt) {
  if (answer.counted) return answer.repeated ? "it was said before, and counted" : "it counts";
  return "it came too late: attempt " + std::to_string(attempt.value()) +
         " is not waited for any more; what was said is kept as evidence and moved nothing";
}

io::HttpResponse completed_response(const WorkAnswer& answer, AttemptNo attempt) {
  const Operation& operation = *answer.operation;
  std::string body;
  json::Writer out(body);
  out.begin_object().member("id", std::string_view(to_string(operation.id)));
  out.member("attempt", attempt.value()).member("counted", answer.counted);
  out.member("repeated", answer.repeated);
  out.member("state", to_string(operation.state));
  out.member("status", to_string(status_of(operation.state)));
  out.member("detail", std::string_view(detail_of(answer, attempt))).end_object();
  return json_response(200, std::move(body));
}

io::HttpResponse beat_response(const Operation& operation, AttemptNo attempt) {
  std::string body;
  json::Writer out(body);
  out.begin_object().member("id", std::string_view(to_string(operation.id)));
  out.member("attempt", attempt.value());
  out.member("lease_until",
             std::string_view(format_rfc3339(operation.due_at.value_or(operation.deadline))));
  out.end_object();
  return json_response(200, std::move(body));
}

// What the worker says came of it.
EffectEnded ended_of(Body& body, Duration& retry_after) {
  EffectEnded ended;
  const std::string outcome = body.text("outcome", kReasonBytesMax);
  const bool retryable = body.flag("retryable", false);
  ended.changed = body.flag("changed", outcome == "acknowledged");
  ended.version = body.text("version", kReasonBytesMax);
  ended.reason = body.text("reason", kReasonBytesMax);
  retry_after = Duration{1'000 * body.number("retry_after", 0, kRetryAfterMax, 0)};
  if (outcome == "acknowledged") {
    ended.kind = EffectKind::acknowledged;
    ended.reason.clear();
  } else if (outcome == "rejected") {
    ended.kind = retryable ? EffectKind::rejected_retryable : EffectKind::rejected_final;
  } else if (outcome == "unknown") {
    ended.kind = EffectKind::unknown;
  } else {
    body.wrong("outcome", "must be \"acknowledged\", \"rejected\" or \"unknown\"");
  }
  if (ended.kind != EffectKind::acknowledged && ended.reason.empty()) {
    ended.reason = "the worker gave no reason";
  }
  if (retryable && outcome != "rejected") {
    body.wrong("retryable", "is for the outcome \"rejected\" alone");
  }
  if (retry_after.count() > 0 && !retryable) {
    body.wrong("retry_after", "is for what was rejected and is retryable");
  }
  const json::Value* result = body.get("result");
  if (result == nullptr || result->is_null()) return ended;
  ended.result = json::canonical(*result);
  if (ended.result.size() > kResultBytesMax) body.wrong("result", "has more than 64 KiB as JSON");
  if (ended.kind != EffectKind::acknowledged) {
    body.wrong("result", "is for the outcome \"acknowledged\" alone; say the rest in 'reason'");
  }
  return ended;
}

std::optional<OperationId> operation_of(Call& call) {
  const auto id = parse_operation_id(call.id);
  if (!id) {
    call.fail(
        {.name = "no-such-operation", .detail = "there is no operation '" + call.id + "' here"});
  }
  return id;
}

}  // namespace

void Service::Impl::lease(Call call) {
  Body body(call.request.body, {"worker", "targets", "types", "max", "wait"});
  LeaseAsk ask;
  ask.worker = body.worker(call.caller);
  ask.targets = body.names("targets");
  ask.types = body.names("types");
  ask.max = static_cast<std::uint32_t>(body.number("max", 1, kLeasesMax, 1));
  const auto seconds = body.number("wait", 0, kWaitMax.count() / 1'000, 0);
  if (!body.sound()) return call.fail(body.problem());
  if (const auto problem = check_targets(ask.targets, ports.targets)) return call.fail(*problem);
  if (!call.caller.rights->everywhere()) {
    ask.covers = [rights = call.caller.rights](const std::string& scope) {
      return rights->covers(scope);
    };
  }
  ask.gone = [gone = call.responder.watch()] { return gone->load(); };
  auto shared = std::make_shared<Call>(std::move(call));
  ports.engine->lease(
      std::move(ask), Duration{1'000 * seconds},
      [self = shared_from_this(),
       shared](std::variant<std::vector<Lease>, EngineProblem> reply) mutable {
        if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
          return shared->fail(problem_of(*refused));
        }
        shared->answer_made([leases = std::move(std::get<std::vector<Lease>>(reply))] {
          return leases_response(leases);
        });
      });
}

void Service::Impl::heartbeat(Call call) {
  const auto id = operation_of(call);
  if (!id) return;
  Body body(call.request.body, {"worker", "attempt"});
  Heartbeat beat{.attempt = body.attempt(), .worker = body.worker(call.caller), .baseline = {}};
  if (!body.sound()) return call.fail(body.problem());
  if_visible(std::move(call), *id, [self = shared_from_this(), id = *id, beat](Call later) {
    auto shared = std::make_shared<Call>(std::move(later));
    self->ports.engine->heartbeat(
        id, beat, [shared, attempt = beat.attempt](std::variant<WorkAnswer, EngineProblem> reply) {
          if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
            return shared->fail(problem_of(*refused));
          }
          shared->answer(beat_response(*std::get<WorkAnswer>(reply).operation, attempt));
        });
  });
}

void Service::Impl::complete(Call call) {
  const auto id = operation_of(call);
  if (!id) return;
  Body body(call.request.body, {"attempt", "outcome", "retryable", "changed", "version", "result",
                                "reason", "retry_after", "worker"});
  AttemptReport report;
  report.attempt = body.attempt();
  if (body.get("worker") != nullptr) (void)body.worker(call.caller);
  report.effect = ended_of(body, report.retry_after);
  if (!body.sound()) return call.fail(body.problem());
  if_visible(std::move(call), *id,
             [self = shared_from_this(), id = *id, report = std::move(report)](Call later) mutable {
               auto shared = std::make_shared<Call>(std::move(later));
               const AttemptNo attempt = report.attempt;
               self->ports.engine->complete(
                   id, std::move(report),
                   [shared, attempt](std::variant<WorkAnswer, EngineProblem> reply) {
                     if (const auto* refused = std::get_if<EngineProblem>(&reply)) {
                       return shared->fail(problem_of(*refused));
                     }
                     shared->answer(completed_response(std::get<WorkAnswer>(reply), attempt));
                   });
             });
}

}  // namespace trued::api
