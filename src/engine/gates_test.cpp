// Retries as a resource: a target that is down is left alone, and everything ends well afterwards.
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace trued {
namespace {

/// A store that can be out of order as a whole, and counts who calls.
class Frail final : public Connector {
 public:
  enum class Down { no, unreachable, silent, throttling };

  explicit Frail(Down& down) : down_(down) {}
  Capabilities capabilities() const override { return inner_.capabilities(); }
  EffectResult perform(const EffectRequest& request) override {
    ++effects;
    ++by_operation[request.operation];
    timeout = request.timeout;
    EffectResult result;
    switch (down_) {
      case Down::no:
        return inner_.perform(request);
      case Down::unreachable:
        result.ended.kind = EffectKind::not_sent;
        break;
      case Down::silent:
        result.ended.kind = EffectKind::unknown;
        break;
      case Down::throttling:
        result.ended.kind = EffectKind::rejected_retryable;
        result.throttled = true;
        break;
    }
    result.ended.reason = "out of order";
    return result;
  }
  std::vector<RawRead> read(const ReadRequest& request) override {
    ++reads;
    const std::string& name = request.intent->artifacts.front().name;
    if (name == poisoned || elsewhere) return unreadable(request);
    if (down_ == Down::no || down_ == Down::throttling) return inner_.read(request);
    return unreadable(request);
  }
  History history(const HistoryRequest& request) override { return inner_.history(request); }
  Result<std::string> version() override { return inner_.version(); }
  std::string check_name(const std::string& name) const override { return inner_.check_name(name); }

  std::string poisoned;    ///< what can never be read
  bool elsewhere = false;  ///< another is asked for what is read, and that one is down
  std::uint64_t effects = 0;
  std::uint64_t reads = 0;
  std::map<OperationId, std::uint32_t> by_operation;
  Duration timeout{};

 private:
  std::vector<RawRead> unreadable(const ReadRequest& request) const {
    RawRead none;
    none.detail = "out of order";
    none.elsewhere = elsewhere;
    return std::vector<RawRead>(request.artifacts.size(), none);
  }

  Down& down_;
  MemoryConnector inner_;
};

class DownWorld {
 public:
  explicit DownWorld(Policy policy = patient(), std::uint64_t seed = 7) : chance(seed) {
    auto store = std::make_unique<Frail>(down);
    frail = store.get();
    targets.emplace("psp", make_target("psp", "memory", std::move(store), nullptr, "", policy));
    restart();
  }

  static Policy patient() {
    Policy policy = quick_policy();
    policy.retry.cap = Duration{10'000};
    policy.unreadable = {.within = Duration{60'000},
                         .reads_max = 8,
                         .first = Duration{200},
                         .cap = Duration{10'000}};
    return policy;
  }

  void restart() {
    engine.reset();
    runner.queue.clear();
    engine = std::make_unique<Engine>(EnginePorts{ledger, targets, runner, clock, chance},
                                      EngineOptions{});
    EXPECT_TRUE(engine->recover().has_value());
  }

  void submit(int number) {
    const std::string key = "k" + std::to_string(number);
    InputFault fault;
    auto parsed =
        parse_write_input(std::move(json::parse(R"({"target":"psp","artifacts":[{"path":")" + key +
                                                R"(","content":"x"}]})")
                                        .value()),
                          &targets, fault);
    engine->submit({.identity = {"default", "write", key},
                    .fingerprint = parsed->fingerprint,
                    .definition = std::string(kWriteDefinition),
                    .intent = parsed->intent,
                    .intent_json = parsed->canonical,
                    .actor = "",
                    .priority = Priority::normal,
                    .not_before = {},
                    .deadline = {}},
                   Duration{0}, [](const auto&) {});
  }

  /// Lets `span` go by, as fast as the engine wants to be stepped.
  void live(Duration span) {
    const WallTime end = clock.now + span;
    while (true) {
      const Turn turn = engine->step();
      const std::uint64_t done = frail->effects - counted_from;
      most_ahead = std::max(most_ahead, gate().in_flight - std::min(gate().in_flight, done));
      if (turn.worked || runner.run_one()) continue;
      if (clock.now >= end) return;
      const Duration next = std::clamp(turn.next_in.value_or(span), Duration{1}, Duration{1'000});
      clock.now = std::min(clock.now + next, end);
    }
  }

  Operation operation(int number) {
    return *ledger.load(std::vector<Identity>{{"default", "write", "k" + std::to_string(number)}})
                .value()
                .front()
                .operation;
  }
  std::size_t in_state(int count, State state) {
    std::size_t found = 0;
    for (int i = 0; i < count; ++i) found += operation(i).state == state ? 1 : 0;
    return found;
  }
  GateStats gate() const { return engine->stats().targets.front(); }

  std::uint64_t most_ahead = 0;    ///< calls under way beyond those that came back
  std::uint64_t counted_from = 0;  ///< effects before that
  Frail::Down down = Frail::Down::no;
  Frail* frail = nullptr;
  ManualClock clock;
  SeededRandom chance;
  ManualRunner runner;
  MemoryLedger ledger;
  Targets targets;
  std::unique_ptr<Engine> engine;
};

TEST(Gates, T5_T6_a_thousand_operations_outlive_a_target_that_is_down_for_a_while) {
  for (const Frail::Down how : {Frail::Down::unreachable, Frail::Down::silent}) {
    DownWorld world;
    world.down = how;
    for (int i = 0; i < 1'000; ++i) {
      world.submit(i);
      if (i % 10 == 9) world.live(Duration{100});
    }
    world.live(Duration{110'000});
    // Two minutes: what opened the breaker, and at most two probes a pause. Without gates it would
    // be thousands. Pauses of 5, 10, 20, 40, 80 s, each at least by half.
    EXPECT_LE(world.frail->effects, 5U + 10U + 2U * 6U) << "of " << static_cast<int>(how);
    EXPECT_EQ(world.gate().breaker, BreakerState::open);
    EXPECT_EQ(world.engine->stats().open, 1'000U) << "nothing is lost, and nothing has given up";
    EXPECT_EQ(world.operation(999).attempts, 0U) << "what is held has not begun";
    EXPECT_EQ(world.operation(999).reason.find("held: the circuit breaker of 'psp' is open until "),
              0U)
        << world.operation(999).reason;
    EXPECT_LE(world.ledger.open_reader().value()->events(world.operation(999).id).value().size(),
              2U)
        << "one durable round says why it is held";

    const std::uint64_t before = world.frail->effects;
    world.down = Frail::Down::no;
    world.most_ahead = 0;
    world.counted_from = before;
    world.live(Duration{160'000});  // the longest pause until now
    EXPECT_LE(world.most_ahead, 2 * world.gate().concurrency) << "it is not run over";
    EXPECT_EQ(world.in_state(1'000, State::confirmed), 1'000U);
    EXPECT_LE(world.frail->effects - before, 1'010U);
    EXPECT_EQ(world.gate().in_flight, 0U);
    EXPECT_EQ(world.gate().held_attempts + world.gate().held_retries + world.gate().held_reads, 0U);
  }
}

TEST(Gates, T5_what_came_all_at_once_is_called_back_when_the_breaker_opens) {
  DownWorld world;
  world.down = Frail::Down::unreachable;
  for (int i = 0; i < 200; ++i) world.submit(i);
  while (world.engine->step().worked) {
  }
  world.live(Duration{2'000});
  // As many as it may have in flight beside those that opened the breaker; all had been admitted.
  EXPECT_LE(world.frail->effects, 5U + world.gate().concurrency);
  world.down = Frail::Down::no;
  world.live(Duration{160'000});
  EXPECT_EQ(world.in_state(200, State::confirmed), 200U);
  EXPECT_EQ(world.gate().in_flight, 0U);
}

TEST(Gates, T5_without_gates_it_would_be_a_storm) {
  Policy policy = DownWorld::patient();
  policy.gates.breaker.enabled = false;
  policy.gates.budget.enabled = false;
  DownWorld world(policy);
  world.down = Frail::Down::unreachable;
  for (int i = 0; i < 100; ++i) world.submit(i);
  world.live(Duration{120'000});
  EXPECT_GT(world.frail->effects, 1'000U) << "the test above would show nothing";
}

TEST(Gates, T5_retries_are_bounded_by_the_budget) {
  Policy policy = DownWorld::patient();
  policy.gates.breaker.enabled = false;
  policy.gates.budget = {.enabled = true, .ratio_permille = 200, .floor_per_second = 1};
  DownWorld world(policy);
  world.down = Frail::Down::unreachable;
  for (int i = 0; i < 1'000; ++i) world.submit(i);
  world.live(Duration{9'000});
  EXPECT_LE(world.frail->effects, 1'000U + 200U + 10U);
  world.live(Duration{60'000});
  EXPECT_LE(world.frail->effects, 1'000U + 200U + 10U * 8U);
  EXPECT_GE(world.frail->effects, 1'000U + 200U + 10U * 5U) << "what is granted is used";
  EXPECT_GT(world.gate().held_retries, 0U);
  std::size_t held = 0;
  for (int i = 0; i < 1'000; ++i) {
    held +=
        world.operation(i).reason.starts_with("held: the retry budget of 'psp' is spent") ? 1 : 0;
  }
  EXPECT_GT(held, 500U);
  world.down = Frail::Down::no;
  world.live(Duration{900'000});
  EXPECT_EQ(world.in_state(1'000, State::confirmed) + world.in_state(1'000, State::failed), 1'000U)
      << "at the latest their deadline ends it";
}

TEST(Gates, T5_too_many_requests_do_not_open_the_breaker) {
  DownWorld world;
  world.down = Frail::Down::throttling;
  for (int i = 0; i < 50; ++i) world.submit(i);
  world.live(Duration{20'000});
  EXPECT_EQ(world.gate().breaker, BreakerState::closed);
  EXPECT_EQ(world.gate().breaker_opened, 0U);
}

TEST(Gates, T5_one_operation_has_one_vote) {
  DownWorld world;
  world.down = Frail::Down::unreachable;
  world.submit(0);
  world.live(Duration{60'000});
  EXPECT_GT(world.frail->effects, 6U);
  EXPECT_EQ(world.gate().breaker, BreakerState::closed);
  EXPECT_EQ(world.gate().failures_in_a_row, 1U);
}

TEST(Gates, T5_a_read_finds_out_whether_it_answers_again) {
  Policy policy = DownWorld::patient();
  policy.gates.breaker.open = Duration{10'000};
  DownWorld world(policy);
  world.down = Frail::Down::silent;
  for (int i = 0; i < 10; ++i) world.submit(i);
  world.live(Duration{2'000});
  for (int i = 10; i < 20; ++i) world.submit(i);
  world.live(Duration{2'000});
  ASSERT_EQ(world.gate().breaker, BreakerState::open);
  ASSERT_GT(world.gate().held_reads, 0U);
  ASSERT_GT(world.gate().held_attempts, 0U);
  const std::uint64_t effects = world.frail->effects;
  const std::uint64_t reads = world.frail->reads;
  world.live(Duration{8'000});
  EXPECT_EQ(world.frail->effects, effects) << "nothing is written to find out";
  EXPECT_GT(world.frail->reads, reads);
  EXPECT_GE(world.gate().breaker_opened, 2U);
  EXPECT_EQ(world.in_state(20, State::needs_action), 0U);
}

TEST(Gates, T5_what_cannot_be_read_does_not_keep_the_breaker_open_for_the_others) {
  DownWorld world;
  world.down = Frail::Down::silent;
  world.submit(0);
  world.live(Duration{10});
  world.frail->poisoned = "k0";
  world.down = Frail::Down::unreachable;
  for (int i = 1; i < 40; ++i) world.submit(i);
  world.live(Duration{2'000});
  ASSERT_EQ(world.gate().breaker, BreakerState::open);
  world.down = Frail::Down::no;
  world.live(Duration{60'000});
  EXPECT_EQ(world.in_state(40, State::confirmed), 39U);
}

TEST(Gates, T5_what_is_read_elsewhere_says_nothing_of_the_target) {
  Policy policy = DownWorld::patient();
  policy.reads_elsewhere = true;
  DownWorld world(policy);
  world.frail->elsewhere = true;
  for (int i = 0; i < 40; ++i) world.submit(i);
  world.live(Duration{10'000});
  EXPECT_EQ(world.gate().breaker_opened, 0U);
  EXPECT_GE(world.frail->effects, 40U);
  EXPECT_EQ(world.gate().calls.at(static_cast<std::size_t>(CallKind::read)), 0U);
  world.frail->elsewhere = false;
  world.live(Duration{60'000});
  EXPECT_EQ(world.in_state(40, State::confirmed), 40U);
}

TEST(Gates, T5_what_never_left_us_pays_for_no_retry) {
  Policy policy = DownWorld::patient();
  policy.gates.budget = {.enabled = true, .ratio_permille = 0, .floor_per_second = 0};
  DownWorld world(policy);
  for (int i = 0; i < 100; ++i) world.submit(i);
  // The runner gets to none of them before their time is over.
  while (world.engine->step().worked) {
  }
  world.clock.now += policy.effect_timeout * 3;
  while (world.engine->step().worked) {
  }
  ASSERT_EQ(world.operation(0).effect, EffectKind::not_sent) << world.operation(0).reason;
  world.live(Duration{60'000});
  EXPECT_EQ(world.in_state(100, State::confirmed), 100U);
  EXPECT_EQ(world.gate().calls.at(static_cast<std::size_t>(CallKind::retry)), 0U);
}

TEST(Gates, T5_T6_no_more_is_begun_than_ends_within_the_time_of_an_attempt) {
  Policy policy = DownWorld::patient();
  policy.effect_timeout = Duration{1'000};
  DownWorld world(policy);
  constexpr int kCount = 2'000;
  for (int i = 0; i < kCount; ++i) world.submit(i);
  // Six at a time, of a tenth of a second: more than half a minute for all, two seconds for each.
  int turns = 0;
  do {
    for (int i = 0; i < 50; ++i, ++turns) {
      while (world.engine->step().worked) {
      }
      for (int job = 0; job < 6; ++job) (void)world.runner.run_one();
      world.clock.now += Duration{100};
    }
  } while (world.in_state(kCount, State::confirmed) < kCount && turns < kCount / 2);
  EXPECT_LE(turns, kCount / 6 * 5 / 4) << "the target has hardly been idle";
  std::uint64_t attempts = 0;
  for (int i = 0; i < kCount; ++i) attempts += world.operation(i).attempts;
  EXPECT_LE(attempts, kCount * 5U / 4U);
  EXPECT_EQ(world.frail->effects, static_cast<std::uint64_t>(kCount));
  EXPECT_EQ(world.gate().breaker_opened, 0U);
}

TEST(Gates, T5_a_busy_target_does_not_keep_retries_waiting_for_ever) {
  Policy policy = DownWorld::patient();
  policy.gates.concurrency = 2;
  policy.gates.breaker.enabled = false;
  policy.gates.budget = {.enabled = true, .ratio_permille = 0, .floor_per_second = 1};
  DownWorld world(policy);
  world.down = Frail::Down::unreachable;
  for (int i = 0; i < 30; ++i) world.submit(i);
  world.live(Duration{15'000});
  ASSERT_GT(world.gate().held_retries, 0U);
  world.down = Frail::Down::no;
  // From now on there is always somebody who has not been tried yet.
  int next = 30;
  for (int second = 0; second < 120 && world.in_state(30, State::confirmed) < 30; ++second) {
    for (int i = 0; i < 20; ++i) world.submit(next++);
    for (int i = 0; i < 20; ++i) {
      while (world.engine->step().worked) {
      }
      (void)world.runner.run_one();
      world.clock.now += Duration{50};
    }
  }
  EXPECT_EQ(world.in_state(30, State::confirmed), 30U);
}

TEST(Gates, T5_calls_a_second_are_kept_and_nobody_is_forgotten) {
  Policy policy = DownWorld::patient();
  policy.gates.rate = {.per_second = 10, .burst = 5};
  DownWorld world(policy);
  for (int i = 0; i < 100; ++i) world.submit(i);
  world.live(Duration{5'000});
  EXPECT_LE(world.frail->effects, 5U + 50U + 1U);
  EXPECT_GE(world.frail->effects, 50U);
  EXPECT_TRUE(world.operation(99).reason.starts_with("held: ")) << world.operation(99).reason;
  world.live(Duration{6'000});
  EXPECT_EQ(world.in_state(100, State::confirmed), 100U);
}

TEST(Gates, T5_what_is_held_gives_up_at_its_deadline_and_says_why) {
  Policy policy = DownWorld::patient();
  policy.deadline = Duration{20'000};
  policy.gates.breaker.open = policy.gates.breaker.open_max = Duration{300'000};
  DownWorld world(policy);
  world.down = Frail::Down::unreachable;
  for (int i = 0; i < 10; ++i) world.submit(i);
  world.live(Duration{1'000});
  world.submit(10);
  world.live(Duration{21'000});
  EXPECT_EQ(world.operation(10).state, State::failed);
  EXPECT_EQ(world.operation(10).attempts, 0U);
  EXPECT_NE(world.operation(10).reason.find("held: the circuit breaker"), std::string::npos)
      << world.operation(10).reason;
  EXPECT_EQ(world.engine->stats().open, 0U);
}

TEST(Gates, T5_after_a_restart_nothing_is_forgotten_and_the_breaker_is_closed) {
  DownWorld world;
  world.down = Frail::Down::silent;
  for (int i = 0; i < 200; ++i) world.submit(i);
  world.live(Duration{10'000});
  world.restart();
  EXPECT_EQ(world.gate().breaker, BreakerState::closed);
  world.live(Duration{10'000});
  EXPECT_EQ(world.gate().breaker, BreakerState::open);
  world.down = Frail::Down::no;
  world.live(Duration{60'000});
  EXPECT_EQ(world.in_state(200, State::confirmed), 200U);
}

TEST(Gates, T5_a_batch_that_is_not_in_gives_back_what_it_took) {
  DownWorld world;
  for (int i = 0; i < 20; ++i) {
    world.ledger.inject({CommitFault::rolled_back});
    world.submit(i);
    world.live(Duration{1'500});
    world.submit(i);
    world.ledger.inject({CommitFault::none, CommitFault::rolled_back});
    world.live(Duration{3'000});
  }
  world.live(Duration{30'000});
  EXPECT_EQ(world.in_state(20, State::confirmed), 20U);
  EXPECT_EQ(world.gate().in_flight, 0U);
}

TEST(Gates, T5_a_call_is_given_no_more_time_than_the_deadline_leaves) {
  Policy policy = DownWorld::patient();
  policy.effect_timeout = Duration{30'000};
  policy.deadline = Duration{12'000};
  DownWorld world(policy);
  world.submit(0);
  world.live(Duration{100});
  EXPECT_EQ(world.frail->timeout, Duration{12'000});
}

TEST(Gates, T1_who_waited_for_its_turn_does_not_wait_for_its_deadline_too) {
  Policy policy = quick_policy();
  policy.gates.rate = {.per_second = 1, .burst = 1};
  World world(policy);
  const auto first = world.submit("a", "same.md", "x");
  const auto second = world.submit("b", "same.md", "y");
  const WallTime begin = world.clock.now;
  world.live(10'000, [&] { return first->answered() && second->answered(); });
  ASSERT_TRUE(second->answered());
  EXPECT_EQ(second->operation().state, State::confirmed);
  EXPECT_LE(world.clock.now - begin, Duration{5'000}) << "a second for each";
}

TEST(Gates, T5_a_target_has_the_concurrency_it_is_given) {
  Policy policy = DownWorld::patient();
  policy.gates.concurrency = 2;
  DownWorld world(policy);
  for (int i = 0; i < 10; ++i) world.submit(i);
  while (world.engine->step().worked) {
  }
  EXPECT_EQ(world.runner.queue.size(), 2U);
  EXPECT_EQ(world.gate().concurrency, 2U);
}

}  // namespace
}  // namespace trued
