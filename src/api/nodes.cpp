// Who serves the ledger, and who did: GET /v1/nodes and /v1/nodes/history, and what a node that
// stands by says of itself.
#include <utility>

#include "api/dead_letters.h"
#include "api/impl.h"
#include "api/parameters.h"
#include "json/parse.h"
#include "json/writer.h"

namespace trued::api {
namespace {

void write_node(json::Writer& out, const NodeRow& node) {
  out.begin_object().member("name", std::string_view(node.name)).key("url");
  node.url.empty() ? out.null() : out.string(node.url);
  out.member("version", std::string_view(node.version));
  out.member("role", std::string_view(node.role)).key("epoch");
  node.epoch == 0 ? out.null() : out.unsigned_integer(node.epoch);
  out.member("alive", node.alive).member("silent_ms", std::int64_t{node.silent.count()});
  out.member("began_at", std::string_view(format_rfc3339(node.began)));
  out.member("is_this", node.is_this).key("holds");
  // Another node's words: an object, or nothing.
  const auto detail = json::parse(node.detail);
  const bool is_object = detail.has_value() && detail->is_object();
  is_object ? out.raw(node.detail) : out.null();
  out.end_object();
}

std::string nodes_text(const std::vector<NodeRow>& nodes) {
  std::string body;
  json::Writer out(body);
  out.begin_object().key("nodes").begin_array();
  for (const NodeRow& node : nodes) write_node(out, node);
  out.end_array().end_object();
  return body;
}

constexpr std::string_view kOneWriter =
    "this ledger is a file: one process at a time writes it, on one machine, and which ones did is "
    "not kept. A ledger on PostgreSQL keeps it";

void write_stretch(json::Writer& out, const Stretch& stretch) {
  out.begin_object().member("epoch", stretch.epoch).member("first_epoch", stretch.first_epoch);
  out.key("node");
  const bool named = stretch.unknown == Stretch::Unknown::no;
  named ? out.string(stretch.node) : out.null();
  out.key("unknown");
  const bool older = stretch.unknown == Stretch::Unknown::older_program;
  named ? out.null() : out.string(older ? "older_program" : "not_kept");
  out.key("began_at");
  stretch.began ? out.string(format_rfc3339(*stretch.began)) : out.null();
  const bool some = stretch.batches && stretch.batches->count() > 0;
  out.key("first_batch");
  some ? out.unsigned_integer(stretch.batches->first) : out.null();
  out.key("last_batch");
  some ? out.unsigned_integer(stretch.batches->last) : out.null();
  out.key("batches");
  stretch.batches ? out.unsigned_integer(stretch.batches->count()) : out.null();
  out.member("current", stretch.current).end_object();
}

std::string history_text(const NodeHistory& history, std::string_view note) {
  std::string body;
  json::Writer out(body);
  out.begin_object().key("history").begin_array();
  for (const Stretch& stretch : history.stretches) write_stretch(out, stretch);
  out.end_array();
  write_position(out, history.next);
  out.key("note");
  note.empty() ? out.null() : out.string(note);
  out.end_object();
  return body;
}

}  // namespace

std::string holdings(const EngineStats& stats) {
  std::uint64_t leased = 0;
  for (const LeaseStats& lease : stats.leases) leased += lease.leased;
  std::string text;
  json::Writer out(text);
  out.begin_object().member("open", std::uint64_t{stats.open});
  out.member("oldest_open_ms", stats.oldest_open_ms);
  out.member("jobs_in_flight", std::uint64_t{stats.in_flight});
  out.member("leased_to_workers", leased).end_object();
  return text;
}

void Service::Impl::nodes(Call call) {
  if (ports.nodes == nullptr) {
    NodeRow own{.name = options.node,
                .url = {},
                .version = options.version,
                .role = "acting",
                .detail = holdings(ports.engine->stats()),
                .began = started_at,
                .alive = true,
                .is_this = true};
    return call.answer(json_response(200, nodes_text({std::move(own)})));
  }
  on_pool(std::move(call), [self = shared_from_this()](Call later) {
    auto listed = self->ports.nodes->list();
    if (!listed.has_value()) {
      return later.fail({.name = "ledger-unavailable",
                         .detail = listed.error().message,
                         .retry_after = Duration{1'000}});
    }
    later.answer(json_response(200, nodes_text(*listed)));
  });
}

void Service::Impl::node_history(Call call) {
  std::uint64_t before = 0;
  std::uint32_t limit = 100;
  Problem problem;
  for (const auto& [name, value] : io::parse_query(call.request.query)) {
    const bool read = name == "cursor" ? read_position(value, before, problem)
                                       : read_limit(value, limit, problem);
    if (!read) return call.fail(problem);
  }
  if (ports.nodes == nullptr) {
    return call.answer(json_response(200, history_text({}, kOneWriter)));
  }
  on_pool(std::move(call), [self = shared_from_this(), before, limit](Call later) {
    const auto history = self->ports.nodes->history(before, limit);
    if (!history.has_value()) return later.fail(ledger_problem(history.error()));
    later.answer(json_response(200, history_text(*history, "")));
  });
}

void Service::Impl::ready_to_forward(Call call) {
  const std::optional<Acting> acting = ports.forwarder->acting();
  const bool reachable = acting && io::Upstream::parse(acting->url).has_value();
  std::string body;
  json::Writer out(body);
  out.begin_object().member("ready", reachable).member("role", "standby");
  out.key("reasons").begin_array();
  if (!acting) out.string("no node acts on the ledger now");
  if (acting && !reachable) out.string("the address of '" + acting->node + "' is not known");
  out.end_array().key("acting");
  acting ? out.string(acting->node) : out.null();
  out.end_object();
  constexpr int kUnavailable = 503;
  call.answer(json_response(reachable ? 200 : kUnavailable, std::move(body)));
}

}  // namespace trued::api
