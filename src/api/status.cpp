// What the server says about itself: status, health, its own description.
#include <utility>

#include "api/impl.h"
#include "api/openapi.h"
#include "json/writer.h"

namespace trued::api {
namespace {

void write_standbys(json::Writer& out, const std::optional<std::vector<Standby>>& standbys) {
  out.key("standbys");
  if (!standbys) {
    out.null();
    return;
  }
  out.begin_array();
  for (const Standby& standby : *standbys) {
    out.begin_object().member("name", std::string_view(standby.name));
    out.member("state", std::string_view(standby.state));
    out.member("sync", std::string_view(standby.sync)).end_object();
  }
  out.end_array();
}

template <class Number>
void write_known(json::Writer& out, std::string_view name, const std::optional<Number>& value) {
  out.key(name);
  if (value) {
    out.integer(static_cast<std::int64_t>(*value));
  } else {
    out.null();
  }
}

void write_replicas(json::Writer& out, const ReplicaReads* replicas) {
  out.key("replicas").begin_array();
  for (const ReplicaState& each :
       replicas == nullptr ? std::vector<ReplicaState>() : replicas->states()) {
    out.begin_object().member("name", std::string_view(each.name));
    out.member("reachable", each.usable);
    write_known(out, "batch", each.batch);
    write_known(out, "behind", each.behind);
    write_known(out, "staleness_ms",
                each.stale ? std::optional(each.stale->count()) : std::nullopt);
    out.member("since", std::string_view(format_rfc3339(each.since))).key("problem");
    if (each.wrong.empty()) {
      out.null();
    } else {
      out.string(each.wrong);
    }
    out.end_object();
  }
  out.end_array();
}

void write_promise(json::Writer& out, const DurabilityReport& report) {
  out.member("durability", to_string(report.now.level));
  out.member("durability_because", std::string_view(report.now.sentence));
  out.key("durability_seen_at");
  report.seen_at ? out.string(format_rfc3339(*report.seen_at)) : out.null();
  out.member("minimum_durability", to_string(report.floor));
  out.member("takes_writes", !report.below);
  out.member("commits_wait", report.now.commits_wait);
  write_standbys(out, report.now.standbys);
  out.key("not_seen").begin_array();
  for (const std::string& text : report.now.unseen) out.string(text);
  out.end_array();
}

void write_ledger(json::Writer& out, const DurabilityReport& report, const Result<Counts>& counts,
                  const ReplicaReads* replicas) {
  out.key("ledger").begin_object();
  write_promise(out, report);
  out.member("readable", counts.has_value());
  if (counts.has_value()) {
    out.member("operations", counts->operations).member("open", counts->open);
    out.member("needs_action", counts->needs_action).member("events", counts->events);
    out.member("batches", counts->batches).member("tombstones", counts->tombstones);
    out.member("bytes", counts->bytes);
  } else {
    out.member("error", std::string_view(counts.error().message));
  }
  write_replicas(out, replicas);
  out.end_object();
}

template <class Enum, std::size_t N>
void write_words(
    json::Writer& out, std::string_view name, const std::array<std::uint64_t, N>& values,
    bool (*wanted)(Enum) = [](Enum) { return true; }) {
  out.key(name).begin_object();
  for (std::size_t i = 0; i < N; ++i) {
    const auto word = static_cast<Enum>(i);
    if (wanted(word)) out.member(to_string(word), values.at(i));
  }
  out.end_object();
}

bool is_open(State state) { return !is_settled(state); }

void write_engine(json::Writer& out, const EngineStats& stats) {
  write_words<State>(out, "open", stats.open_by_state, &is_open);
  out.member("oldest_open_ms", stats.oldest_open_ms);
  write_words<SubmitDecision>(out, "decisions_since_start", stats.decisions);
  write_words<State>(out, "settled_since_start", stats.settled, &is_settled);
  write_words<Tell>(out, "tells_since_start", stats.tells);
  out.member("refused_since_start", stats.refused);
  out.member("jobs_in_flight", stats.in_flight).member("waiting_callers", stats.waiters);
}

void write_breaker(json::Writer& out, const GateStats& gate) {
  out.key("breaker").begin_object().member("enabled", gate.breaker_enabled);
  out.member("state", to_string(gate.breaker));
  out.member("since", std::string_view(format_rfc3339(gate.breaker_since)));
  out.key("next_probe");
  const bool open = gate.breaker == BreakerState::open;
  open ? out.string(format_rfc3339(gate.next_probe)) : out.null();
  out.member("failures_in_a_row", std::uint64_t{gate.failures_in_a_row});
  out.member("opened_since_start", gate.breaker_opened).end_object();
}

// What stands before a target, and who waits there.
void write_gate(json::Writer& out, const Target& target, const GateStats& gate) {
  out.key("gate").begin_object();
  write_breaker(out, gate);
  out.key("budget").begin_object().member("enabled", gate.budget_enabled);
  out.member("left", gate.budget_left).end_object();
  const RatePolicy& rate = target.policy.gates.rate;
  out.key("rate");
  if (gate.rate_limited) {
    out.begin_object().member("per_second", std::uint64_t{rate.per_second});
    out.member("burst", std::uint64_t{rate.burst == 0 ? rate.per_second : rate.burst});
    out.member("left", std::uint64_t{gate.rate_left}).end_object();
  } else {
    out.null();
  }
  out.member("concurrency", std::uint64_t{gate.concurrency});
  out.member("in_flight", gate.in_flight);
  out.key("held").begin_object().member("attempts", gate.held_attempts);
  out.member("retries", gate.held_retries).member("reads", gate.held_reads).end_object();
  write_words<CallKind>(out, "calls_since_start", gate.calls);
  write_words<HeldBy>(out, "held_since_start", gate.held_by);
  out.end_object();
}

// The work that waits for workers, and who of them was heard of.
void write_leases(json::Writer& out, const Target& target, const LeaseStats& leases) {
  out.key("leases").begin_object();
  out.member("lease_ms", static_cast<std::int64_t>(target.policy.lease.count()));
  out.member("queued", leases.queued).member("oldest_queued_ms", leases.oldest_queued_ms);
  out.member("leased", leases.leased).member("asking", leases.asking);
  out.member("handed_out_since_start", leases.handed_out);
  out.member("lost_since_start", leases.lost);
  out.key("workers").begin_array();
  for (const WorkerSeen& worker : leases.workers) {
    out.begin_object().member("name", std::string_view(worker.name)).key("seen_at");
    worker.at ? out.string(format_rfc3339(*worker.at)) : out.null();
    out.member("leased", worker.leases).end_object();
  }
  out.end_array().end_object();
}

const LeaseStats* leases_of(const EngineStats& stats, const std::string& target) {
  for (const LeaseStats& leases : stats.leases) {
    if (leases.target == target) return &leases;
  }
  return nullptr;
}

void write_targets(json::Writer& out, const Targets& targets, const EngineStats& stats) {
  out.key("targets").begin_array();
  std::size_t number = 0;
  for (const auto& [name, target] : targets) {
    out.begin_object().member("name", std::string_view(name));
    out.member("kind", std::string_view(target.kind));
    out.key("serving_kind");
    target.serving ? out.string(target.serving_kind) : out.null();
    out.key("levels").begin_array().string("store");
    if (target.serving) out.string("serving");
    out.end_array().member("verify", target.policy.verify);
    const Capabilities& can = target.policy.capabilities;
    out.key("capabilities").begin_object().member("idempotent", can.idempotent);
    out.member("deduplicates", can.deduplicates).member("history", can.history);
    out.end_object();
    if (number < stats.targets.size()) write_gate(out, target, stats.targets.at(number++));
    if (const LeaseStats* leases = leases_of(stats, name)) write_leases(out, target, *leases);
    out.end_object();
  }
  out.end_array();
}

void write_readiness(json::Writer& out, const Engine& engine) {
  std::string reason;
  const bool ready = engine.ready(reason);
  out.member("ready", ready).member("role", "acting").key("reasons").begin_array();
  if (!ready) out.string(reason);
  out.end_array();
}

io::HttpResponse plain(std::string type, std::string body) {
  io::HttpResponse response;
  response.headers.push_back({"Content-Type", std::move(type)});
  response.body = std::move(body);
  return response;
}

}  // namespace

void Service::Impl::status(Call call) {
  on_pool(std::move(call), [self = shared_from_this()](Call later) {
    const auto counts = [&] {
      const std::scoped_lock lock(self->reader_mutex);
      return self->ports.reader->counts();
    }();
    const auto up = std::chrono::floor<Duration>(self->ports.clock.monotonic() - self->begun);
    std::string body;
    json::Writer out(body);
    out.begin_object().member("version", std::string_view(self->options.version));
    out.member("started_at", std::string_view(format_rfc3339(self->started_at)));
    out.member("uptime_ms", static_cast<std::int64_t>(up.count()));
    write_readiness(out, *self->ports.engine);
    write_ledger(out, self->durability_report(), counts, self->ports.replicas);
    const EngineStats stats = self->ports.engine->stats();
    write_engine(out, stats);
    write_targets(out, self->ports.targets, stats);
    out.end_object();
    later.answer(json_response(200, std::move(body)));
  });
}

DurabilityReport Service::Impl::durability_report() const {
  if (ports.durability != nullptr) return ports.durability->report();
  return {.now = fixed_durability(options.durability), .seen_at = ports.clock.wall()};
}

void Service::Impl::health(Call call) { call.answer(json_response(200, R"({"alive":true})")); }

void Service::Impl::ready(Call call) {
  if (ports.engine == nullptr) return ready_to_forward(std::move(call));
  std::string reason;
  const bool is_ready = ports.engine->ready(reason);
  std::string body;
  json::Writer out(body);
  out.begin_object();
  write_readiness(out, *ports.engine);
  out.end_object();
  call.answer(json_response(is_ready ? 200 : 503, std::move(body)));
}

void Service::Impl::openapi(Call call) {
  call.answer(plain("application/yaml", std::string(kOpenApi)));
}

void Service::Impl::index(Call call) {
  std::string text = "Trued " + options.version + ", described by /openapi.yaml\n\n";
  for (const Route& route : routes()) {
    text += std::string(route.method) + (route.method == "GET" ? "   " : "  ") +
            std::string(route.pattern) + "\n";
  }
  call.answer(plain("text/plain; charset=utf-8", std::move(text)));
}

}  // namespace trued::api
