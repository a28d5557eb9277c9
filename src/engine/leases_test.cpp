// Work for whoever asks: handed out once it is durable, kept by heartbeats, lost by silence.
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace trued {
namespace {

constexpr Duration kLease{30'000};

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
  std::vector<RawRead> read(const ReadRequest& request) override { return inner_->read(request); }
  History history(const HistoryRequest&) override { return {}; }
  Result<std::string> version() override { return std::string(); }
  std::string check_name(const std::string&) const override { return ""; }

 private:
  std::shared_ptr<MemoryConnector> inner_;
  Capabilities can_;
};

Policy for_workers() {
  Policy policy = quick_policy();
  policy.lease = kLease;
  policy.gates.breaker.enabled = false;
  return policy;
}

class Desk {
 public:
  explicit Desk(Policy policy = for_workers(), Capabilities can = {}) : policy_(policy) {
    targets.emplace("mailers",
                    make_target("mailers", "worker", std::make_unique<HandsOver>(store, can),
                                nullptr, "", policy));
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

TEST(Leases, T5_what_waits_for_a_worker_costs_no_attempt_and_says_so) {
  Desk desk;
  const OperationId id = desk.submit("a");
  desk.pass(Duration{120'000});
  const Operation waiting = desk.now(id);
  EXPECT_EQ(waiting.state, State::accepted);
  EXPECT_EQ(waiting.attempts, 0U);
  EXPECT_EQ(waiting.reason, "held: waits for a worker of 'mailers'");
  EXPECT_EQ(waiting.events, 2U) << "waiting is said once";
  EXPECT_EQ(desk.stats().queued, 1U);
}

TEST(Leases, V1_is_handed_out_done_told_and_read_back) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto poll = desk.ask(Duration{60'000});
  desk.run();
  ASSERT_TRUE(poll->leases && poll->leases->size() == 1);
  EXPECT_EQ(poll->only().operation->id, id);
  EXPECT_EQ(poll->only().operation->attempts, 1U);
  EXPECT_EQ(poll->only().payload, R"({"put":"a"})");
  EXPECT_EQ(poll->only().until, desk.clock.now + kLease);
  EXPECT_EQ(desk.stats().leased, 1U);
  desk.execute(poll->only());
  const auto said = desk.complete(id, 1, EffectKind::acknowledged);
  ASSERT_TRUE(said->answer);
  EXPECT_TRUE(said->answer->counted);
  desk.run();
  EXPECT_EQ(desk.now(id).state, State::confirmed);
  EXPECT_EQ(desk.stats().leased, 0U);
}

TEST(Leases, T1_is_durable_before_the_worker_hears_of_it) {
  Desk desk;
  const OperationId id = desk.submit("a");
  std::optional<Operation> durable;
  desk.engine->lease({.worker = "w1", .targets = {}}, Duration{1'000},
                     [&](const auto&) { durable = desk.now(id); });
  desk.run();
  ASSERT_TRUE(durable);
  EXPECT_TRUE(is_leased(*durable));
  EXPECT_EQ(leased_by(*durable), "w1");
}

TEST(Leases, T1_a_poll_waits_for_work_and_is_answered_with_none_in_the_end) {
  Desk desk;
  const auto patient = desk.ask(Duration{60'000});
  desk.pass(Duration{59'000});
  EXPECT_EQ(patient->replies, 0U);
  const OperationId id = desk.submit("a");
  ASSERT_TRUE(patient->leases && patient->leases->size() == 1) << "at once, not when it asks again";
  EXPECT_EQ(patient->only().operation->id, id);
  const auto hungry = desk.ask(Duration{1'000});
  desk.pass(Duration{1'001});
  ASSERT_TRUE(hungry->leases);
  EXPECT_TRUE(hungry->leases->empty());
  EXPECT_EQ(hungry->replies, 1U);
}

TEST(Leases, T5_urgent_first_and_else_in_the_order_of_acceptance) {
  Desk desk;
  const OperationId low = desk.submit("low", Priority::low);
  const OperationId first = desk.submit("first");
  const OperationId second = desk.submit("second");
  const OperationId critical = desk.submit("critical", Priority::critical);
  const auto poll = desk.ask({.worker = "w1", .targets = {}, .types = {}, .max = 4});
  desk.run();
  ASSERT_TRUE(poll->leases);
  std::vector<OperationId> order;
  for (const Lease& lease : *poll->leases) order.push_back(lease.operation->id);
  EXPECT_EQ(order, (std::vector<OperationId>{critical, first, second, low}));
}

TEST(Leases, T1_a_worker_gets_only_what_it_takes_and_may_see) {
  Desk desk;
  (void)desk.submit("a", Priority::normal, "tenant-a");
  const OperationId b = desk.submit("b", Priority::normal, "tenant-b");
  const auto other = desk.ask({.worker = "w1", .targets = {"elsewhere"}});
  const auto type = desk.ask({.worker = "w1", .targets = {}, .types = {"charge"}});
  const auto tenant = desk.ask({.worker = "w1",
                                .targets = {"mailers"},
                                .types = {"write"},
                                .max = 9,
                                .covers = [](const std::string& s) { return s == "tenant-b"; }});
  desk.run();
  EXPECT_TRUE(other->leases && other->leases->empty());
  EXPECT_TRUE(type->leases && type->leases->empty());
  ASSERT_TRUE(tenant->leases && tenant->leases->size() == 1);
  EXPECT_EQ(tenant->only().operation->id, b);
}

TEST(Leases, T4_a_worker_that_has_gone_is_handed_nothing) {
  Desk desk;
  bool gone = false;
  const auto poll =
      desk.ask({.worker = "w1", .targets = {}, .gone = [&] { return gone; }}, Duration{60'000});
  desk.run();
  gone = true;
  const OperationId id = desk.submit("a");
  EXPECT_EQ(desk.now(id).attempts, 0U) << "nothing was begun for nobody";
  EXPECT_EQ(poll->replies, 1U);
}

TEST(Leases, T4_what_was_begun_for_a_worker_that_has_gone_was_not_sent) {
  Desk desk;
  const OperationId id = desk.submit("a");
  bool gone = false;
  (void)desk.ask({.worker = "w1", .targets = {}, .gone = [&] { return gone; }}, Duration{60'000});
  while (desk.runner.queue.empty()) (void)desk.engine->step();
  gone = true;
  desk.run();
  const Operation after = desk.now(id);
  EXPECT_EQ(after.effect, EffectKind::not_sent);
  EXPECT_FALSE(after.sent);
  EXPECT_EQ(after.attempts_counted, 0U);
  desk.pass(Duration{1'000});
  const auto next = desk.ask();
  desk.run();
  ASSERT_TRUE(next->leases && next->leases->size() == 1);
  EXPECT_EQ(next->only().operation->attempts, 2U);
}

TEST(Leases, T6_heartbeats_keep_it_as_long_as_the_worker_is_at_work) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto poll = desk.ask();
  desk.run();
  for (int i = 0; i < 10; ++i) {
    desk.pass(kLease / 2);
    const auto said = desk.beat(id, 1);
    ASSERT_TRUE(said->answer) << said->refused;
    EXPECT_EQ(said->answer->operation->due_at, desk.clock.now + kLease);
  }
  desk.execute(poll->only());
  (void)desk.complete(id, 1, EffectKind::acknowledged);
  EXPECT_EQ(desk.now(id).state, State::confirmed);
  EXPECT_EQ(desk.stats().lost, 0U);
}

TEST(Leases, T4_a_lost_lease_is_unknown_and_what_may_not_be_repeated_is_a_persons) {
  Policy policy = for_workers();
  policy.verify = false;
  Desk desk(policy, {.idempotent = false});
  const OperationId id = desk.submit("a");
  (void)desk.ask();
  desk.run();
  desk.pass(kLease + Duration{1'000});
  const Operation after = desk.now(id);
  EXPECT_EQ(after.state, State::needs_action);
  for (const EventRecord& record : desk.ledger.open_reader().value()->events(id).value()) {
    const auto* ended = std::get_if<EffectEnded>(&record.event);
    if (ended == nullptr) continue;
    EXPECT_EQ(ended->reason, "the lease ran out without a word; it was leased by worker 'w1'");
  }
  EXPECT_EQ(desk.stats().lost, 1U);
  const auto late = desk.complete(id, 1, EffectKind::acknowledged);
  ASSERT_TRUE(late->answer);
  EXPECT_FALSE(late->answer->counted);
  EXPECT_EQ(desk.beat(id, 1)->refused, "lease-lost");
  EXPECT_EQ(desk.now(id).state, State::needs_action);
  EXPECT_EQ(desk.count<LateEvidence>(id), 1U);
}

TEST(Leases, T1_two_workers_race_and_the_newer_attempt_is_what_counts) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto slow = desk.ask();
  desk.run();
  desk.pass(kLease + Duration{2'000});
  const auto fast = desk.ask({.worker = "w2", .targets = {}}, Duration{10'000});
  desk.pass(Duration{1'000});
  ASSERT_TRUE(fast->leases && fast->leases->size() == 1);
  EXPECT_EQ(fast->only().operation->attempts, 2U);
  EXPECT_EQ(desk.beat(id, 1)->refused, "lease-lost");
  const auto late = desk.complete(id, 1, EffectKind::acknowledged);
  ASSERT_TRUE(late->answer);
  EXPECT_FALSE(late->answer->counted);
  EXPECT_EQ(desk.now(id).state, State::attempting);
  desk.execute(fast->only());
  EXPECT_TRUE(desk.complete(id, 2, EffectKind::acknowledged)->answer->counted);
  EXPECT_EQ(desk.now(id).state, State::confirmed);
}

TEST(Leases, T1_saying_the_same_twice_is_answered_the_same_and_recorded_once) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const auto poll = desk.ask();
  desk.run();
  desk.execute(poll->only());
  const auto first = desk.complete(id, 1, EffectKind::acknowledged);
  const std::uint32_t events = desk.now(id).events;
  for (int i = 0; i < 3; ++i) {
    const auto again = desk.complete(id, 1, EffectKind::acknowledged);
    ASSERT_TRUE(again->answer);
    EXPECT_EQ(again->answer->counted, first->answer->counted);
    EXPECT_TRUE(again->answer->repeated);
  }
  EXPECT_EQ(desk.now(id).events, events);
  for (int i = 0; i < 3; ++i) {
    const auto other = desk.complete(id, 1, EffectKind::rejected_final);
    EXPECT_FALSE(other->answer->counted) << "it has said otherwise before";
  }
  EXPECT_EQ(desk.count<LateEvidence>(id), 1U);
}

TEST(Leases, T1_what_was_never_handed_out_cannot_be_completed) {
  Desk desk;
  const OperationId id = desk.submit("a");
  EXPECT_EQ(desk.complete(id, 1, EffectKind::acknowledged)->refused, "lease-lost");
  (void)desk.ask(Duration{60'000});
  while (desk.runner.queue.empty()) (void)desk.engine->step();
  WorkReply reply;
  const auto early = desk.keep(reply);
  AttemptReport report;
  report.effect.kind = EffectKind::acknowledged;
  desk.engine->complete(id, std::move(report), std::move(reply));
  while (early->replies == 0) (void)desk.engine->step();
  EXPECT_EQ(early->refused, "lease-lost");
  desk.run();
  EXPECT_TRUE(is_leased(desk.now(id)));
}

TEST(Leases, T6_a_restart_takes_no_lease_away_and_gives_it_time_to_be_heard_of) {
  Desk desk;
  const OperationId id = desk.submit("a");
  const OperationId other = desk.submit("b");
  const auto poll = desk.ask();
  desk.run();
  desk.clock.now += kLease + Duration{60'000};
  desk.restart();
  desk.run();
  EXPECT_TRUE(is_leased(desk.now(id))) << "nobody could have kept it meanwhile";
  EXPECT_EQ(desk.stats().leased, 1U);
  EXPECT_EQ(desk.stats().queued, 1U);
  EXPECT_TRUE(desk.beat(id, 1)->answer);
  desk.restart();
  desk.execute(poll->only());
  EXPECT_TRUE(desk.complete(id, 1, EffectKind::acknowledged)->answer->counted);
  EXPECT_EQ(desk.now(id).state, State::confirmed);
  const auto next = desk.ask();
  desk.run();
  ASSERT_TRUE(next->leases && next->leases->size() == 1);
  EXPECT_EQ(next->only().operation->id, other);
}

TEST(Leases, T6_a_lease_of_before_the_restart_runs_out_if_nothing_is_heard) {
  Desk desk(for_workers(), {.idempotent = false});
  const OperationId id = desk.submit("a");
  (void)desk.ask();
  desk.run();
  desk.restart();
  desk.pass(kLease - Duration{1'000});
  EXPECT_TRUE(is_leased(desk.now(id)));
  desk.pass(Duration{2'000});
  EXPECT_EQ(desk.now(id).effect, EffectKind::unknown);
}

TEST(Leases, T6_what_was_begun_and_not_handed_out_before_a_crash_never_left_us) {
  Desk desk(for_workers(), {.idempotent = false});
  const OperationId id = desk.submit("a");
  (void)desk.ask(Duration{60'000});
  while (desk.runner.queue.empty()) (void)desk.engine->step();
  ASSERT_EQ(desk.now(id).state, State::attempting);
  desk.restart();
  desk.run();
  EXPECT_EQ(desk.now(id).effect, EffectKind::not_sent);
  EXPECT_EQ(desk.now(id).state, State::accepted);
}

TEST(Leases, T5_a_target_hands_out_no_more_at_a_time_than_its_limit) {
  Policy policy = for_workers();
  policy.gates.concurrency = 2;
  Desk desk(policy);
  for (const char* key : {"a", "b", "c"}) (void)desk.submit(key);
  const auto greedy = desk.ask({.worker = "w1", .targets = {}, .types = {}, .max = 10});
  desk.run();
  ASSERT_TRUE(greedy->leases);
  ASSERT_EQ(greedy->leases->size(), 2U);
  const auto next = desk.ask(Duration{60'000});
  desk.run();
  EXPECT_EQ(next->replies, 0U);
  desk.execute(greedy->only());
  (void)desk.complete(greedy->only().operation->id, 1, EffectKind::acknowledged);
  EXPECT_EQ(next->replies, 1U);
}

TEST(Leases, T5_a_target_hands_out_no_more_in_a_second_than_its_rate) {
  Policy policy = for_workers();
  policy.gates.rate = {.per_second = 1, .burst = 1};
  Desk desk(policy);
  for (const char* key : {"a", "b", "c"}) (void)desk.submit(key);
  std::size_t handed = 0;
  for (int i = 0; i < 2; ++i) {
    const auto poll = desk.ask({.worker = "w1", .targets = {}, .types = {}, .max = 10});
    desk.run();
    ASSERT_TRUE(poll->leases);
    handed += poll->leases->size();
  }
  EXPECT_EQ(handed, 1U);
  const auto patient = desk.ask(Duration{5'000});
  desk.pass(Duration{1'500});
  EXPECT_EQ(patient->replies, 1U);
}

TEST(Leases, T1_the_deadline_and_a_person_end_the_waiting) {
  Desk desk;
  const OperationId late = desk.submit("late");
  const OperationId withdrawn = desk.submit("withdrawn");
  desk.engine->person(withdrawn, {PersonAction::cancel, "ada", ""}, [](const auto&) {});
  desk.run();
  EXPECT_EQ(desk.now(withdrawn).state, State::canceled);
  EXPECT_EQ(desk.stats().queued, 1U);
  desk.pass(desk.policy_.deadline + Duration{1});
  EXPECT_EQ(desk.now(late).state, State::failed);
  EXPECT_NE(desk.now(late).reason.find("waits for a worker"), std::string::npos);
  EXPECT_EQ(desk.stats().queued, 0U);
}

TEST(Leases, T6_a_stop_answers_those_who_ask_and_lets_leases_live) {
  Desk desk;
  const auto idle = desk.ask(Duration{60'000});
  desk.run();
  desk.engine->begin_drain();
  desk.run();
  ASSERT_TRUE(idle->leases && idle->leases->empty());
  const auto refused = desk.ask(Duration{60'000});
  desk.run();
  ASSERT_TRUE(refused->problem);
  EXPECT_EQ(refused->problem->code, ProblemCode::draining);
  EXPECT_TRUE(desk.engine->drained());
}

TEST(Leases, T8_a_worker_that_says_come_again_is_asked_again_within_the_bound) {
  Desk desk;
  const OperationId id = desk.submit("a");
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    const auto poll = desk.ask(Duration{10'000});
    desk.pass(Duration{10'001});
    ASSERT_TRUE(poll->leases && poll->leases->size() == 1) << attempt;
    (void)desk.complete(id, attempt, EffectKind::rejected_retryable);
  }
  EXPECT_EQ(desk.now(id).state, State::failed);
}

TEST(Leases, T1_a_thousand_by_twenty_workers_are_each_done_once) {
  Desk desk;
  std::vector<OperationId> ids;
  for (int i = 0; i < 1'000; ++i) ids.push_back(desk.submit("key" + std::to_string(i)));
  for (int round = 0; round < 200; ++round) {
    std::vector<Desk::PollPtr> polls;
    for (int w = 0; w < 20; ++w) {
      polls.push_back(desk.ask({.worker = "w" + std::to_string(w),
                                .targets = {},
                                .types = {},
                                .max = static_cast<std::uint32_t>(1 + w % 3)}));
    }
    desk.run();
    for (const auto& poll : polls) {
      ASSERT_TRUE(poll->leases);
      for (const Lease& lease : *poll->leases) {
        desk.execute(lease);
        (void)desk.complete(lease.operation->id, lease.operation->attempts,
                            EffectKind::acknowledged);
      }
    }
    if (desk.stats().queued + desk.stats().leased == 0) break;
  }
  for (const OperationId& id : ids) {
    EXPECT_EQ(desk.executions[id], 1);
    EXPECT_EQ(desk.now(id).state, State::confirmed);
  }
}

}  // namespace
}  // namespace trued
