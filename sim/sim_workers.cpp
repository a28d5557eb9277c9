#include "sim/sim_workers.h"

#include <exception>
#include <vector>

namespace trued::sim {

EffectResult HandedStore::perform(const EffectRequest& request) {
  prepared_.insert_or_assign({request.operation, request.attempt.value()}, request);
  EffectResult result;
  result.handed_over = "{}";
  return result;
}

void SimWorkers::start() {
  if (stores_.empty()) return;
  for (std::uint32_t i = 0; i < options_.workers; ++i) {
    const std::string worker = "w" + std::to_string(i);
    agenda_.after(chance_.span(1, 500), [this, worker] { ask(worker); });
  }
}

void SimWorkers::ask(const std::string& worker) {
  const Duration wait = chance_.span(0, 2'000);
  // Whoever goes away while it waits is missed at once, or when it would be answered.
  auto gone = std::make_shared<bool>(false);
  if (strikes(options_.worker_dies)) {
    agenda_.after(chance_.span(0, 1'000), [gone] { *gone = true; });
  }
  auto heard = std::make_shared<bool>(false);
  const auto next = [this, worker] {
    agenda_.after(chance_.span(1, 300), [this, worker] { ask(worker); });
  };
  Engine* const engine = reach_();
  if (engine == nullptr) return next();
  engine->lease(
      {.worker = worker,
       .max = static_cast<std::uint32_t>(1 + chance_.below(3)),
       .gone = [gone] { return *gone; }},
      wait,
      [this, worker, gone, heard](const std::variant<std::vector<Lease>, EngineProblem>& reply) {
        if (*heard) trace_.violation("a worker was answered twice");
        *heard = true;
        const auto* leases = std::get_if<std::vector<Lease>>(&reply);
        if (leases == nullptr) return;
        if (*gone && !leases->empty()) {
          trace_.violation("(4) work was handed to nobody");
        }
        for (const Lease& lease : *leases) take(worker, lease);
      });
  // Answered or not (the process may have ended), it asks again.
  agenda_.after(wait + Duration{500}, next);
}

void SimWorkers::take(const std::string& worker, const Lease& lease) {
  auto held = std::make_shared<Held>();
  held->worker = worker;
  held->id = lease.operation->id;
  held->attempt = AttemptNo(lease.operation->attempts);
  held->target = lease.operation->target;
  held->heard = agenda_.now();
  trace_.say(worker, " takes ", to_string(held->id), " attempt ", held->attempt.value());
  auditor_.on_leased(*lease.operation);
  if (strikes(options_.worker_dies)) {
    auditor_.see("worker killed");
    return;
  }
  const std::int64_t span = options_.lease.count();
  const bool stalls = strikes(options_.worker_stalls);
  held->until = agenda_.now() + (stalls ? chance_.span(span, 4 * span) : chance_.span(0, 2 * span));
  if (stalls) auditor_.see("worker stalled");
  if (!stalls) beat(held);
  agenda_.after(held->until - agenda_.now(), [this, held] { finish(held); });
}

void SimWorkers::beat(const HeldPtr& held) {
  agenda_.after(options_.lease / 3, [this, held] {
    if (held->done) return;
    const Duration asked = agenda_.now();
    Engine* const engine = reach_();
    if (engine == nullptr) return beat(held);
    engine->heartbeat(held->id, {.attempt = held->attempt, .worker = held->worker, .baseline = {}},
                      [this, held, asked](const std::variant<WorkAnswer, EngineProblem>& reply) {
                        if (std::holds_alternative<WorkAnswer>(reply)) {
                          held->heard = asked;
                        } else if (std::get<EngineProblem>(reply).code == ProblemCode::refused) {
                          held->heard = agenda_.now() - options_.lease;
                          auditor_.see("lease lost");
                        }
                      });
    beat(held);
  });
}

AttemptReport SimWorkers::carry_out(Held& held) {
  AttemptReport report;
  report.attempt = held.attempt;
  report.effect.attempt = held.attempt;
  if (agenda_.now() - held.heard >= options_.lease) {
    report.effect.kind = EffectKind::rejected_retryable;
    report.effect.reason = "simulated: the lease was lost before anything was done";
    auditor_.see("lease lost");
    return report;
  }
  HandedStore& handed = *stores_.at(held.target);
  try {
    EffectResult result = handed.store().perform(handed.prepared(held.id, held.attempt));
    report.effect = std::move(result.ended);
    report.effect.attempt = held.attempt;
    report.retry_after = result.retry_after;
  } catch (const std::exception& e) {
    report.effect.kind = EffectKind::unknown;
    report.effect.reason = e.what();
  }
  if (report.effect.kind == EffectKind::not_sent) {
    report.effect.kind = EffectKind::rejected_retryable;
  }
  return report;
}

void SimWorkers::finish(const HeldPtr& held) {
  held->done = true;
  const AttemptReport report = carry_out(*held);
  if (strikes(options_.worker_dies)) {
    auditor_.see("worker killed after its effect");
    return;
  }
  const bool late = strikes(options_.worker_stalls);
  const Duration after = late ? chance_.span(0, 4 * options_.lease.count()) : chance_.span(0, 20);
  agenda_.after(after, [this, held, report] { tell(held, report, 3); });
}

// Until it is heard; sometimes once more.
void SimWorkers::tell(const HeldPtr& held, const AttemptReport& report, int times) {
  if (times == 0) return;
  auto heard = std::make_shared<bool>(false);
  Engine* const engine = reach_();
  if (engine == nullptr) {
    agenda_.after(chance_.span(100, 1'000),
                  [this, held, report, times] { tell(held, report, times - 1); });
    return;
  }
  engine->complete(held->id, report,
                   [this, heard](const std::variant<WorkAnswer, EngineProblem>& reply) {
                     const auto* answer = std::get_if<WorkAnswer>(&reply);
                     *heard = answer != nullptr;
                     if (answer == nullptr) return;
                     auditor_.see(answer->repeated  ? "completion repeated"
                                  : answer->counted ? "completion counted"
                                                    : "completion too late");
                   });
  const bool twice = strikes(100);
  agenda_.after(chance_.span(100, 1'000), [this, held, report, heard, twice, times] {
    if (!*heard || twice) tell(held, report, times - 1);
  });
}

}  // namespace trued::sim
