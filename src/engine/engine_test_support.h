// engine_test_support.h: an engine in a test: clock, chance and runner in the test's hand.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "engine/engine.h"
#include "engine/write_input.h"
#include "json/parse.h"
#include "ledger/memory/memory_ledger.h"
#include "target/memory/memory_connector.h"

namespace trued {

class ManualClock final : public Clock {
 public:
  WallTime wall() override { return now; }
  std::chrono::nanoseconds monotonic() override { return now.time_since_epoch() - jumped_; }
  /// The wall alone.
  void jump(Duration by) {
    now += by;
    jumped_ += by;
  }
  WallTime now{Duration{1'800'000'000'000}};

 private:
  Duration jumped_{0};
};

/// Keeps work until the test runs it.
class ManualRunner final : public Runner {
 public:
  void run(std::move_only_function<void()> work) override { queue.push_back(std::move(work)); }
  bool run_one() {
    if (queue.empty()) return false;
    auto work = std::move(queue.front());
    queue.pop_front();
    work();
    return true;
  }
  std::deque<std::move_only_function<void()>> queue;
};

/// Hides that its store is inline, so that effects go through the runner.
class SlowConnector final : public Connector {
 public:
  SlowConnector(std::shared_ptr<MemoryConnector> inner, std::function<void()>& during,
                std::function<void()>& during_read)
      : inner_(std::move(inner)), during_(during), during_read_(during_read) {}
  Capabilities capabilities() const override { return inner_->capabilities(); }
  EffectResult perform(const EffectRequest& request) override {
    if (during_) std::exchange(during_, {})();
    return inner_->perform(request);
  }
  std::vector<RawRead> read(const ReadRequest& request) override {
    if (during_read_) std::exchange(during_read_, {})();
    return inner_->read(request);
  }
  History history(const HistoryRequest& request) override { return inner_->history(request); }
  Result<std::string> version() override { return inner_->version(); }
  std::string check_name(const std::string& name) const override {
    return inner_->check_name(name);
  }

 private:
  std::shared_ptr<MemoryConnector> inner_;
  std::function<void()>& during_;
  std::function<void()>& during_read_;
};

inline Policy quick_policy() {
  Policy policy;
  policy.store = {
      .within = Duration{100}, .reads_max = 3, .first = Duration{5}, .cap = Duration{20}};
  policy.unreadable = policy.store;
  policy.serving = policy.store;
  policy.retry = {.attempts_max = 3, .first = Duration{10}, .factor = 2, .cap = Duration{50}};
  return policy;
}

/// One process's life over a ledger and a target that outlive it.
class World {
 public:
  explicit World(Policy policy = quick_policy(), EngineOptions options = {},
                 MemoryOptions store_options = {})
      : options_(options), store(std::make_shared<MemoryConnector>(store_options)) {
    targets.emplace("docs",
                    make_target("docs", "memory",
                                std::make_unique<SlowConnector>(store, during_effect, during_read),
                                nullptr, "", policy));
    restart();
  }

  /// The process ends without a word (what its runner held is lost) and starts again.
  void restart() {
    engine.reset();
    runner.queue.clear();
    engine =
        std::make_unique<Engine>(EnginePorts{ledger, targets, runner, clock, random}, options_);
    recovered = engine->recover();
  }

  struct Asked {
    std::optional<std::variant<Answer, EngineProblem>> reply;
    std::uint32_t replies = 0;
    const Operation& operation() const { return *std::get<Answer>(*reply).operation; }
    SubmitDecision decision() const { return std::get<Answer>(*reply).decision; }
    bool answered() const { return reply.has_value(); }
    const EngineProblem* problem() const { return std::get_if<EngineProblem>(&*reply); }
  };
  using AskedPtr = std::shared_ptr<Asked>;

  Reply keep(const AskedPtr& asked) {
    return [asked](std::variant<Answer, EngineProblem> reply) {
      asked->reply = std::move(reply);
      ++asked->replies;
    };
  }

  AskedPtr submit(const std::string& key, const std::string& path, const std::string& content,
                  Duration wait = Duration{60'000}) {
    return submit_input(key,
                        R"({"target":"docs","artifacts":[{"path":")" + path + R"(","content":")" +
                            content + R"("}]})",
                        wait);
  }

  Submission prepared(const std::string& key, const std::string& path, const std::string& content) {
    return prepared_input(key, R"({"target":"docs","artifacts":[{"path":")" + path +
                                   R"(","content":")" + content + R"("}]})");
  }

  Submission prepared_input(const std::string& key, const std::string& input) {
    InputFault fault;
    auto parsed = parse_write_input(std::move(json::parse(input).value()), &targets, fault);
    TRUED_ASSERT(parsed.has_value());
    return {.identity = {"default", "write", key},
            .fingerprint = parsed->fingerprint,
            .definition = std::string(kWriteDefinition),
            .intent = parsed->intent,
            .intent_json = parsed->canonical,
            .actor = "test",
            .priority = Priority::normal,
            .not_before = {},
            .deadline = {}};
  }

  AskedPtr submit_prepared(Submission submission, Duration wait) {
    auto asked = std::make_shared<Asked>();
    engine->submit(std::move(submission), wait, keep(asked));
    return asked;
  }

  AskedPtr submit_input(const std::string& key, const std::string& input, Duration wait) {
    return submit_prepared(prepared_input(key, input), wait);
  }

  /// Of the operation under a key of the default scope.
  OperationId id_of(const std::string& key) {
    return ledger.load(std::vector<Identity>{{"default", "write", key}})
        .value()
        .front()
        .operation->id;
  }

  AskedPtr person(OperationId id, PersonAction action) {
    auto asked = std::make_shared<Asked>();
    engine->person(id, {action, "ada", "because"}, keep(asked));
    return asked;
  }

  /// Steps without running handed-out work.
  void step() {
    while (engine->step().worked) {
    }
  }

  /// Steps, with time going on, until `done` or `steps` times; runs work in between.
  template <class Done>
  void live(int steps, Done done) {
    for (int i = 0; i < steps && !done(); ++i) {
      const Turn turn = engine->step();
      if (turn.worked || runner.run_one()) continue;
      clock.now += std::clamp(*turn.next_in, Duration{1}, Duration{500});
    }
  }

  /// Steps and runs work until nothing moves; lets time pass to the next timer at most `timers`
  /// times.
  void settle(int timers = 200) {
    while (true) {
      const Turn turn = engine->step();
      if (turn.worked || runner.run_one()) continue;
      if (engine->stats().open == 0 || timers-- == 0 || !turn.next_in) return;
      clock.now += std::max(Duration{1}, *turn.next_in);
    }
  }

  std::vector<EventRecord> events(OperationId id) {
    return ledger.open_reader().value()->events(id).value();
  }

  EngineOptions options_;
  /// What happens inside the target while the next effect is under way there.
  std::function<void()> during_effect;
  /// The same for the next read.
  std::function<void()> during_read;
  ManualClock clock;
  SeededRandom random{7};
  ManualRunner runner;
  MemoryLedger ledger;
  std::shared_ptr<MemoryConnector> store;
  Targets targets;
  std::unique_ptr<Engine> engine;
  std::optional<Result<void>> recovered;
};

}  // namespace trued
