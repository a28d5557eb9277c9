// The two runs: a writer who trusts status codes, and one who has writes verified.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "embed/build_target.h"
#include "engine/pump.h"
#include "engine/write_input.h"
#include "lab/lab.h"
#include "lab/pipeline.h"
#include "ledger/codec.h"
#include "ledger/sqlite/sqlite_ledger.h"
#include "target/http/http_reader.h"

namespace trued::lab {
namespace {

namespace fs = std::filesystem;

/// A directory that goes with its owner.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "trued-lab-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What consumers read right now is what the write meant.
bool is_served(const Pipeline& pipeline, const Intent& intent) {
  for (const ArtifactIntent& artifact : intent.artifacts) {
    const auto content = pipeline.served(artifact.name);
    if (!content || *content != artifact.content) return false;
  }
  return true;
}

std::uint32_t wrong_artifacts(const Pipeline& pipeline, const Workload& workload) {
  std::uint32_t wrong = 0;
  for (const auto& writes : workload.documents) {
    for (const ArtifactIntent& artifact : writes.back().intent->artifacts) {
      const auto content = pipeline.served(artifact.name);
      if (!content || *content != artifact.content) ++wrong;
    }
  }
  return wrong;
}

// Each writer takes every n-th document and writes its revisions in order.
void for_each_write(const Workload& workload, std::uint32_t writers,
                    const std::function<void(const Write&)>& carry_out) {
  std::vector<std::thread> threads;
  for (std::uint32_t w = 0; w < writers; ++w) {
    threads.emplace_back([&, w] {
      for (std::size_t d = w; d < workload.documents.size(); d += writers) {
        for (const Write& write : workload.documents.at(d)) carry_out(write);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// Counts under one lock, with progress.
class Score {
 public:
  Score(LabReport& report, const LabProgress& progress) : report_(report), progress_(progress) {}

  void count(const char* side, const std::function<void(LabReport&)>& change) {
    const std::scoped_lock lock(mutex_);
    change(report_);
    if (progress_) progress_(side, ++done_, report_.writes);
  }

 private:
  std::mutex mutex_;
  LabReport& report_;
  const LabProgress& progress_;
  std::uint32_t done_ = 0;
};

LieScore& score_of(LabReport& report, Lie lie) {
  return report.lies.at(static_cast<std::size_t>(lie));
}

Result<void> run_naive(const LabOptions& options, const Workload& workload,
                       const LabProgress& progress, LabReport& report) {
  const Scratch scratch;
  TRUED_TRY(const auto pipeline, Pipeline::open(scratch.path()));
  Score score(report, progress);
  std::mutex ids_mutex;
  UuidV7Generator ids;
  SystemClock clock;
  SystemRandom random;
  for_each_write(workload, options.writers, [&](const Write& write) {
    EffectRequest request;
    {
      const std::scoped_lock lock(ids_mutex);
      request.operation = OperationId(ids.next(clock.wall(), random.next(), random.next()));
    }
    request.intent = write.intent;
    const Published published = pipeline->publish(request, write.document, write.lie, false);
    pipeline->wait_for(published.event);
    const bool done = published.result.ended.kind == EffectKind::acknowledged;
    const bool wrong = done && !is_served(*pipeline, *write.intent);
    score.count("naive", [&](LabReport& r) {
      if (done) ++r.naive.reported_done;
      if (wrong) ++r.naive.falsely_reported;
      if (wrong) ++score_of(r, write.lie).believed;
    });
  });
  report.naive.wrong_at_end = wrong_artifacts(*pipeline, workload);
  return {};
}

/// The pipeline as a target: its publishing layer takes the writes, its repository is read.
class PipelineConnector final : public Connector {
 public:
  PipelineConnector(Pipeline& pipeline, const Workload& workload)
      : pipeline_(pipeline), workload_(workload) {}

  Capabilities capabilities() const override {
    return {.idempotent = true, .deduplicates = false, .history = true};
  }
  EffectResult perform(const EffectRequest& request) override {
    const Write& write = *workload_.by_key.at(request.key);
    const bool lied = request.attempt.value() <= write.told;
    return pipeline_
        .publish(request, write.document, lied ? write.lie : Lie::none, request.restage && !lied)
        .result;
  }
  std::vector<RawRead> read(const ReadRequest& request) override {
    return pipeline_.repository().read(request);
  }
  History history(const HistoryRequest& request) override {
    return pipeline_.repository().history(request);
  }
  Result<std::string> version() override { return pipeline_.repository().version(); }
  std::string check_name(const std::string& name) const override {
    return pipeline_.repository().check_name(name);
  }

 private:
  Pipeline& pipeline_;
  const Workload& workload_;
};

Policy lab_policy() {
  Policy policy;
  policy.retry = {.attempts_max = 5, .first = Duration{5}, .factor = 2, .cap = Duration{40}};
  policy.store = {
      .within = Duration{2'000}, .reads_max = 3, .first = Duration{10}, .cap = Duration{40}};
  // Long beside the sync layer's honest lag, so that slowness is not mistaken for a lie.
  policy.serving = {
      .within = Duration{10'000}, .reads_max = 25, .first = Duration{10}, .cap = Duration{100}};
  policy.unreadable = policy.serving;
  return policy;
}

void count_trued(LabReport& report, const Write& write, const Operation& operation, bool served) {
  const bool done = status_of(operation.state) == Status::confirmed;
  if (done) ++report.trued.reported_done;
  if (done && !served) ++report.trued.falsely_reported;
  if (operation.state == State::needs_action) ++report.trued.needs_action;
  LieScore& lie = score_of(report, write.lie);
  bool named = false;
  bool accused = false;
  for (const CaughtTell& caught : operation.tells) {
    if (caught.tell == Tell::overwritten) continue;
    const bool right = to_string(caught.tell) == to_string(write.lie);
    named = named || right;
    accused = accused || !right;
  }
  if (named || accused) ++lie.caught;
  if (named) ++lie.named;
  if (accused) ++lie.accused;
  if (done && write.lie != Lie::none) ++lie.repaired;
  if (accused || !done) {
    std::string tells;
    for (const CaughtTell& caught : operation.tells)
      tells += " " + std::string(to_string(caught.tell));
    report.notes.push_back("write " + write.key + ", told " + std::string(to_string(write.lie)) +
                           ": " + std::string(to_string(operation.state)) + ", caught" +
                           (tells.empty() ? " nothing" : tells) +
                           (operation.reason.empty() ? "" : "; " + operation.reason));
  }
}

Submission submission_of(const Write& write) {
  Submission submission;
  submission.identity = {"lab", std::string(kWriteType), write.key};
  submission.definition = std::string(kWriteDefinition);
  submission.intent = write.intent;
  submission.intent_json = write_input_json(*write.intent);
  submission.fingerprint = fingerprint_of(submission.intent_json, kWriteType);
  submission.actor = "lab";
  return submission;
}

using EngineReply = std::variant<Answer, EngineProblem>;

Result<void> run_trued(const LabOptions& options, const Workload& workload,
                       const LabProgress& progress, LabReport& report) {
  const Scratch scratch;
  TRUED_TRY(const auto pipeline, Pipeline::open(scratch.path()));
  TRUED_TRY(auto reader, HttpReader::open({.url = pipeline->serving_url()}));
  Targets targets;
  targets.emplace(kTarget, make_target(kTarget, "pipeline",
                                       std::make_unique<PipelineConnector>(*pipeline, workload),
                                       std::move(reader), "http", lab_policy()));
  TRUED_TRY(const auto ledger, SqliteLedger::open({.path = scratch.path() + "/ledger.db"}));
  SystemClock clock;
  SystemRandom random;
  ThreadRunner runner(options.writers);
  Engine engine({*ledger, targets, runner, clock, random}, {});
  TRUED_TRY_VOID(engine.recover());
  EnginePump pump(engine);
  Score score(report, progress);
  for_each_write(workload, options.writers, [&](const Write& write) {
    std::promise<EngineReply> promise;
    auto future = promise.get_future();
    engine.submit(submission_of(write), Duration{10 * 60'000},
                  [&promise](EngineReply reply) { promise.set_value(std::move(reply)); });
    const EngineReply reply = future.get();
    const Answer* answer = std::get_if<Answer>(&reply);
    const bool served = is_served(*pipeline, *write.intent);
    score.count("trued", [&](LabReport& r) {
      if (answer != nullptr) {
        count_trued(r, write, *answer->operation, served);
      } else {
        r.notes.push_back("write " + write.key +
                          " was refused: " + std::get<EngineProblem>(reply).detail);
      }
    });
  });
  pump.stop(Duration{5'000});
  report.trued.wrong_at_end = wrong_artifacts(*pipeline, workload);
  return {};
}

double seconds_since(std::chrono::nanoseconds begin, Clock& clock) {
  return std::chrono::duration<double>(clock.monotonic() - begin).count();
}

}  // namespace

Result<LabReport> run_lab(const LabOptions& options, const LabProgress& progress) {
  TRUED_TRY(const Workload workload, make_workload(options));
  LabReport report;
  report.seed = options.seed;
  report.documents = static_cast<std::uint32_t>(workload.documents.size());
  report.writes = workload.writes;
  for (const auto& writes : workload.documents) {
    report.artifacts += static_cast<std::uint32_t>(writes.back().intent->artifacts.size());
    for (const Write& write : writes) ++score_of(report, write.lie).writes;
  }
  SystemClock clock;
  auto begin = clock.monotonic();
  TRUED_TRY_VOID(run_naive(options, workload, progress, report));
  report.naive.seconds = seconds_since(begin, clock);
  begin = clock.monotonic();
  TRUED_TRY_VOID(run_trued(options, workload, progress, report));
  report.trued.seconds = seconds_since(begin, clock);
  return report;
}

}  // namespace trued::lab
