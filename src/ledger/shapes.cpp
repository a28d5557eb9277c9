// Shapes that events and rows share, as JSON.
#include "ledger/fields.h"

namespace trued::codec {

void put_value(json::Writer& out, const ArtifactSummary& meant) {
  out.begin_object();
  put(out, "p", meant.name);
  put(out, "x", meant.absent);
  if (!meant.absent) {
    put(out, "h", meant.id.sha256);
    put(out, "n", meant.id.bytes);
  }
  out.end_object();
}

void get_value(Get& get, ArtifactSummary& meant) {
  get.text("p", meant.name);
  get.flag("x", meant.absent);
  if (!meant.absent) get.need("h");
  get.digest("h", meant.id.sha256);
  get.number("n", meant.id.bytes);
}

void put_value(json::Writer& out, const Observation& read) {
  out.begin_object();
  put(out, "a", read.artifact);
  if (read.level != Level::store) out.member("l", to_string(read.level));
  out.member("s", to_string(read.seen));
  if (read.seen == Seen::found) {
    put(out, "h", read.id.sha256);
    put(out, "n", read.id.bytes);
  }
  put(out, "pre", read.proper_prefix);
  put(out, "v", read.version);
  put(out, "by", read.served_by);
  put(out, "d", read.detail);
  put(out, "t", read.read_at);
  put(out, "ms", read.latency);
  out.end_object();
}

void get_value(Get& get, Observation& read) {
  get.number("a", read.artifact);
  get.word("l", read.level, &parse_level);
  get.need("s");
  get.word("s", read.seen, &parse_seen);
  if (read.seen == Seen::found) get.need("h");
  get.digest("h", read.id.sha256);
  get.number("n", read.id.bytes);
  get.flag("pre", read.proper_prefix);
  get.text("v", read.version);
  get.text("by", read.served_by);
  get.text("d", read.detail);
  get.moment("t", read.read_at);
  get.span("ms", read.latency);
}

void get_reads(Get& get, std::string_view name, std::vector<Observation>& reads) {
  const auto* list = get.list(name);
  if (list == nullptr) return;
  reads.resize(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    Get each(list->at(i));
    get_value(each, reads.at(i));
    get.absorb(each);
  }
}

void put(json::Writer& out, std::string_view name, const History& history) {
  if (!history.known) return;
  out.key(name).begin_object();
  put(out, "ours", history.ours_present);
  put(out, "rep", history.reported_present);
  put(out, "v", history.our_version);
  out.key("a").begin_array();
  for (const ArtifactHistory& artifact : history.artifacts) {
    out.begin_object();
    put(out, "l", artifact.landed);
    put(out, "by", artifact.replaced_by);
    out.end_object();
  }
  out.end_array().end_object();
}

void get_history(Get& get, std::string_view name, History& history) {
  const json::Value* object = get.object(name);
  if (object == nullptr) return;
  Get each(*object);
  history.known = true;
  each.flag("ours", history.ours_present);
  each.flag("rep", history.reported_present);
  each.text("v", history.our_version);
  if (const auto* list = each.list("a")) {
    for (const json::Value& value : *list) {
      Get one(value);
      ArtifactHistory& artifact = history.artifacts.emplace_back();
      one.flag("l", artifact.landed);
      one.text("by", artifact.replaced_by);
      each.absorb(one);
    }
  }
  get.absorb(each);
}

}  // namespace trued::codec
