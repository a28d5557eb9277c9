// Prometheus metrics, sampled from the engine's counters and the ledger's.
#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "api/impl.h"

namespace trued::api {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr auto kCounter = MetricType::Counter;
constexpr auto kGauge = MetricType::Gauge;

MetricFamily family(const char* name, const char* help, MetricType type) {
  return {.name = name, .help = help, .type = type, .metric = {}};
}

ClientMetric sample(double value) {
  ClientMetric metric;
  metric.counter.value = value;
  metric.gauge.value = value;
  return metric;
}

template <class Number>
MetricFamily single(const char* name, const char* help, MetricType type, Number value) {
  MetricFamily out = family(name, help, type);
  out.metric.push_back(sample(static_cast<double>(value)));
  return out;
}

// One metric for each value of an enum that is `wanted`, labelled by its word.
template <class Enum, std::size_t N>
MetricFamily by_word(
    MetricFamily out, const char* label, const std::array<std::uint64_t, N>& values,
    bool (*wanted)(Enum) = [](Enum) { return true; }) {
  for (std::size_t i = 0; i < N; ++i) {
    const auto word = static_cast<Enum>(i);
    if (!wanted(word)) continue;
    ClientMetric metric = sample(static_cast<double>(values.at(i)));
    metric.label.push_back({label, std::string(to_string(word))});
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

bool is_open(State state) { return !is_settled(state); }
bool is_ended(EffectKind kind) { return kind != EffectKind::none; }

using Families = std::vector<MetricFamily>;

void add_operations(const EngineStats& s, Families& out) {
  out.push_back(by_word<SubmitDecision>(
      family("trued_submissions_total", "Submissions, by what was decided.", kCounter), "decision",
      s.decisions));
  out.push_back(single(
      "trued_submissions_refused_total",
      "Submissions refused: overloaded, draining, or the ledger not writable or below its floor.",
      kCounter, s.refused));
  out.push_back(by_word<State>(
      family("trued_operations_settled_total", "Operations that settled, by state.", kCounter),
      "state", s.settled, &is_settled));
  out.push_back(by_word<State>(
      family("trued_operations_open", "Operations that have not settled, by state.", kGauge),
      "state", s.open_by_state, &is_open));
  out.push_back(single("trued_operations_oldest_open_seconds", "Age of the oldest open operation.",
                       kGauge, static_cast<double>(s.oldest_open_ms) / 1'000));
  out.push_back(by_word<Tell>(
      family("trued_tells_total",
             "Mismatches that outlived settling, by tell; overwritten is not a lie.", kCounter),
      "tell", s.tells));
  out.push_back(by_word<EffectKind>(
      family("trued_attempts_total", "Attempts that ended, by outcome.", kCounter), "outcome",
      s.effects, &is_ended));
  out.push_back(by_word<Verdict>(
      family("trued_reads_total", "Read-backs of artifacts, by verdict.", kCounter), "verdict",
      s.verdicts));
  out.push_back(histogram("trued_operation_settle_seconds",
                          "Time from acceptance until an operation settled.", s.settle_seconds));
}

void add_engine(const EngineStats& s, bool ready, Families& out) {
  out.push_back(
      single("trued_jobs_in_flight", "Effects and read-backs under way.", kGauge, s.in_flight));
  out.push_back(
      single("trued_waiting_callers", "Callers that wait for an answer.", kGauge, s.waiters));
  out.push_back(single("trued_ready", "1 while submissions are accepted.", kGauge, ready ? 1 : 0));
  out.push_back(
      single("trued_ledger_commits_total", "Commits of the ledger.", kCounter, s.commits));
  out.push_back(single("trued_ledger_commits_unknown_total",
                       "Commits whose outcome had to be read back from the ledger.", kCounter,
                       s.commits_unknown));
  out.push_back(single("trued_ledger_changes_total", "Operations written in commits.", kCounter,
                       s.committed_changes));
  out.push_back(single("trued_ledger_retire_failures_total", "Rounds of retention that failed.",
                       kCounter, s.retire_failures));
  out.push_back(histogram("trued_ledger_commit_seconds", "Duration of commits.", s.commit_seconds));
}

using Labels = std::vector<ClientMetric::Label>;

/// One family for all targets; `sampled` adds the samples of one.
template <class Sampled>
MetricFamily by_target(MetricFamily out, const Targets& targets, const EngineStats& s,
                       Sampled sampled) {
  std::size_t number = 0;
  for (const auto& [name, target] : targets) {
    if (number >= s.targets.size()) break;
    sampled(s.targets.at(number++), [&](Labels labels, std::uint64_t value) {
      ClientMetric metric = sample(static_cast<double>(value));
      metric.label.push_back({"target", name});
      for (auto& label : labels) metric.label.push_back(std::move(label));
      out.metric.push_back(std::move(metric));
    });
  }
  return out;
}

void add_breakers(const Targets& targets, const EngineStats& s, Families& out) {
  const auto state = [](const GateStats& gate, const auto& put) {
    for (const auto each : {BreakerState::closed, BreakerState::open, BreakerState::half_open}) {
      put({{"state", std::string(to_string(each))}}, gate.breaker == each ? 1 : 0);
    }
  };
  out.push_back(by_target(family("trued_target_breaker_state",
                                 "1 for the state in which the circuit breaker is.", kGauge),
                          targets, s, state));
  out.push_back(by_target(
      family("trued_target_breaker_opened_total", "How often it has opened.", kCounter), targets, s,
      [](const GateStats& gate, const auto& put) { put({}, gate.breaker_opened); }));
}

void add_targets(const Targets& targets, const EngineStats& s, Families& out) {
  add_breakers(targets, s, out);
  out.push_back(by_target(
      family("trued_target_retry_budget_left", "Retries that would be granted now.", kGauge),
      targets, s, [](const GateStats& gate, const auto& put) {
        if (gate.budget_enabled) put({}, gate.budget_left);
      }));
  const auto calls = [](const GateStats& gate, const auto& put) {
    for (const auto kind : {CallKind::first, CallKind::retry, CallKind::read}) {
      put({{"kind", std::string(to_string(kind))}}, gate.calls.at(std::to_underlying(kind)));
    }
  };
  out.push_back(by_target(family("trued_target_calls_total",
                                 "Calls admitted: attempts, and reads on their own.", kCounter),
                          targets, s, calls));
  const auto held_by = [](const GateStats& gate, const auto& put) {
    for (const auto by : {HeldBy::breaker, HeldBy::budget, HeldBy::rate, HeldBy::line}) {
      put({{"reason", std::string(to_string(by))}}, gate.held_by.at(std::to_underlying(by)));
    }
  };
  out.push_back(by_target(
      family("trued_target_held_total", "Calls that had to wait, by the first reason.", kCounter),
      targets, s, held_by));
  const auto held = [](const GateStats& gate, const auto& put) {
    put({{"what", "attempts"}}, gate.held_attempts);
    put({{"what", "retries"}}, gate.held_retries);
    put({{"what", "reads"}}, gate.held_reads);
  };
  out.push_back(
      by_target(family("trued_target_held", "Operations that wait before it now.", kGauge), targets,
                s, held));
  out.push_back(by_target(
      family("trued_target_in_flight", "Operations with a call under way.", kGauge), targets, s,
      [](const GateStats& gate, const auto& put) { put({}, gate.in_flight); }));
}

/// One family for all targets that workers carry out.
template <class Value>
MetricFamily by_desk(MetricFamily out, const EngineStats& s, Value value) {
  for (const LeaseStats& leases : s.leases) {
    ClientMetric metric = sample(static_cast<double>(value(leases)));
    metric.label.push_back({"target", leases.target});
    out.metric.push_back(std::move(metric));
  }
  return out;
}

void add_leases(const EngineStats& s, Families& out) {
  out.push_back(by_desk(family("trued_leases_queued", "Operations that wait for a worker.", kGauge),
                        s, [](const LeaseStats& leases) { return leases.queued; }));
  out.push_back(by_desk(family("trued_leases_oldest_queued_seconds",
                               "Age of the oldest operation that waits for a worker.", kGauge),
                        s, [](const LeaseStats& leases) {
                          return static_cast<double>(leases.oldest_queued_ms) / 1'000;
                        }));
  out.push_back(by_desk(family("trued_leases_held", "Attempts in the hands of workers.", kGauge), s,
                        [](const LeaseStats& leases) { return leases.leased; }));
  out.push_back(by_desk(family("trued_leases_asking", "Requests that wait for work.", kGauge), s,
                        [](const LeaseStats& leases) { return leases.asking; }));
  out.push_back(
      by_desk(family("trued_leases_handed_out_total", "Leases that workers were handed.", kCounter),
              s, [](const LeaseStats& leases) { return leases.handed_out; }));
  out.push_back(
      by_desk(family("trued_leases_lost_total", "Leases that ran out without a word.", kCounter), s,
              [](const LeaseStats& leases) { return leases.lost; }));
}

void add_ledger(const Counts& c, Families& out) {
  out.push_back(single("trued_operations_needing_action", "Operations that wait for a person.",
                       kGauge, c.needs_action));
  out.push_back(single("trued_ledger_operations", "Operations within their retention.", kGauge,
                       c.operations));
  out.push_back(
      single("trued_ledger_tombstones", "Identities past their retention.", kGauge, c.tombstones));
  out.push_back(single("trued_ledger_bytes", "Size of the ledger on disk.", kGauge, c.bytes));
}

ClientMetric labelled(double value, Labels labels) {
  ClientMetric metric = sample(value);
  metric.label = std::move(labels);
  return metric;
}

/// Each configured target has its samples, zero or not, so that an alert has something to look at.
std::vector<std::string> names_of(const Targets& targets, const Backlog& backlog) {
  std::set<std::string> names;
  for (const auto& [name, target] : targets) names.insert(name);
  for (const auto& [key, letters] : backlog.letters) names.insert(key.first);
  return {names.begin(), names.end()};
}

void add_dead_letters(const std::vector<std::string>& names, const Backlog& backlog, WallTime now,
                      Families& out) {
  MetricFamily count = family("trued_dead_letters", "Dead letters, by target and cause.", kGauge);
  MetricFamily oldest = family("trued_dead_letters_oldest_seconds",
                               "For how long the oldest of them has been one.", kGauge);
  MetricFamily poison =
      family("trued_dead_letters_poison", "Of them, those that end the same every time.", kGauge);
  for (const std::string& name : names) {
    for (std::size_t i = 0; i < kCauses; ++i) {
      const auto cause = static_cast<Cause>(i);
      if (!is_dead_letter(cause)) continue;
      const auto found = backlog.letters.find({name, cause});
      const Backlog::Letters letters =
          found == backlog.letters.end() ? Backlog::Letters{.oldest = now} : found->second;
      const Labels labels{{"target", name}, {"cause", std::string(to_string(cause))}};
      count.metric.push_back(labelled(static_cast<double>(letters.count), labels));
      const auto age = std::max((now - letters.oldest).count(), Duration::rep{0});
      oldest.metric.push_back(labelled(static_cast<double>(age) / 1'000, labels));
    }
    const auto found = backlog.poison.find(name);
    const std::uint64_t times = found == backlog.poison.end() ? 0 : found->second;
    poison.metric.push_back(labelled(static_cast<double>(times), {{"target", name}}));
  }
  out.push_back(std::move(count));
  out.push_back(std::move(oldest));
  out.push_back(std::move(poison));
}

void add_worklist(const std::vector<std::string>& names, const Backlog& backlog,
                  const config::Cares& cares, Families& out) {
  MetricFamily waiting =
      family("trued_worklist", "Operations that wait for a person, by target and owner.", kGauge);
  MetricFamily overdue =
      family("trued_worklist_overdue", "Of them, those past the time to decide them in.", kGauge);
  // A definition may have an owner of its own; a target's has a sample also where nothing waits.
  auto by_owner = backlog.undecided;
  for (const std::string& name : names)
    by_owner.try_emplace({name, config::care_of(cares, name).owner});
  for (const auto& [key, undecided] : by_owner) {
    const Labels labels{{"target", key.first}, {"owner", key.second}};
    waiting.metric.push_back(labelled(static_cast<double>(undecided.count), labels));
    overdue.metric.push_back(labelled(static_cast<double>(undecided.overdue), labels));
  }
  out.push_back(std::move(waiting));
  out.push_back(std::move(overdue));
}

void add_unknown(const EngineStats& s, const Backlog& backlog, Families& out) {
  const auto open =
      s.open_by_state.at(static_cast<std::size_t>(std::to_underlying(State::unknown)));
  out.push_back(single("trued_operations_of_unknown_outcome",
                       "Operations that may or may not have happened: being resolved, or waiting "
                       "for a person.",
                       kGauge, open + backlog.unknown));
}

// One sample for each level, 1 for the one in force: what alerts are written on.
void add_durability(const DurabilityReport& report, Families& out) {
  MetricFamily levels = family("trued_ledger_durability",
                               "What a commit survives now: 1 for the level in force.", kGauge);
  for (std::size_t i = 0; i < kDurabilityLevels; ++i) {
    const auto level = static_cast<DurabilityLevel>(i);
    levels.metric.push_back(
        labelled(level == report.now.level ? 1 : 0, {{"level", std::string(to_string(level))}}));
  }
  out.push_back(std::move(levels));
  out.push_back(single("trued_ledger_durability_age_seconds",
                       "Since the level was last confirmed, or since it was first asked for.",
                       kGauge, static_cast<double>(report.age.count()) / 1'000));
  out.push_back(single("trued_ledger_below_minimum_durability",
                       "1 while writes are refused because the ledger keeps less than "
                       "minimum_durability.",
                       kGauge, report.below ? 1 : 0));
  out.push_back(single("trued_ledger_commits_wait_for_standbys",
                       "1 while fewer standbys stream than a commit waits for.", kGauge,
                       report.now.commits_wait ? 1 : 0));
  if (!report.now.standbys) return;
  MetricFamily standbys = family("trued_ledger_standbys",
                                 "Standbys that follow, by state and by how they are waited for; "
                                 "missing where that cannot be seen.",
                                 kGauge);
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
  for (const Standby& standby : *report.now.standbys) ++counts[{standby.state, standby.sync}];
  for (const auto& [key, count] : counts) {
    standbys.metric.push_back(
        labelled(static_cast<double>(count), {{"state", key.first}, {"sync", key.second}}));
  }
  if (!standbys.metric.empty()) out.push_back(std::move(standbys));
}

// Of this node's own view, so also where it stands by. What is not known has no sample.
void add_replicas(const ReplicaReads* replicas, Families& out) {
  if (replicas == nullptr) return;
  MetricFamily usable = family("trued_replica_usable",
                               "1 where reads go to the replica, 0 where they do not.", kGauge);
  MetricFamily behind =
      family("trued_replica_batches_behind",
             "Batches that the primary had more when both were last asked.", kGauge);
  MetricFamily stale = family(
      "trued_replica_staleness_seconds",
      "At most: all that was acknowledged until so long ago is in what the replica shows.", kGauge);
  for (const ReplicaState& state : replicas->states()) {
    const Labels labels{{"replica", state.name}};
    usable.metric.push_back(labelled(state.usable ? 1 : 0, labels));
    if (state.behind) {
      behind.metric.push_back(labelled(static_cast<double>(*state.behind), labels));
    }
    if (state.stale) {
      stale.metric.push_back(labelled(static_cast<double>(state.stale->count()) / 1'000, labels));
    }
  }
  for (MetricFamily* each : {&usable, &behind, &stale}) {
    if (!each->metric.empty()) out.push_back(std::move(*each));
  }
}

MetricFamily about(const std::string& version, std::string_view durability) {
  MetricFamily out = family("trued_info", "Version and durability, as labels of 1.", kGauge);
  ClientMetric metric = sample(1);
  metric.label.push_back({"version", version});
  metric.label.push_back({"durability", std::string(durability)});
  out.metric.push_back(std::move(metric));
  return out;
}

MetricFamily acts(bool acting) {
  return single("trued_acting", "1 where this node acts on the ledger, 0 where it stands by.",
                kGauge, acting ? 1 : 0);
}

io::HttpResponse exposed(const Families& families) {
  io::HttpResponse response;
  response.headers.push_back({"Content-Type", "text/plain; version=0.0.4; charset=utf-8"});
  response.body = prometheus::TextSerializer().Serialize(families);
  return response;
}

}  // namespace

void Service::Impl::metrics(Call call) {
  if (ports.engine == nullptr) {
    Families families{about(options.version, to_string(durability_report().now.level)),
                      acts(false)};
    add_replicas(ports.replicas, families);
    return call.answer(exposed(families));
  }
  const auto answer = [self = shared_from_this()](Call& asked, const std::optional<Counts>& counts,
                                                  const std::optional<Backlog>& backlog) {
    std::string reason;
    const DurabilityReport durability = self->durability_report();
    Families families{about(self->options.version, to_string(durability.now.level)), acts(true)};
    add_durability(durability, families);
    add_replicas(self->ports.replicas, families);
    const EngineStats stats = self->ports.engine->stats();
    add_operations(stats, families);
    add_engine(stats, self->ports.engine->ready(reason), families);
    add_targets(self->ports.targets, stats, families);
    add_leases(stats, families);
    if (counts) add_ledger(*counts, families);
    if (backlog) {
      const auto names = names_of(self->ports.targets, *backlog);
      add_dead_letters(names, *backlog, self->ports.clock.wall(), families);
      add_worklist(names, *backlog, self->options.cares, families);
      add_unknown(stats, *backlog, families);
    }
    asked.answer(exposed(families));
  };
  auto shared = std::make_shared<Call>(std::move(call));
  const bool posted = ports.pool.try_post([self = shared_from_this(), shared, answer] {
    std::optional<Counts> counts;
    {
      const std::scoped_lock lock(self->reader_mutex);
      auto read = self->ports.reader->counts();
      if (read.has_value()) counts = *read;
    }
    answer(*shared, counts, self->backlog());
  });
  // What overload looks like must be seen above all under overload.
  if (!posted) answer(*shared, std::nullopt, std::nullopt);
}

}  // namespace trued::api
