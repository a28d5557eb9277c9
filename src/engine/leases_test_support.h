// leases_test_support.h: a target that workers serve, and what they ask and say. For tests.
#pragma once

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace trued {

inline constexpr Duration kLease{30'000};
inline constexpr Duration kLostAfter = kLease + kLease / kLeaseAhead + Duration{2'000};

/// A store whose effects workers carry out.
class HandsOver final : public Connector {
 public:
  HandsOver(std::shared_ptr<MemoryConnector> inner, Capabilities can)
      : inner_(std::move(inner)), can_(can) {}
  Capabilities capabilities() const override { return can_; }
  EffectResult perform(const EffectRequest& request) override {
    EffectResult result;
    result.handed_over = R"({"put":")" + request.intent->artifacts.front().name + "\"}";
    return result;
  }
  std::vector<RawRead> read(const ReadRequest& request) override {
    std::vector<RawRead> reads = inner_->read(request);
    for (RawRead& read : reads) read.elsewhere = elsewhere;
    return reads;
  }
  History history(const HistoryRequest&) override { return {}; }
  Result<std::string> version() override { return std::string(); }
  std::string check_name(const std::string&) const override { return ""; }

  bool elsewhere = false;  ///< what is read is read at another target

 private:
  std::shared_ptr<MemoryConnector> inner_;
  Capabilities can_;
};

inline Policy for_workers() {
  Policy policy = quick_policy();
  policy.lease = kLease;
  policy.gates.breaker.enabled = false;
  return policy;
}

class Desk {
 public:
  explicit Desk(Policy policy = for_workers(), Capabilities can = {}) : policy_(policy) {
    auto connector = std::make_unique<HandsOver>(store, can);
    connector->elsewhere = policy.reads_elsewhere;
    targets.emplace("mailers",
                    make_target("mailers", "worker", std::move(connector), nullptr, "", policy));
    restart();
  }

  void restart() {
    engine.reset();
    runner.queue.clear();
    engine = std::make_unique<Engine>(EnginePorts{ledger, targets, runner, clock, chance},
                                      EngineOptions{});
    ASSERT_TRUE(engine->recover().has_value());
  }

  /// Everything that can happen now, without time going on.
  void run() {
    while (engine->step().worked || runner.run_one()) {
    }
  }
  void pass(Duration span) {
    const WallTime until = clock.now + span;
    while (clock.now < until) {
      const Turn turn = engine->step();
      if (turn.worked || runner.run_one()) continue;
      const Duration next = turn.next_in.value_or(span);
      clock.now = std::min(until, clock.now + std::max(next, Duration{1}));
    }
    run();
  }

  OperationId submit(const std::string& key, Priority priority = Priority::normal,
                     const std::string& scope = "default") {
    InputFault fault;
    auto parsed =
        parse_write_input(std::move(json::parse(R"({"target":"mailers","artifacts":[{"path":")" +
                                                key + R"(","content":"sent"}]})")
                                        .value()),
                          &targets, fault);
    TRUED_ASSERT(parsed.has_value());
    engine->submit({.identity = {scope, "write", key},
                    .fingerprint = parsed->fingerprint,
                    .definition = std::string(kWriteDefinition),
                    .intent = parsed->intent,
                    .intent_json = parsed->canonical,
                    .actor = "test",
                    .priority = priority,
                    .not_before = {},
                    .deadline = {}},
                   Duration{0}, [](const std::variant<Answer, EngineProblem>&) {});
    run();
    return ledger.load(std::vector<Identity>{{scope, "write", key}}).value().front().operation->id;
  }

  struct Poll {
    std::optional<std::vector<Lease>> leases;
    std::optional<EngineProblem> problem;
    std::uint32_t replies = 0;
    [[nodiscard]] const Lease& only() const { return leases->at(0); }
  };
  using PollPtr = std::shared_ptr<Poll>;
  PollPtr ask(LeaseAsk ask, Duration wait = Duration{0}) {
    auto poll = std::make_shared<Poll>();
    engine->lease(std::move(ask), wait,
                  [poll](std::variant<std::vector<Lease>, EngineProblem> reply) {
                    ++poll->replies;
                    if (auto* leases = std::get_if<std::vector<Lease>>(&reply)) {
                      poll->leases = std::move(*leases);
                    } else {
                      poll->problem = std::get<EngineProblem>(reply);
                    }
                  });
    return poll;
  }
  PollPtr ask(Duration wait = Duration{0}) { return ask({.worker = "w1", .targets = {}}, wait); }

  struct Said {
    std::optional<WorkAnswer> answer;
    std::string refused;
    std::uint32_t replies = 0;
  };
  std::shared_ptr<Said> keep(WorkReply& reply) {
    auto said = std::make_shared<Said>();
    reply = [said](std::variant<WorkAnswer, EngineProblem> result) {
      ++said->replies;
      if (auto* answer = std::get_if<WorkAnswer>(&result)) {
        said->answer = *answer;
      } else {
        const auto& problem = std::get<EngineProblem>(result);
        said->refused = problem.name.empty() ? problem.detail : problem.name;
      }
    };
    return said;
  }
  std::shared_ptr<Said> complete(OperationId id, std::uint32_t attempt, EffectKind kind) {
    AttemptReport report;
    report.attempt = AttemptNo(attempt);
    report.effect.kind = kind;
    report.effect.reason = kind == EffectKind::acknowledged ? "" : "as the worker says";
    WorkReply reply;
    auto said = keep(reply);
    engine->complete(id, std::move(report), std::move(reply));
    run();
    return said;
  }
  std::shared_ptr<Said> beat(OperationId id, std::uint32_t attempt) {
    WorkReply reply;
    auto said = keep(reply);
    engine->heartbeat(id, {.attempt = AttemptNo(attempt), .worker = "w1", .baseline = {}},
                      std::move(reply));
    run();
    return said;
  }
  /// What a worker does.
  void execute(const Lease& lease) {
    EffectRequest request;
    request.operation = lease.operation->id;
    request.intent = lease.intent;
    (void)store->perform(request);
    ++executions[lease.operation->id];
  }

  Operation now(OperationId id) {
    return *ledger.load(std::vector<OperationId>{id}).value().front();
  }
  template <class Kind>
  std::size_t count(OperationId id) {
    const auto events = ledger.open_reader().value()->events(id).value();
    return static_cast<std::size_t>(std::ranges::count_if(events, [](const EventRecord& record) {
      return std::holds_alternative<Kind>(record.event);
    }));
  }
  GateStats gate() {
    (void)engine->step();
    return engine->stats().targets.at(0);
  }
  LeaseStats stats() {
    (void)engine->step();
    return engine->stats().leases.at(0);
  }

  Policy policy_;
  ManualClock clock;
  SeededRandom chance{7};
  ManualRunner runner;
  MemoryLedger ledger;
  std::shared_ptr<MemoryConnector> store = std::make_shared<MemoryConnector>();
  std::map<OperationId, int> executions;
  Targets targets;
  std::unique_ptr<Engine> engine;
};

}  // namespace trued
