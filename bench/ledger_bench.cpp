// What the ledger alone costs: two commits an operation, as the engine makes them, without the
// engine. `us_per_op` is the writing thread's own time; `bytes_per_op` is the file with the log
// moved into it.
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <malloc.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/assert.h"
#include "base/random.h"
#include "ledger/codec.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued {
namespace {

constexpr WallTime kStart{Duration{1'800'000'000'000}};
constexpr std::size_t kContentBytes = 200;

double thread_seconds() {
  std::timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// A ledger in a folder of its own, and lives of operations as a small write to a file has them.
class LedgerBench {
 public:
  LedgerBench() {
    // As the server does.
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_TOP_PAD, 4 << 20);
    tune_sqlite_for_ledger();
    std::string name = (std::filesystem::temp_directory_path() / "trued-bench-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    ledger_ = std::move(SqliteLedger::open({.path = file()})).value();
  }
  ~LedgerBench() {
    ledger_.reset();
    std::filesystem::remove_all(directory_);
  }

  void live(std::int64_t operations) {
    std::vector<Change> begun;
    std::vector<Change> ended;
    for (std::int64_t i = 0; i < operations; ++i) {
      ++number_;
      now_ += Duration{1};
      begun.push_back(accept());
      ended.push_back(confirm(begun.back().row));
    }
    commit({std::move(begun), now_});
    commit({std::move(ended), now_ + Duration{3}});
  }

  /// Seconds of this thread that the commits took.
  [[nodiscard]] double seconds() const { return seconds_; }
  [[nodiscard]] std::int64_t operations() const { return number_; }

  /// Closes the ledger, which moves the log into the file.
  std::uintmax_t bytes() {
    ledger_.reset();
    return std::filesystem::file_size(file());
  }

 private:
  [[nodiscard]] std::string file() const { return directory_ + "/ledger.db"; }

  void commit(const Batch& batch) {
    const double before = thread_seconds();
    TRUED_ASSERT(ledger_->commit(batch).outcome == CommitOutcome::committed);
    seconds_ += thread_seconds() - before;
  }

  Change accept() {
    const std::string key = "invoice-2026-" + std::to_string(number_);
    std::string content = key;
    content.resize(kContentBytes, 'x');
    Change change{.row = {},
                  .insert = true,
                  .intent = R"({"artifacts":[{"content":")" + content + R"(","path":")" + key +
                            R"(.txt"}],"target":"site"})",
                  .events = {},
                  .at = now_};
    const Accepted accepted{
        .identity = {"default", "write", key},
        .fingerprint = fingerprint_of(change.intent, "write"),
        .definition = "write@1",
        .target = "site",
        .actor = "local",
        .priority = Priority::normal,
        .verify = true,
        .has_serving = false,
        .not_before = {},
        .deadline = now_ + Duration{900'000},
        .retention = Duration{604'800'000},
        .on_failure = OnFailure::replay,
        .artifacts = {{.name = key + ".txt", .absent = false, .id = {sha256(content), 200}}}};
    change.row = begin(make_id(), accepted, now_);
    change.events.emplace_back(accepted);
    add(change, AttemptStarted{AttemptNo(1), now_ + Duration{60'000}});
    return change;
  }

  static Change confirm(Operation row) {
    const WallTime at = row.updated_at + Duration{3};
    Change change{.row = std::move(row), .insert = false, .intent = "", .events = {}, .at = at};
    Observation before;
    before.seen = Seen::absent;
    before.read_at = at - Duration{2};
    Observation after;
    after.seen = Seen::found;
    after.id = change.row.artifacts.front().meant.id;
    after.version = "1-" + after.id.sha256.hex().substr(0, 16);
    after.read_at = at;
    after.latency = Duration{1};
    add(change, BaselineRead{{before}});
    add(change, EffectEnded{.attempt = AttemptNo(1),
                            .kind = EffectKind::acknowledged,
                            .changed = true,
                            .version = after.version,
                            .version_before = "",
                            .result = "",
                            .reason = ""});
    add(change, ReadBack{AttemptNo(1), {after}, {}});
    add(change, Settled{State::confirmed, "", {}, ""});
    return change;
  }

  static void add(Change& change, Event event) {
    evolve(change.row, event, change.at);
    change.events.push_back(std::move(event));
  }

  // Ids begin with the time, as the engine's do.
  OperationId make_id() {
    Uuid uuid;
    auto time = static_cast<std::uint64_t>(now_.time_since_epoch().count());
    for (std::size_t i = 6; i-- > 0; time >>= 8) {
      uuid.bytes.at(i) = static_cast<std::uint8_t>(time & 0xff);
    }
    std::uint64_t chance = random_.next();
    for (std::size_t i = 6; i < 14; ++i, chance >>= 8) {
      uuid.bytes.at(i) = static_cast<std::uint8_t>(chance & 0xff);
    }
    return OperationId(uuid);
  }

  std::string directory_;
  SystemRandom random_;
  std::unique_ptr<Ledger> ledger_;
  WallTime now_ = kStart;
  std::int64_t number_ = 0;
  double seconds_ = 0;
};

void ledger_commits(benchmark::State& state) {
  LedgerBench bench;
  for (auto _ : state) bench.live(state.range(0));
  state.SetItemsProcessed(bench.operations());
  const auto operations = static_cast<double>(bench.operations());
  state.counters["us_per_op"] = bench.seconds() * 1e6 / operations;
  state.counters["bytes_per_op"] = static_cast<double>(bench.bytes()) / operations;
}
// A fixed number of operations, so that two programs are compared at the same size of the file.
BENCHMARK(ledger_commits)->Arg(64)->Iterations(1'000)->UseRealTime();
BENCHMARK(ledger_commits)->Arg(1)->Iterations(2'000)->UseRealTime();

}  // namespace
}  // namespace trued
