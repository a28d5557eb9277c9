// trued exec: a command with an identity, carried out by the same engine, without a server.
#include <atomic>
#include <future>
#include <thread>

#include "api/receipts.h"
#include "cli/commands.h"
#include "cli/exec_target.h"
#include "cli/exit_codes.h"
#include "engine/pump.h"
#include "engine/write_input.h"
#include "json/parse.h"
#include "ledger/codec.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::cli {
namespace {

constexpr std::string_view kType = "exec";
constexpr Duration kLockPause{100};
constexpr Duration kLockPatience{10'000};

// Another `trued exec` may hold the ledger for a moment.
Result<std::unique_ptr<SqliteLedger>> open_patiently(const std::string& path) {
  SystemClock clock;
  const WallTime give_up = clock.wall() + kLockPatience;
  while (true) {
    auto ledger = SqliteLedger::open({.path = path});
    const bool busy = !ledger.has_value() && ledger.error().code == ErrorCode::already_exists;
    if (!busy || clock.wall() >= give_up) return ledger;
    // tidy: allow sleep because a file lock of another process has nothing to wait on.
    std::this_thread::sleep_for(kLockPause);
  }
}

Submission submission_of(const ExecOptions& options) {
  Intent intent;
  intent.target = std::string(kType);
  intent.verify = !options.verify.empty();
  ArtifactIntent artifact;
  artifact.name = "command";
  artifact.content = encode_command({options.command, options.verify});
  artifact.id = {.sha256 = sha256(artifact.content), .bytes = artifact.content.size()};
  intent.artifacts.push_back(std::move(artifact));
  Submission submission;
  submission.identity = {"default", std::string(kType), options.key};
  submission.definition = "exec@1";
  submission.intent_json = write_input_json(intent);
  submission.fingerprint = fingerprint_of(submission.intent_json, kType);
  submission.intent = std::make_shared<const Intent>(std::move(intent));
  return submission;
}

Policy policy_of(const ExecOptions& options, Duration timeout) {
  Policy policy;
  policy.effect_timeout = timeout;
  policy.deadline = timeout * (2 * options.attempts) + Duration{60'000};
  policy.retry.attempts_max = options.attempts;
  policy.store = {
      .within = Duration{5'000}, .reads_max = 3, .first = Duration{200}, .cap = Duration{2'000}};
  policy.unreadable = policy.store;
  policy.retention = std::max(policy.retention, policy.deadline * 2);
  return policy;
}

using EngineReply = std::variant<Answer, EngineProblem>;

EngineReply run_engine(SqliteLedger& ledger, const Targets& targets, Submission submission,
                       Duration wait, Result<void>& recovered) {
  SystemClock clock;
  SystemRandom random;
  ThreadRunner runner(1);
  Engine engine({ledger, targets, runner, clock, random}, {});
  recovered = engine.recover();
  if (!recovered.has_value()) return EngineProblem{};
  EnginePump pump(engine);
  std::promise<EngineReply> promise;
  auto future = promise.get_future();
  engine.submit(std::move(submission), wait,
                [&promise](EngineReply reply) { promise.set_value(std::move(reply)); });
  EngineReply reply = future.get();
  pump.stop(Duration{5'000});
  return reply;
}

int show(const Common& common, const Answer& answer) {
  if (answer.decision == SubmitDecision::conflict) {
    return complain(common, kBadData,
                    "the key '" + answer.operation->identity.key +
                        "' belongs to another command; nothing was run");
  }
  if (answer.decision == SubmitDecision::late) {
    return complain(common, kBadData,
                    "the key was used and is past its retention; nothing was run");
  }
  const std::string text = api::receipt(*answer.operation, answer.decision, "fsync");
  if (common.json) {
    print(text);
  } else {
    auto value = json::parse(text);
    if (value.has_value()) say(receipt_text(*value, false));
  }
  return exit_code_of(to_string(status_of(answer.operation->state)));
}

}  // namespace

int exec(const Common& common, const ExecOptions& options) {
  if (!valid_key(options.key)) {
    return complain(common, kUsage, "a key has 1 to 255 visible characters without spaces");
  }
  auto timeout = parse_duration(options.timeout);
  if (!timeout.has_value()) return complain(common, kUsage, timeout.error().message);
  Result<std::string> path = std::string();
  if (options.ledger.empty()) {
    const auto state = state_directory(common);
    if (!state.has_value()) return complain(common, kConfig, state.error().message);
    path = *state + "/exec.db";
  } else {
    path = ledger_file(common, options.ledger);
  }
  if (!path.has_value()) return complain(common, kUsage, path.error().message);
  auto ledger = open_patiently(*path);
  if (!ledger.has_value()) return complain(common, kTempFail, ledger.error().message);
  const Policy policy = policy_of(options, *timeout);
  Targets targets;
  targets.emplace(
      std::string(kType),
      make_target(std::string(kType), std::string(kType),
                  std::make_unique<ExecConnector>(options.attempts > 1), nullptr, "", policy));
  Result<void> recovered;
  const auto reply =
      run_engine(**ledger, targets, submission_of(options), policy.deadline * 2, recovered);
  if (!recovered.has_value()) return complain(common, kTempFail, recovered.error().message);
  if (const auto* problem = std::get_if<EngineProblem>(&reply)) {
    return complain(common, kTempFail, problem->detail);
  }
  return show(common, std::get<Answer>(reply));
}

}  // namespace trued::cli
