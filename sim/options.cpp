#include "sim/options.h"

#include <string_view>

#include "sim/chance.h"

namespace trued::sim {
namespace {

void draw_faults(Chance& chance, Options& o) {
  // Half of the faults are left out of each world.
  const auto maybe = [&](std::int64_t most) {
    return chance.in_thousand(500) ? static_cast<std::uint32_t>(chance.between(1, most)) : 0U;
  };
  o.lost_before = maybe(150);
  o.lost_after = maybe(150);
  o.rejected = maybe(150);
  o.refused = maybe(40);
  o.not_sent = maybe(80);
  o.thrown = maybe(40);
  o.lies = maybe(300);
  o.hangs = maybe(60);
  o.unreadable = maybe(200);
  o.stale_reads = maybe(150);
  o.outsiders = maybe(80);
  o.commit_rolled_back = maybe(30);
  o.commit_unknown = maybe(60);
  o.commit_crash = maybe(40);
  o.load_fails = maybe(20);
  o.wrong_payload = maybe(100);
  o.unverified = maybe(80);
  o.crash_every = Duration(maybe(8'000));
  o.jump_every = Duration(maybe(8'000));
  o.person_every = Duration(maybe(4'000));
}

void draw_policy(Chance& chance, Policy& policy) {
  const auto settle = [&] {
    return SettlePolicy{.within = chance.span(0, 800),
                        .reads_max = static_cast<std::uint32_t>(chance.between(1, 5)),
                        .first = chance.span(1, 50),
                        .cap = chance.span(50, 300)};
  };
  policy.store = settle();
  policy.serving = settle();
  policy.unreadable = settle();
  policy.retry = {.attempts_max = static_cast<std::uint32_t>(chance.between(1, 5)),
                  .first = chance.span(1, 200),
                  .factor = static_cast<std::uint32_t>(chance.between(1, 3)),
                  .cap = chance.span(200, 1'000)};
  policy.effect_timeout = chance.span(100, 1'500);
  policy.deadline = chance.span(1'000, 30'000);
  policy.retention = chance.in_thousand(300) ? chance.span(500, 8'000) : Duration{3'600'000};
  policy.on_failure = static_cast<OnFailure>(chance.below(3));
}

void draw_gates(Chance& chance, GatePolicy& gates) {
  const auto small = [&](std::int64_t low, std::int64_t high) {
    return static_cast<std::uint32_t>(chance.between(low, high));
  };
  const Duration open = chance.span(50, 3'000);
  gates.breaker = {.enabled = chance.in_thousand(600),
                   .consecutive = small(1, 5),
                   .rate_permille = small(200, 1'000),
                   .minimum = small(2, 20),
                   .window = chance.span(1'000, 30'000),
                   .open = open,
                   .open_max = open * chance.between(1, 10)};
  gates.budget = {.enabled = chance.in_thousand(600),
                  .ratio_permille = small(0, 500),
                  .floor_per_second = small(0, 2)};
  if (chance.in_thousand(300)) gates.rate = {.per_second = small(1, 50), .burst = small(1, 20)};
  if (chance.in_thousand(300)) gates.concurrency = small(1, 8);
}

void draw_workers(Chance& chance, Options& o) {
  if (!chance.in_thousand(300)) return;
  o.with_workers = static_cast<std::uint32_t>(chance.between(300, 1'000));
  o.workers = static_cast<std::uint32_t>(chance.between(1, 4));
  o.lease = chance.span(200, 5'000);
  o.worker_dies = chance.in_thousand(500) ? static_cast<std::uint32_t>(chance.between(1, 300)) : 0;
  o.worker_stalls =
      chance.in_thousand(500) ? static_cast<std::uint32_t>(chance.between(1, 300)) : 0;
  o.jump_every = Duration{0};
}

void draw_nodes(Chance& chance, Options& o) {
  if (!chance.in_thousand(400)) return;
  o.nodes = static_cast<std::uint32_t>(chance.between(2, 3));
  o.node_lease = chance.span(100, 3'000);
  o.renewal_lost = chance.in_thousand(500) ? static_cast<std::uint32_t>(chance.between(1, 400)) : 0;
  if (chance.in_thousand(700)) {
    o.stall_every = chance.span(500, 8'000);
    o.stall_span = o.node_lease * chance.between(1, 4);
  }
}

// From chances of its own, so that the worlds without it stay what they were.
void draw_floor(Options& o) {
  Chance chance(o.seed ^ 0x666c6f6f72ULL);
  if (!chance.in_thousand(300)) return;
  o.floor_every = chance.span(500, 8'000);
  o.floor_span = chance.span(50, 6'000);
}

template <class Put>
void put_gates(const Put& put, const GatePolicy& gates) {
  put("breaker", static_cast<int>(gates.breaker.enabled));
  put("breaker_consecutive", gates.breaker.consecutive);
  put("breaker_open_ms", gates.breaker.open.count());
  put("breaker_open_max_ms", gates.breaker.open_max.count());
  put("budget", static_cast<int>(gates.budget.enabled));
  put("budget_ratio_permille", gates.budget.ratio_permille);
  put("budget_floor_per_second", gates.budget.floor_per_second);
  put("per_second", gates.rate.per_second);
  put("concurrency", gates.concurrency);
}

}  // namespace

Options draw_options(std::uint64_t seed) {
  Chance chance(seed ^ 0x6f7074696f6e73ULL);
  Options o;
  o.seed = seed;
  o.safety_phase = chance.span(5'000, 40'000);
  o.clients = static_cast<std::uint32_t>(chance.between(1, 6));
  o.keys = static_cast<std::uint32_t>(chance.between(2, 40));
  o.paths = static_cast<std::uint32_t>(chance.between(1, 8));
  o.artifacts_max = static_cast<std::uint32_t>(chance.between(1, 4));
  o.think = chance.span(20, 1'500);
  o.patience = chance.span(200, 6'000);
  o.targets = static_cast<std::uint32_t>(chance.between(1, 3));
  o.with_history = static_cast<std::uint32_t>(chance.between(0, 1'000));
  o.with_serving = static_cast<std::uint32_t>(chance.between(0, 600));
  draw_faults(chance, o);
  draw_policy(chance, o.policy);
  draw_gates(chance, o.policy.gates);
  if (chance.in_thousand(500)) {
    o.outage_every = chance.span(500, 10'000);
    o.outage_span = chance.span(100, 12'000);
  }
  o.engine.inputs_per_turn_max = static_cast<std::size_t>(chance.between(1, 64));
  o.engine.open_max = chance.in_thousand(200) ? static_cast<std::size_t>(chance.between(1, 10))
                                              : std::size_t{100'000};
  o.engine.repeats_every = chance.span(1, 2'000);
  o.engine.retire_every = chance.span(100, 5'000);
  o.engine.retire_per_turn = static_cast<std::uint32_t>(chance.between(1, 50));
  draw_workers(chance, o);
  if (chance.in_thousand(500)) o.declared = static_cast<std::uint32_t>(chance.between(100, 1'000));
  draw_nodes(chance, o);
  if (chance.in_thousand(600)) o.buggify = static_cast<std::uint32_t>(chance.between(1, 200));
  const bool may_undo = o.declared > 0 && o.person_every.count() > 0;
  if (may_undo && chance.in_thousand(400)) {
    o.undoing = static_cast<std::uint32_t>(chance.between(200, 900));
  }
  draw_floor(o);
  return o;
}

std::string to_string(const Options& o) {
  std::string text;
  const auto put = [&](std::string_view name, auto value) {
    text += "  ";
    text += name;
    text += ' ';
    text += std::to_string(value);
    text += '\n';
  };
  put("safety_phase_ms", o.safety_phase.count());
  put("clients", o.clients);
  put("keys", o.keys);
  put("paths", o.paths);
  put("artifacts_max", o.artifacts_max);
  put("think_ms", o.think.count());
  put("patience_ms", o.patience.count());
  put("targets", o.targets);
  put("with_history", o.with_history);
  put("with_serving", o.with_serving);
  put("lost_before", o.lost_before);
  put("lost_after", o.lost_after);
  put("rejected", o.rejected);
  put("refused", o.refused);
  put("not_sent", o.not_sent);
  put("thrown", o.thrown);
  put("lies", o.lies);
  put("hangs", o.hangs);
  put("unreadable", o.unreadable);
  put("stale_reads", o.stale_reads);
  put("outsiders", o.outsiders);
  put("commit_rolled_back", o.commit_rolled_back);
  put("commit_unknown", o.commit_unknown);
  put("commit_crash", o.commit_crash);
  put("load_fails", o.load_fails);
  put("wrong_payload", o.wrong_payload);
  put("unverified", o.unverified);
  put("declared", o.declared);
  put("undoing", o.undoing);
  put("nodes", o.nodes);
  put("node_lease_ms", o.node_lease.count());
  put("renewal_lost", o.renewal_lost);
  put("stall_every_ms", o.stall_every.count());
  put("stall_span_ms", o.stall_span.count());
  put("floor_every_ms", o.floor_every.count());
  put("floor_span_ms", o.floor_span.count());
  put("buggify", o.buggify);
  put("crash_every_ms", o.crash_every.count());
  put("jump_every_ms", o.jump_every.count());
  put("person_every_ms", o.person_every.count());
  put("attempts_max", o.policy.retry.attempts_max);
  put("effect_timeout_ms", o.policy.effect_timeout.count());
  put("deadline_ms", o.policy.deadline.count());
  put("retention_ms", o.policy.retention.count());
  put("on_failure", static_cast<int>(o.policy.on_failure));
  put("outage_every_ms", o.outage_every.count());
  put("outage_span_ms", o.outage_span.count());
  put_gates(put, o.policy.gates);
  put("with_workers", o.with_workers);
  put("workers", o.workers);
  put("lease_ms", o.lease.count());
  put("worker_dies", o.worker_dies);
  put("worker_stalls", o.worker_stalls);
  put("inputs_per_turn_max", o.engine.inputs_per_turn_max);
  put("open_max", o.engine.open_max);
  return text;
}

}  // namespace trued::sim
