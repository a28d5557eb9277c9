#include "api/receipts.h"

#include "base/overloaded.h"
#include "core/cause.h"
#include "json/parse.h"

namespace trued::api {
namespace {

void text_or_null(json::Writer& out, std::string_view name, std::string_view text) {
  out.key(name);
  text.empty() ? out.null() : out.string(text);
}

// Null is neither yes nor no: it is not known.
void known_or_null(json::Writer& out, std::string_view name, std::optional<bool> known) {
  out.key(name);
  known ? out.boolean(*known) : out.null();
}

void time_or_null(json::Writer& out, std::string_view name, const std::optional<WallTime>& at) {
  out.key(name);
  at ? out.string(format_rfc3339(*at)) : out.null();
}

void write_content(json::Writer& out, const ContentId& id) {
  out.begin_object().member("sha256", std::string_view(id.sha256.hex()));
  out.member("bytes", id.bytes).end_object();
}

void write_intended(json::Writer& out, const ArtifactSummary& meant) {
  out.key("intended");
  if (meant.absent) {
    out.begin_object().member("absent", true).end_object();
  } else {
    write_content(out, meant.id);
  }
}

void write_observed(json::Writer& out, const Observation& read) {
  switch (read.seen) {
    case Seen::found:
      write_content(out, read.id);
      return;
    case Seen::absent:
      out.begin_object().member("absent", true).end_object();
      return;
    case Seen::unreadable:
      out.begin_object().member("unreadable", std::string_view(read.detail)).end_object();
      return;
  }
}

void write_check(json::Writer& out, const ArtifactState& artifact, Level level) {
  const LevelCheck& check = level == Level::store ? artifact.store : artifact.serving;
  // What held before anything was sent was read then and not again.
  const bool held = !check.verdict && !check.last && check.baseline;
  const Observation* read = check.last ? &*check.last : held ? &*check.baseline : nullptr;
  out.begin_object().member("name", std::string_view(artifact.meant.name));
  out.member("level", to_string(level));
  out.key("verdict");
  if (check.verdict) {
    out.string(to_string(*check.verdict));
  } else if (held) {
    out.string(to_string(judge(artifact.meant, *check.baseline)));
  } else {
    out.null();
  }
  out.member("reads", held ? 1U : check.reads);
  write_intended(out, artifact.meant);
  out.key("observed");
  read == nullptr ? static_cast<void>(out.null()) : write_observed(out, *read);
  if (read != nullptr) {
    if (!read->version.empty()) out.member("version", std::string_view(read->version));
    if (!read->served_by.empty()) out.member("served_by", std::string_view(read->served_by));
    if (!read->detail.empty()) out.member("detail", std::string_view(read->detail));
  }
  out.key("read_at");
  read == nullptr ? out.null() : out.string(format_rfc3339(read->read_at));
  out.end_object();
}

void write_next(json::Writer& out, const Operation& operation) {
  const NextStep next = next_step(operation);
  out.key("next").begin_object().member("action", to_string(next.action));
  text_or_null(out, "detail", next.detail);
  time_or_null(out, "after", next.after);
  out.end_object();
}

void write_result(json::Writer& out, const std::string& result) {
  out.key("result");
  if (result.empty()) {
    out.null();
    return;
  }
  // From a connector: JSON where it is JSON, else a text.
  json::parse(result).has_value() ? out.raw(result) : out.string(result);
}

void write_reads(json::Writer& out, const std::vector<Observation>& reads) {
  out.key("reads").begin_array();
  for (const Observation& read : reads) {
    out.begin_object().member("artifact", read.artifact);
    out.member("level", to_string(read.level)).key("observed");
    write_observed(out, read);
    text_or_null(out, "version", read.version);
    text_or_null(out, "served_by", read.served_by);
    text_or_null(out, "detail", read.detail);
    out.member("read_at", std::string_view(format_rfc3339(read.read_at)));
    out.member("latency_ms", static_cast<std::int64_t>(read.latency.count())).end_object();
  }
  out.end_array();
}

void write_history(json::Writer& out, const History& history) {
  out.key("history");
  if (!history.known) {
    out.null();
    return;
  }
  out.begin_object().member("ours_present", history.ours_present);
  out.member("reported_present", history.reported_present);
  text_or_null(out, "our_version", history.our_version);
  if (!history.result.empty()) out.key("result").raw(history.result);
  out.key("artifacts").begin_array();
  for (const ArtifactHistory& artifact : history.artifacts) {
    out.begin_object().member("landed", artifact.landed);
    text_or_null(out, "replaced_by", artifact.replaced_by);
    out.end_object();
  }
  out.end_array().end_object();
}

void attempt(json::Writer& out, AttemptNo number) { out.member("attempt", number.value()); }

void write_fields(json::Writer& out, const Accepted& e) {
  out.member("type", std::string_view(e.identity.type));
  out.member("scope", std::string_view(e.identity.scope));
  out.member("key", std::string_view(e.identity.key));
  out.member("fingerprint", std::string_view("sha256:" + e.fingerprint.value().hex()));
  out.member("definition", std::string_view(e.definition));
  out.member("target", std::string_view(e.target));
  text_or_null(out, "actor", e.actor);
  out.member("priority", to_string(e.priority)).member("verified", e.verify);
  out.key("levels").begin_array().string("store");
  if (e.has_serving) out.string("serving");
  out.end_array();
  time_or_null(out, "not_before", e.not_before);
  out.member("deadline", std::string_view(format_rfc3339(e.deadline)));
  out.member("retention", std::string_view(format_duration(e.retention)));
  out.member("on_failure", to_string(e.on_failure));
  out.key("artifacts").begin_array();
  for (const ArtifactSummary& meant : e.artifacts) {
    out.begin_object().member("name", std::string_view(meant.name));
    write_intended(out, meant);
    out.end_object();
  }
  out.end_array();
}

void write_fields(json::Writer& out, const EffectEnded& e) {
  attempt(out, e.attempt);
  out.member("outcome", to_string(e.kind));
  known_or_null(out, "changed", known_change(e));
  text_or_null(out, "version", e.version);
  text_or_null(out, "version_before", e.version_before);
  write_result(out, e.result);
  text_or_null(out, "reason", e.reason);
}

void write_fields(json::Writer& out, const Settled& e) {
  out.member("state", to_string(e.state));
  text_or_null(out, "reason", e.reason);
  out.key("tell");
  e.tell ? out.string(to_string(*e.tell)) : out.null();
  const bool undone = e.state == State::compensated;
  text_or_null(out, "superseded_by", undone ? std::string() : e.superseded_by);
  if (undone) out.member("compensated_by", std::string_view(e.superseded_by));
}

void write_fields(json::Writer& out, const Event& event) {
  std::visit(Overloaded{
                 [&](const Accepted& e) { write_fields(out, e); },
                 [&](const AttemptStarted& e) {
                   attempt(out, e.attempt);
                   out.member("report_by", std::string_view(format_rfc3339(e.report_by)));
                 },
                 [&](const BaselineRead& e) { write_reads(out, e.reads); },
                 [&](const EffectEnded& e) { write_fields(out, e); },
                 [&](const ReadBack& e) {
                   attempt(out, e.attempt);
                   write_reads(out, e.reads);
                   write_history(out, e.history);
                 },
                 [&](const WaitScheduled& e) {
                   out.member("due_for", to_string(e.due_for));
                   out.member("due_at", std::string_view(format_rfc3339(e.due_at)));
                   text_or_null(out, "reason", e.reason);
                 },
                 [&](const LieCaught& e) {
                   attempt(out, e.attempt);
                   out.member("tell", to_string(e.tell));
                   text_or_null(out, "detail", e.detail);
                 },
                 [&](const Settled& e) { write_fields(out, e); },
                 [&](const PersonActed& e) {
                   out.member("action", to_string(e.action));
                   text_or_null(out, "who", e.who);
                   text_or_null(out, "why", e.why);
                 },
                 [&](const Repeated& e) {
                   out.member("decision", std::string_view(e.decision)).member("count", e.count);
                 },
                 [&](const LateEvidence& e) {
                   attempt(out, e.attempt);
                   out.member("outcome", to_string(e.kind));
                   text_or_null(out, "detail", e.detail);
                 },
                 [&](const Recovered& e) { attempt(out, e.attempt); },
             },
             event);
}

void write_artifacts(json::Writer& out, const Operation& operation) {
  out.key("artifacts").begin_array();
  for (const ArtifactState& artifact : operation.artifacts) {
    write_check(out, artifact, Level::store);
    if (operation.has_serving) write_check(out, artifact, Level::serving);
  }
  out.end_array();
}

void write_tells(json::Writer& out, const Operation& operation) {
  out.key("tell");
  operation.tell ? out.string(to_string(*operation.tell)) : out.null();
  out.key("tells").begin_array();
  for (const CaughtTell& caught : operation.tells) {
    out.begin_object();
    attempt(out, caught.attempt);
    out.member("tell", to_string(caught.tell)).end_object();
  }
  out.end_array();
}

}  // namespace

void write_receipt(json::Writer& out, const Operation& o, std::optional<SubmitDecision> decision,
                   std::string_view durability) {
  const std::string id = to_string(o.id);
  out.begin_object().member("id", std::string_view(id));
  out.member("type", std::string_view(o.identity.type));
  out.member("scope", std::string_view(o.identity.scope));
  out.member("key", std::string_view(o.identity.key));
  if (decision) out.member("decision", to_string(*decision));
  out.member("status", to_string(status_of(o.state))).member("state", to_string(o.state));
  known_or_null(out, "changed", known_change(o));
  out.member("verified", o.verify).member("attempts", o.attempts);
  out.member("fingerprint", std::string_view("sha256:" + o.fingerprint.value().hex()));
  out.member("definition", std::string_view(o.definition));
  out.member("target", std::string_view(o.target));
  text_or_null(out, "actor", o.actor);
  out.member("priority", to_string(o.priority));
  write_artifacts(out, o);
  write_tells(out, o);
  text_or_null(out, "reason", o.reason);
  const auto cause = cause_of(o);
  text_or_null(out, "cause", cause ? to_string(*cause) : "");
  const bool undone = o.state == State::compensated;
  text_or_null(out, "superseded_by", undone ? std::string() : o.superseded_by);
  if (undone) out.member("compensated_by", std::string_view(o.superseded_by));
  text_or_null(out, "version", o.version);
  write_result(out, o.result);
  write_next(out, o);
  out.member("durability", durability);
  out.member("created_at", std::string_view(format_rfc3339(o.created_at)));
  out.member("updated_at", std::string_view(format_rfc3339(o.updated_at)));
  out.member("deadline", std::string_view(format_rfc3339(o.deadline)));
  out.key("links").begin_object();
  out.member("self", std::string_view("/v1/operations/" + id));
  out.member("events", std::string_view("/v1/operations/" + id + "/events")).end_object();
  out.end_object();
}

std::string receipt(const Operation& operation, std::optional<SubmitDecision> decision,
                    std::string_view durability) {
  std::string text;
  text.reserve(1'024);
  json::Writer out(text);
  write_receipt(out, operation, decision, durability);
  return text;
}

void write_event(json::Writer& out, const EventRecord& record) {
  out.begin_object().member("event", name_of(record.event));
  out.member("at", std::string_view(format_rfc3339(record.at)));
  out.member("sequence", record.sequence).member("batch", record.batch);
  write_fields(out, record.event);
  out.end_object();
}

}  // namespace trued::api
