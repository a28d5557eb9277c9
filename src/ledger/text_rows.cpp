// Rows as JSON: as the first two schemas wrote them, and to show a person what differs.
#include "json/parse.h"
#include "ledger/codec.h"
#include "ledger/fields.h"

namespace trued {
namespace {

using codec::Get;
using codec::put;

void put_check(json::Writer& out, std::string_view name, const LevelCheck& check) {
  if (!check.verdict && check.reads == 0 && !check.last && !check.baseline) return;
  out.key(name).begin_object();
  if (check.verdict) out.member("v", to_string(*check.verdict));
  put(out, "r", check.reads);
  put(out, "dis", check.replicas_disagreed);
  if (check.last) {
    out.key("last");
    codec::put_value(out, *check.last);
  }
  if (check.baseline) {
    out.key("base");
    codec::put_value(out, *check.baseline);
  }
  out.end_object();
}

void get_observation(Get& get, std::string_view name, std::optional<Observation>& read) {
  const json::Value* object = get.object(name);
  if (object == nullptr) return;
  Get each(*object);
  codec::get_value(each, read.emplace());
  get.absorb(each);
}

void get_check(Get& get, std::string_view name, LevelCheck& check) {
  const json::Value* object = get.object(name);
  if (object == nullptr) return;
  Get each(*object);
  if (each.object("v") != nullptr) {
    Verdict verdict{};
    each.word("v", verdict, &parse_verdict);
    check.verdict = verdict;
  }
  each.number("r", check.reads);
  each.flag("dis", check.replicas_disagreed);
  get_observation(each, "last", check.last);
  get_observation(each, "base", check.baseline);
  get.absorb(each);
}

void put_declared(json::Writer& out, const Operation& o) {
  put(out, "fp", o.fingerprint.value());
  put(out, "def", o.definition);
  put(out, "actor", o.actor);
  if (o.priority != Priority::normal) out.member("prio", to_string(o.priority));
  if (!o.verify) out.member("verify", false);
  put(out, "serving", o.has_serving);
  put(out, "not_before", o.not_before);
  put(out, "deadline", o.deadline);
  put(out, "retention", o.retention);
  if (o.on_failure != OnFailure::replay) out.member("on_failure", to_string(o.on_failure));
}

void put_progress(json::Writer& out, const Operation& o) {
  put(out, "reason", o.reason);
  if (o.tell) out.member("tell", to_string(*o.tell));
  if (!o.tells.empty()) {
    out.key("tells").begin_array();
    for (const CaughtTell& caught : o.tells) {
      out.begin_object().member("n", caught.attempt.value());
      out.member("tell", to_string(caught.tell)).end_object();
    }
    out.end_array();
  }
  put(out, "by", o.superseded_by);
  put(out, "attempts", o.attempts);
  put(out, "counted", o.attempts_counted);
  put(out, "sent", o.sent);
  if (o.effect != EffectKind::none) out.member("effect", to_string(o.effect));
  put(out, "changed", o.changed);
  put(out, "version", o.version);
  put(out, "before", o.version_before);
  put(out, "result", o.result);
  put(out, "reads", o.reads_done);
  put(out, "unreadable", o.unreadable_rounds);
  put(out, "rounds", o.serving_rounds);
  put(out, "ended", o.effect_ended_at);
  codec::put(out, "history", o.history);
  if (o.due_for != Due::none) out.member("due", to_string(o.due_for));
  put(out, "due_at", o.due_at);
  put(out, "events", o.events);
  put(out, "updated", o.updated_at);
  put(out, "settled", o.settled_at);
}

void get_declared(Get& get, Operation& o) {
  Digest fingerprint;
  get.digest("fp", fingerprint);
  o.fingerprint = Fingerprint(fingerprint);
  get.text("def", o.definition);
  get.text("actor", o.actor);
  get.word("prio", o.priority, &parse_priority);
  get.flag("verify", o.verify);
  get.flag("serving", o.has_serving);
  get.moment("not_before", o.not_before);
  get.moment("deadline", o.deadline);
  get.span("retention", o.retention);
  get.word("on_failure", o.on_failure, &parse_on_failure);
}

void get_tells(Get& get, Operation& o) {
  if (get.object("tell") != nullptr) {
    Tell tell{};
    get.word("tell", tell, &parse_tell);
    o.tell = tell;
  }
  const auto* list = get.list("tells");
  if (list == nullptr) return;
  for (const json::Value& value : *list) {
    Get each(value);
    CaughtTell& caught = o.tells.emplace_back();
    each.attempt("n", caught.attempt);
    each.word("tell", caught.tell, &parse_tell);
    get.absorb(each);
  }
}

void get_progress(Get& get, Operation& o) {
  get.text("reason", o.reason);
  get_tells(get, o);
  get.text("by", o.superseded_by);
  get.number("attempts", o.attempts);
  get.number("counted", o.attempts_counted);
  get.flag("sent", o.sent);
  get.word("effect", o.effect, &parse_effect_kind);
  get.flag("changed", o.changed);
  get.text("version", o.version);
  get.text("before", o.version_before);
  get.text("result", o.result);
  get.number("reads", o.reads_done);
  get.number("unreadable", o.unreadable_rounds);
  get.number("rounds", o.serving_rounds);
  get.moment("ended", o.effect_ended_at);
  codec::get_history(get, "history", o.history);
  get.word("due", o.due_for, &parse_due);
  get.moment("due_at", o.due_at);
  get.number("events", o.events);
  get.moment("updated", o.updated_at);
  get.moment("settled", o.settled_at);
}

}  // namespace

std::string text_of_row(const Operation& operation) {
  std::string text;
  text.reserve(512);
  json::Writer out(text);
  out.begin_object();
  put_declared(out, operation);
  put_progress(out, operation);
  out.key("artifacts").begin_array();
  for (const ArtifactState& artifact : operation.artifacts) {
    out.begin_object().key("m");
    codec::put_value(out, artifact.meant);
    put_check(out, "st", artifact.store);
    put_check(out, "sv", artifact.serving);
    out.end_object();
  }
  out.end_array().end_object();
  return text;
}

namespace codec {

Result<void> decode_text_row(std::string_view text, Operation& operation) {
  TRUED_TRY(const json::Value row,
            json::parse(text, {.depth_max = 64, .bytes_max = std::size_t{1} << 30}));
  Get get(row);
  for (const auto* member : {"fp", "artifacts"}) get.need(member);
  get_declared(get, operation);
  get_progress(get, operation);
  if (const auto* list = get.list("artifacts")) {
    operation.artifacts.reserve(list->size());
    for (const json::Value& value : *list) {
      Get each(value);
      ArtifactState& artifact = operation.artifacts.emplace_back();
      if (const json::Value* meant = each.object("m")) {
        Get one(*meant);
        codec::get_value(one, artifact.meant);
        each.absorb(one);
      } else {
        each.fail("an artifact without what was meant");
      }
      get_check(each, "st", artifact.store);
      get_check(each, "sv", artifact.serving);
      get.absorb(each);
    }
  }
  if (get.fault()) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the ledger holds a row that cannot be read: " + *get.fault()};
  }
  return {};
}

}  // namespace codec
}  // namespace trued
