#include "ledger/codec.h"

#include <cstring>

#include "base/overloaded.h"
#include "json/parse.h"
#include "ledger/fields.h"

namespace trued {
namespace {

using codec::Get;
using codec::put;

// Records hold what was accepted; the limits of requests do not apply to them.
constexpr json::ParseLimits kRecordLimits{.depth_max = 64, .bytes_max = std::size_t{1} << 30};

Error corrupt(std::string_view what) {
  return {.code = ErrorCode::corrupt,
          .message = "the ledger holds a record that cannot be read: " + std::string(what)};
}

void put_attempt(json::Writer& out, AttemptNo attempt) { out.member("n", attempt.value()); }

void put_accepted(json::Writer& out, const OperationId& id, const Accepted& e) {
  out.member("id", std::string_view(to_string(id)));
  put(out, "scope", e.identity.scope);
  put(out, "type", e.identity.type);
  put(out, "key", e.identity.key);
  put(out, "fp", e.fingerprint.value());
  put(out, "def", e.definition);
  put(out, "target", e.target);
  put(out, "actor", e.actor);
  if (e.priority != Priority::normal) out.member("prio", to_string(e.priority));
  if (!e.verify) out.member("verify", false);
  put(out, "serving", e.has_serving);
  put(out, "not_before", e.not_before);
  put(out, "deadline", e.deadline);
  put(out, "retention", e.retention);
  if (e.on_failure != OnFailure::replay) out.member("on_failure", to_string(e.on_failure));
  out.key("artifacts").begin_array();
  for (const ArtifactSummary& meant : e.artifacts) codec::put_value(out, meant);
  out.end_array();
}

void put_effect_ended(json::Writer& out, const EffectEnded& e) {
  put_attempt(out, e.attempt);
  out.member("kind", to_string(e.kind));
  put(out, "changed", e.changed);
  put(out, "version", e.version);
  put(out, "before", e.version_before);
  put(out, "result", e.result);
  put(out, "reason", e.reason);
}

void put_settled(json::Writer& out, const Settled& e) {
  out.member("state", to_string(e.state));
  put(out, "reason", e.reason);
  if (e.tell) out.member("tell", to_string(*e.tell));
  put(out, "by", e.superseded_by);
}

void put_person(json::Writer& out, const PersonActed& e) {
  out.member("action", to_string(e.action));
  put(out, "who", e.who);
  put(out, "why", e.why);
  put(out, "deadline", e.deadline);
}

void put_fields(json::Writer& out, const OperationId& id, const Event& event) {
  std::visit(Overloaded{
                 [&](const Accepted& e) { put_accepted(out, id, e); },
                 [&](const AttemptStarted& e) {
                   put_attempt(out, e.attempt);
                   put(out, "by", e.report_by);
                 },
                 [&](const BaselineRead& e) { codec::put_reads(out, "reads", e.reads); },
                 [&](const EffectEnded& e) { put_effect_ended(out, e); },
                 [&](const ReadBack& e) {
                   put_attempt(out, e.attempt);
                   codec::put_reads(out, "reads", e.reads);
                   codec::put(out, "history", e.history);
                 },
                 [&](const WaitScheduled& e) {
                   out.member("for", to_string(e.due_for));
                   put(out, "at", e.due_at);
                   put(out, "reason", e.reason);
                 },
                 [&](const LieCaught& e) {
                   put_attempt(out, e.attempt);
                   out.member("tell", to_string(e.tell));
                   put(out, "detail", e.detail);
                 },
                 [&](const Settled& e) { put_settled(out, e); },
                 [&](const PersonActed& e) { put_person(out, e); },
                 [&](const Repeated& e) {
                   put(out, "decision", e.decision);
                   out.member("count", e.count);
                 },
                 [&](const LateEvidence& e) {
                   put_attempt(out, e.attempt);
                   out.member("kind", to_string(e.kind));
                   put(out, "detail", e.detail);
                 },
                 [&](const Recovered& e) { put_attempt(out, e.attempt); },
             },
             event);
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

std::string big_endian(std::uint64_t number) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(number >> (56 - 8 * i) & 0xff);
  }
  return bytes;
}

std::string big_endian(WallTime at) {
  return big_endian(static_cast<std::uint64_t>(at.time_since_epoch().count()));
}

std::string_view as_text(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace

std::string encode_events(const OperationId& id, const std::vector<Event>& events) {
  std::string text;
  text.reserve(256 * events.size());
  json::Writer out(text);
  out.begin_array();
  for (const Event& event : events) {
    out.begin_object().member("e", name_of(event));
    put_fields(out, id, event);
    out.end_object();
  }
  out.end_array();
  return text;
}

Result<std::vector<Event>> decode_events(std::string_view text) {
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

Result<OperationId> decode_accepted_id(std::string_view text) {
  TRUED_TRY(const json::Value record, json::parse(text, kRecordLimits));
  if (!record.is_array() || record.items().empty()) return corrupt("it holds no event");
  Get get(record.items().front());
  std::string id;
  get.text("id", id);
  const auto parsed = parse_operation_id(id);
  if (!parsed) return corrupt("an accepted event without its id");
  return *parsed;
}

std::string encode_mark(const Tombstone& tombstone, std::string_view identity) {
  std::string text;
  json::Writer out(text);
  out.begin_array().begin_object().member("e", "retired");
  out.member("id", std::string_view(to_string(tombstone.id)));
  out.member("identity", std::string_view(base64_encode(identity)));
  put(out, "fp", tombstone.fingerprint.value());
  out.member("state", to_string(tombstone.state));
  put(out, "settled", tombstone.settled_at);
  put(out, "at", tombstone.retired_at);
  out.end_object().end_array();
  return text;
}

std::string encode_base(const LogBase& base) {
  std::string text;
  json::Writer out(text);
  out.begin_array().begin_object().member("e", "base");
  out.member("batch", base.batch).member("sequence", base.sequence);
  put(out, "hash", base.hash);
  put(out, "tombs", base.tombs);
  out.end_object().end_array();
  return text;
}

Digest bury(const Digest& tombs, std::string_view mark) {
  Sha256 hash;
  hash.update(as_text(tombs));
  hash.update(mark);
  return hash.finish();
}

Digest record_digest(std::uint64_t sequence, std::uint64_t operation, WallTime at,
                     std::string_view record) {
  std::string head = big_endian(sequence);
  head += big_endian(operation);
  head += big_endian(at);
  if (record.size() < 4'096) {
    head += record;
    return sha256(head);
  }
  Sha256 hash;
  hash.update(head);
  hash.update(record);
  return hash.finish();
}

BatchHash::BatchHash(const Digest& previous, std::uint64_t batch, WallTime at) {
  hash_.update(as_text(previous));
  hash_.update(big_endian(batch));
  hash_.update(big_endian(at));
}

void BatchHash::add(const Digest& record) { hash_.update(as_text(record)); }

Digest BatchHash::finish() { return hash_.finish(); }

Fingerprint fingerprint_of(std::string_view canonical_input, std::string_view type) {
  // Members in RFC 8785 order: "input" sorts before "type".
  std::string request = "{\"input\":";
  request += canonical_input;
  request += ",\"type\":";
  json::write_string(type, request);
  request += '}';
  return Fingerprint(sha256(request));
}

}  // namespace trued
