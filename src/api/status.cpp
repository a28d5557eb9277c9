// What the server says about itself: status, health, metrics, its own description.
#include <utility>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "api/impl.h"
#include "api/openapi.h"
#include "json/writer.h"

namespace trued::api {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily out;
  out.name = name;
  out.help = help;
  out.type = type;
  return out;
}

ClientMetric counted(double value) {
  ClientMetric metric;
  metric.counter.value = value;
  metric.gauge.value = value;
  return metric;
}

MetricFamily single(const char* name, const char* help, MetricType type, double value) {
  MetricFamily out = family(name, help, type);
  out.metric.push_back(counted(value));
  return out;
}

// One metric for each value of an enum, labelled by its word.
template <class Enum, std::size_t N>
MetricFamily by_word(const char* name, const char* help, MetricType type, const char* label,
                     const std::array<std::uint64_t, N>& values) {
  MetricFamily out = family(name, help, type);
  for (std::size_t i = 0; i < N; ++i) {
    ClientMetric metric = counted(static_cast<double>(values.at(i)));
    metric.label.push_back({label, std::string(to_string(static_cast<Enum>(i)))});
    out.metric.push_back(std::move(metric));
  }
  return out;
}

MetricFamily histogram(const char* name, const char* help, const Histogram& values) {
  MetricFamily out = family(name, help, MetricType::Histogram);
  ClientMetric metric;
  metric.histogram.sample_count = values.count;
  metric.histogram.sample_sum = values.sum;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kLatencyBounds.size(); ++i) {
    below += values.buckets.at(i);
    metric.histogram.bucket.push_back({below, kLatencyBounds.at(i)});
  }
  metric.histogram.bucket.push_back({values.count, std::numeric_limits<double>::infinity()});
  out.metric.push_back(std::move(metric));
  return out;
}

std::vector<MetricFamily> families(const EngineStats& s, bool ready) {
  constexpr auto kCounter = MetricType::Counter;
  constexpr auto kGauge = MetricType::Gauge;
  return {
      by_word<SubmitDecision>("trued_submissions_total", "Submissions, by what was decided.",
                              kCounter, "decision", s.decisions),
      single("trued_submissions_refused_total",
             "Submissions refused: overloaded, draining, or the ledger not writable.", kCounter,
             static_cast<double>(s.refused)),
      by_word<State>("trued_operations_settled_total", "Operations that settled, by state.",
                     kCounter, "state", s.settled),
      by_word<State>("trued_operations_open", "Operations that have not settled, by state.", kGauge,
                     "state", s.open_by_state),
      single("trued_operations_oldest_open_seconds", "Age of the oldest open operation.", kGauge,
             static_cast<double>(s.oldest_open_ms) / 1'000),
      by_word<Tell>("trued_tells_total",
                    "Mismatches that outlived settling, by tell; overwritten is not a lie.",
                    kCounter, "tell", s.tells),
      by_word<EffectKind>("trued_attempts_total", "Attempts that ended, by outcome.", kCounter,
                          "outcome", s.effects),
      by_word<Verdict>("trued_reads_total", "Read-backs of artifacts, by verdict.", kCounter,
                       "verdict", s.verdicts),
      single("trued_jobs_in_flight", "Effects and read-backs under way.", kGauge,
             static_cast<double>(s.in_flight)),
      single("trued_waiting_callers", "Callers that wait for an answer.", kGauge,
             static_cast<double>(s.waiters)),
      single("trued_ledger_commits_total", "Commits of the ledger.", kCounter,
             static_cast<double>(s.commits)),
      single("trued_ledger_commits_unknown_total",
             "Commits whose outcome had to be read back from the ledger.", kCounter,
             static_cast<double>(s.commits_unknown)),
      single("trued_ledger_changes_total", "Operations written in commits.", kCounter,
             static_cast<double>(s.committed_changes)),
      single("trued_ledger_retire_failures_total", "Rounds of retention that failed.", kCounter,
             static_cast<double>(s.retire_failures)),
      histogram("trued_ledger_commit_seconds", "Duration of commits.", s.commit_seconds),
      histogram("trued_operation_settle_seconds", "Acceptance to settled.", s.settle_seconds),
      single("trued_ready", "1 while submissions are accepted.", kGauge, ready ? 1 : 0),
  };
}

void write_counts(json::Writer& out, const Counts& counts) {
  out.member("operations", counts.operations).member("open", counts.open);
  out.member("needs_action", counts.needs_action).member("events", counts.events);
  out.member("batches", counts.batches).member("tombstones", counts.tombstones);
  out.member("bytes", counts.bytes);
}

template <class Enum, std::size_t N>
void write_words(json::Writer& out, std::string_view name,
                 const std::array<std::uint64_t, N>& values) {
  out.key(name).begin_object();
  for (std::size_t i = 0; i < N; ++i) {
    if (values.at(i) != 0) out.member(to_string(static_cast<Enum>(i)), values.at(i));
  }
  out.end_object();
}

void write_targets(json::Writer& out, const Targets& targets) {
  out.key("targets").begin_array();
  for (const auto& [name, target] : targets) {
    out.begin_object().member("name", std::string_view(name));
    out.member("kind", std::string_view(target.kind)).key("levels").begin_array();
    out.string("store");
    if (target.serving) out.string("serving");
    out.end_array().member("verify", target.policy.verify);
    out.key("capabilities").begin_object();
    out.member("idempotent", target.policy.capabilities.idempotent);
    out.member("deduplicates", target.policy.capabilities.deduplicates);
    out.member("history", target.policy.capabilities.history).end_object().end_object();
  }
  out.end_array();
}

io::HttpResponse plain(std::string type, std::string body) {
  io::HttpResponse response;
  response.headers.push_back({"Content-Type", std::move(type)});
  response.headers.push_back({"X-Content-Type-Options", "nosniff"});
  response.body = std::move(body);
  return response;
}

}  // namespace

void Service::Impl::status(Call call) {
  on_pool(std::move(call), [self = shared_from_this()](Call later) {
    std::string reason;
    const bool ready = self->ports.engine.ready(reason);
    const EngineStats stats = self->ports.engine.stats();
    std::string body;
    json::Writer out(body);
    out.begin_object().member("version", std::string_view(self->options.version));
    out.member("ready", ready);
    if (!ready) out.member("reason", std::string_view(reason));
    out.member("started_at", std::string_view(format_rfc3339(self->started_at)));
    out.key("ledger").begin_object();
    out.member("durability", std::string_view(self->options.durability));
    {
      const std::scoped_lock lock(self->reader_mutex);
      auto counts = self->ports.reader->counts();
      if (counts.has_value()) {
        write_counts(out, *counts);
      } else {
        out.member("unreadable", std::string_view(counts.error().message));
      }
    }
    out.end_object();
    write_words<State>(out, "open", stats.open_by_state);
    write_words<State>(out, "settled_since_start", stats.settled);
    write_words<SubmitDecision>(out, "decisions_since_start", stats.decisions);
    write_words<Tell>(out, "tells_since_start", stats.tells);
    out.member("oldest_open_ms", stats.oldest_open_ms);
    out.member("jobs_in_flight", stats.in_flight).member("waiting_callers", stats.waiters);
    write_targets(out, self->ports.targets);
    out.end_object();
    later.answer(json_response(200, std::move(body)));
  });
}

void Service::Impl::health(Call call) { call.answer(json_response(200, R"({"alive":true})")); }

void Service::Impl::ready(Call call) {
  std::string reason;
  const bool is_ready = ports.engine.ready(reason);
  std::string body;
  json::Writer out(body);
  out.begin_object().member("ready", is_ready).key("reasons").begin_array();
  if (!is_ready) out.string(reason);
  out.end_array().end_object();
  call.answer(json_response(is_ready ? 200 : 503, std::move(body)));
}

void Service::Impl::metrics(Call call) {
  std::string reason;
  const bool is_ready = ports.engine.ready(reason);
  const prometheus::TextSerializer serializer;
  call.answer(plain("text/plain; version=0.0.4; charset=utf-8",
                    serializer.Serialize(families(ports.engine.stats(), is_ready))));
}

void Service::Impl::openapi(Call call) {
  call.answer(plain("application/yaml", std::string(kOpenApi)));
}

void Service::Impl::index(Call call) {
  std::string text = "Trued " + options.version + "\n\n";
  for (const RouteName& route : route_names()) {
    text += std::string(route.method) + (route.method == "GET" ? "  " : " ") +
            std::string(route.pattern) + "\n";
  }
  call.answer(plain("text/plain; charset=utf-8", std::move(text)));
}

}  // namespace trued::api
