// What the engine costs without HTTP: whole operations, repeats, and the parts they are made of.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include "base/clock.h"
#include "base/random.h"
#include "engine/engine.h"
#include "engine/write_input.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "ledger/memory/memory_ledger.h"
#include "ledger/sqlite/sqlite_ledger.h"
#include "target/memory/memory_connector.h"

namespace trued {
namespace {

class NoRunner final : public Runner {
 public:
  void run(std::move_only_function<void()> work) override { work(); }
};

/// An engine over a ledger, stepped by the benchmark itself.
class Bench {
 public:
  explicit Bench(bool durable) {
    std::string name = (std::filesystem::temp_directory_path() / "trued-bench-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    if (durable) {
      ledger_ = std::move(SqliteLedger::open({.path = directory_ + "/ledger.db"})).value();
    } else {
      ledger_ = std::make_unique<MemoryLedger>();
    }
    targets_.emplace("bench", make_target("bench", "memory", std::make_unique<MemoryConnector>(),
                                          nullptr, "", Policy{}));
    engine_ = std::make_unique<Engine>(EnginePorts{*ledger_, targets_, runner_, clock_, random_},
                                       EngineOptions{});
    TRUED_ASSERT(engine_->recover().has_value());
  }
  ~Bench() {
    engine_.reset();
    ledger_.reset();
    std::filesystem::remove_all(directory_);
  }

  void submit(const std::string& key) {
    auto value = json::parse(R"({"target":"bench","artifacts":[{"path":")" + key +
                             R"(","content":")" + std::string(200, 'x') + R"("}]})");
    InputFault fault;
    auto input = parse_write_input(std::move(value).value(), &targets_, fault);
    ++open_;
    engine_->submit({.identity = {"default", "write", key},
                     .fingerprint = input->fingerprint,
                     .definition = "write@1",
                     .intent = input->intent,
                     .intent_json = input->canonical,
                     .actor = "",
                     .priority = Priority::normal,
                     .not_before = {},
                     .deadline = {}},
                    Duration{60'000},
                    [this](const std::variant<Answer, EngineProblem>&) { --open_; });
  }
  void finish() {
    while (open_ > 0) (void)engine_->step();
  }

 private:
  std::string directory_;
  SystemClock clock_;
  SystemRandom random_;
  NoRunner runner_;
  std::unique_ptr<Ledger> ledger_;
  Targets targets_;
  std::unique_ptr<Engine> engine_;
  int open_ = 0;
};

void run_whole(benchmark::State& state, bool durable) {
  Bench bench(durable);
  std::int64_t number = 0;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) bench.submit(std::to_string(++number));
    bench.finish();
  }
  state.SetItemsProcessed(number);
}

void whole_operations_sqlite(benchmark::State& state) { run_whole(state, true); }
void whole_operations_memory(benchmark::State& state) { run_whole(state, false); }
BENCHMARK(whole_operations_sqlite)->Arg(1)->Arg(64)->Arg(1024)->UseRealTime();
BENCHMARK(whole_operations_memory)->Arg(64)->UseRealTime();

void repeats_sqlite(benchmark::State& state) {
  Bench bench(true);
  bench.submit("one");
  bench.finish();
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) bench.submit("one");
    bench.finish();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(repeats_sqlite)->Arg(64)->UseRealTime();

void canonical_form(benchmark::State& state) {
  const auto value = json::parse(R"({"target":"docs","artifacts":[{"path":"a","content":")" +
                                 std::string(1'000, 'x') + R"("}],"message":"m","n":1.5})");
  for (auto _ : state) benchmark::DoNotOptimize(json::canonical(*value));
}
BENCHMARK(canonical_form);

}  // namespace
}  // namespace trued
