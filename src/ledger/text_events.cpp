// Events as the first two schemas wrote them: JSON. Only read.
#include "json/parse.h"
#include "ledger/codec.h"
#include "ledger/fields.h"

namespace trued {
namespace {

using codec::Get;

// Records hold what was accepted; the limits of requests do not apply to them.
constexpr json::ParseLimits kRecordLimits{.depth_max = 64, .bytes_max = std::size_t{1} << 30};

Error corrupt(std::string_view what) {
  return {.code = ErrorCode::corrupt,
          .message = "the ledger holds a record that cannot be read: " + std::string(what)};
}

Event get_accepted(Get& get) {
  Accepted e;
  Digest fingerprint;
  for (const auto* member : {"id", "fp", "artifacts"}) get.need(member);
  get.text("scope", e.identity.scope);
  get.text("type", e.identity.type);
  get.text("key", e.identity.key);
  get.digest("fp", fingerprint);
  e.fingerprint = Fingerprint(fingerprint);
  get.text("def", e.definition);
  get.text("target", e.target);
  get.text("actor", e.actor);
  get.word("prio", e.priority, &parse_priority);
  get.flag("verify", e.verify);
  get.flag("serving", e.has_serving);
  get.moment("not_before", e.not_before);
  get.moment("deadline", e.deadline);
  get.span("retention", e.retention);
  get.word("on_failure", e.on_failure, &parse_on_failure);
  if (const auto* list = get.list("artifacts")) {
    for (const json::Value& value : *list) {
      Get each(value);
      codec::get_value(each, e.artifacts.emplace_back());
      get.absorb(each);
    }
  }
  return e;
}

Event get_effect_ended(Get& get) {
  EffectEnded e;
  get.need("kind");
  get.need("n");
  get.attempt("n", e.attempt);
  get.word("kind", e.kind, &parse_effect_kind);
  get.flag("changed", e.changed);
  get.text("version", e.version);
  get.text("before", e.version_before);
  get.text("result", e.result);
  get.text("reason", e.reason);
  return e;
}

Event get_settled(Get& get) {
  Settled e;
  get.need("state");
  get.word("state", e.state, &parse_state);
  get.text("reason", e.reason);
  if (get.object("tell") != nullptr) {
    Tell tell{};
    get.word("tell", tell, &parse_tell);
    e.tell = tell;
  }
  get.text("by", e.superseded_by);
  return e;
}

Event get_person(Get& get) {
  PersonActed e;
  get.need("action");
  get.word("action", e.action, &parse_person_action);
  get.text("who", e.who);
  get.text("why", e.why);
  get.moment("deadline", e.deadline);
  return e;
}

Event get_attempt_event(std::string_view name, Get& get) {
  get.need("n");
  if (name == "attempt_started") {
    AttemptStarted e;
    get.attempt("n", e.attempt);
    get.moment("by", e.report_by);
    return e;
  }
  if (name == "read_back") {
    ReadBack e;
    get.attempt("n", e.attempt);
    codec::get_reads(get, "reads", e.reads);
    codec::get_history(get, "history", e.history);
    return e;
  }
  if (name == "lie_caught") {
    LieCaught e;
    get.need("tell");
    get.attempt("n", e.attempt);
    get.word("tell", e.tell, &parse_tell);
    get.text("detail", e.detail);
    return e;
  }
  if (name == "late_evidence") {
    LateEvidence e;
    get.need("kind");
    get.attempt("n", e.attempt);
    get.word("kind", e.kind, &parse_effect_kind);
    get.text("detail", e.detail);
    return e;
  }
  Recovered e;
  get.attempt("n", e.attempt);
  if (name != "recovered") get.fail(name);
  return e;
}

Event get_event(Get& get) {
  std::string name;
  get.text("e", name);
  if (name == "accepted") return get_accepted(get);
  if (name == "effect_ended") return get_effect_ended(get);
  if (name == "settled") return get_settled(get);
  if (name == "person_acted") return get_person(get);
  if (name == "baseline_read") {
    BaselineRead e;
    codec::get_reads(get, "reads", e.reads);
    return e;
  }
  if (name == "wait_scheduled") {
    WaitScheduled e;
    get.need("for");
    get.word("for", e.due_for, &parse_due);
    get.moment("at", e.due_at);
    get.text("reason", e.reason);
    return e;
  }
  if (name == "repeated") {
    Repeated e;
    get.need("decision");
    get.text("decision", e.decision);
    get.number("count", e.count);
    return e;
  }
  return get_attempt_event(name, get);
}
}  // namespace

namespace codec {

Result<std::vector<Event>> decode_text_events(std::string_view text) {
  TRUED_TRY(const json::Value record, json::parse(text, kRecordLimits));
  if (!record.is_array()) return corrupt("it is not an array of events");
  std::vector<Event> events;
  events.reserve(record.items().size());
  for (const json::Value& value : record.items()) {
    Get get(value);
    events.push_back(get_event(get));
    if (get.fault()) return corrupt(*get.fault());
  }
  return events;
}

Result<OperationId> decode_text_id(std::string_view text) {
  TRUED_TRY(const json::Value record, json::parse(text, kRecordLimits));
  if (!record.is_array() || record.items().empty()) return corrupt("it holds no event");
  Get get(record.items().front());
  std::string id;
  get.text("id", id);
  const auto parsed = parse_operation_id(id);
  if (!parsed) return corrupt("an accepted event without its id");
  return *parsed;
}

}  // namespace codec
}  // namespace trued
