// Implements include/trued on the engine.
#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <utility>

#include <trued/trued.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/random.h"
#include "embed/build_target.h"
#include "embed/store_connector.h"
#include "engine/check_write.h"
#include "engine/pump.h"
#include "engine/write_input.h"
#include "ledger/codec.h"
#include "ledger/memory/memory_ledger.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued::v1 {
namespace {

constexpr Duration kStopGrace{5'000};
constexpr Milliseconds kLongest = std::chrono::years(10);

Failure failure_of(const Error& error) {
  Failure failure;
  failure.code = std::string(trued::to_string(error.code));
  failure.happened = error.happened == trued::Happened::no      ? Happened::no
                     : error.happened == trued::Happened::maybe ? Happened::maybe
                                                                : Happened::yes;
  failure.retryable = error.retryable;
  failure.message = error.message;
  return failure;
}

Failure bad_argument(std::string message) {
  return {.code = "invalid_argument",
          .happened = Happened::no,
          .retryable = false,
          .message = std::move(message)};
}

trued::Policy policy_of(const Policy& policy, const std::string& kind) {
  trued::Policy out = default_policy(kind);
  out.retry.attempts_max = std::max(policy.attempts_max, 1U);
  out.retry.first = policy.backoff_first;
  out.retry.cap = policy.backoff_cap;
  out.store.within = policy.settle_within;
  out.store.reads_max = std::max(policy.settle_reads_max, 1U);
  out.effect_timeout = policy.attempt_timeout;
  out.deadline = policy.deadline;
  out.retention = policy.retention;
  return out;
}

// A bound in the past, or so far away that adding it to the time of day could overflow.
std::string wrong_with_policy(const Policy& policy) {
  struct Bound {
    const char* name;
    Milliseconds value;
    Milliseconds least;
  };
  for (const Bound& bound : {Bound{"backoff_first", policy.backoff_first, Milliseconds{0}},
                             {"backoff_cap", policy.backoff_cap, policy.backoff_first},
                             {"settle_within", policy.settle_within, Milliseconds{0}},
                             {"attempt_timeout", policy.attempt_timeout, Milliseconds{1}},
                             {"deadline", policy.deadline, Milliseconds{1}},
                             {"retention", policy.retention, Milliseconds{1}}}) {
    if (bound.value >= bound.least && bound.value <= kLongest) continue;
    return "the policy's " + std::string(bound.name) + " is " +
           std::to_string(bound.value.count()) + " ms; expected " +
           std::to_string(bound.least.count()) + " to " + std::to_string(kLongest.count());
  }
  return "";
}

Status status_of_state(State state) {
  switch (status_of(state)) {
    case trued::Status::pending:
      return Status::pending;
    case trued::Status::confirmed:
      return Status::confirmed;
    case trued::Status::unverified:
      return Status::unverified;
    case trued::Status::superseded:
      return Status::superseded;
    case trued::Status::failed:
      return Status::failed;
    case trued::Status::undone:
      return Status::undone;
    case trued::Status::canceled:
      return Status::canceled;
    case trued::Status::needs_action:
      return Status::needs_action;
  }
  return Status::needs_action;
}

Evidence evidence_of(const ArtifactState& artifact, Level level) {
  const LevelCheck& check = level == Level::store ? artifact.store : artifact.serving;
  const bool held = !check.verdict && !check.last && check.baseline;
  const Observation* read = check.last ? &*check.last : held ? &*check.baseline : nullptr;
  Evidence evidence;
  evidence.path = artifact.meant.name;
  evidence.level = std::string(trued::to_string(level));
  if (check.verdict) evidence.verdict = std::string(trued::to_string(*check.verdict));
  if (held) evidence.verdict = std::string(trued::to_string(judge(artifact.meant, *read)));
  evidence.reads = held ? 1 : check.reads;
  if (!artifact.meant.absent) evidence.intended_sha256 = artifact.meant.id.sha256.hex();
  if (read != nullptr && read->seen == Seen::found) {
    evidence.observed_sha256 = read->id.sha256.hex();
    evidence.observed_bytes = read->id.bytes;
  }
  if (read != nullptr) evidence.detail = read->detail;
  return evidence;
}

Receipt receipt_of(const Operation& operation, std::string decision) {
  Receipt receipt;
  receipt.id = trued::to_string(operation.id);
  receipt.key = operation.identity.key;
  receipt.decision = std::move(decision);
  receipt.status = status_of_state(operation.state);
  receipt.state = std::string(trued::to_string(operation.state));
  receipt.changed = known_change(operation);
  receipt.attempts = operation.attempts;
  for (const ArtifactState& artifact : operation.artifacts) {
    receipt.evidence.push_back(evidence_of(artifact, Level::store));
    if (operation.has_serving) receipt.evidence.push_back(evidence_of(artifact, Level::serving));
  }
  if (operation.tell) receipt.tell = std::string(trued::to_string(*operation.tell));
  receipt.reason = operation.reason;
  receipt.next = next_step(operation).detail;
  return receipt;
}

std::shared_ptr<Intent> intent_of(const std::string& target, std::vector<Artifact> artifacts,
                                  const WriteOptions& options) {
  auto intent = std::make_shared<Intent>();
  intent->target = target;
  intent->message = options.message;
  intent->verify = options.verify;
  if (!options.base.empty()) intent->base = options.base;
  for (Artifact& artifact : artifacts) {
    ArtifactIntent meant;
    meant.name = std::move(artifact.path);
    meant.absent = !artifact.content.has_value();
    meant.content = std::move(artifact.content).value_or("");
    meant.id = {.sha256 = sha256(meant.content), .bytes = meant.content.size()};
    intent->artifacts.push_back(std::move(meant));
  }
  TRUED_ASSERT(intent->artifacts.size() == artifacts.size());
  return intent;
}

// "artifacts/3/path: names an artifact that stands earlier in the list"
std::string text_of(const InputFault& fault) {
  const std::string where = fault.pointer.empty() ? "the input" : fault.pointer.substr(1);
  return where + ": " + fault.detail;
}

using EngineReply = std::variant<Answer, EngineProblem>;

Outcome<Receipt> outcome_of(const EngineReply& reply) {
  if (const auto* problem = std::get_if<EngineProblem>(&reply)) {
    const bool maybe = problem->code == ProblemCode::outcome_unknown;
    const bool missing = problem->code == ProblemCode::not_found;
    return Failure{.code = missing ? "not_found" : "unavailable",
                   .happened = maybe ? Happened::maybe : Happened::no,
                   .retryable = !missing,
                   .message = problem->detail};
  }
  const Answer& answer = std::get<Answer>(reply);
  TRUED_ASSERT((answer.operation == nullptr) == answer.tombstone.has_value());
  if (answer.operation == nullptr) {
    Receipt late;
    late.id = trued::to_string(answer.tombstone->id);
    late.decision = std::string(trued::to_string(answer.decision));
    late.state = std::string(trued::to_string(answer.tombstone->state));
    late.status = status_of_state(answer.tombstone->state);
    late.reason = "the key was used and is past its retention; nothing was executed";
    return late;
  }
  return receipt_of(*answer.operation, std::string(trued::to_string(answer.decision)));
}

}  // namespace

const char* to_string(Status status) {
  switch (status) {
    case Status::pending:
      return "pending";
    case Status::confirmed:
      return "confirmed";
    case Status::unverified:
      return "unverified";
    case Status::superseded:
      return "superseded";
    case Status::failed:
      return "failed";
    case Status::undone:
      return "undone";
    case Status::canceled:
      return "canceled";
    case Status::needs_action:
      return "needs_action";
  }
  return "needs_action";
}

/// Members go down in the opposite order: the pump first, the ledger last.
class Session::Impl {
 public:
  ~Impl() {
    if (pump) pump->stop(kStopGrace);
  }

  // What is wrong with a target to be, before it is opened.
  [[nodiscard]] std::optional<Failure> refuse(const std::string& name, const Policy& policy,
                                              const trued::Policy& bounds, bool serving) const {
    if (pump) return bad_argument("targets are added before start()");
    if (!valid_name(name)) {
      return bad_argument("a target's name has 1 to 64 characters of [A-Za-z0-9_.-]");
    }
    std::string wrong = wrong_with_policy(policy);
    if (wrong.empty()) wrong = check_retention(bounds, serving);
    if (wrong.empty()) return std::nullopt;
    return bad_argument("target '" + name + "': " + wrong);
  }

  std::optional<Failure> add(TargetSpec spec, const Policy& policy) {
    spec.policy = policy_of(policy, spec.kind);
    if (auto refused = refuse(spec.name, policy, spec.policy, spec.serving.has_value()))
      return refused;
    auto target = build_target(spec, state_directory);
    if (!target.has_value()) return failure_of(target.error());
    targets.insert_or_assign(spec.name, std::move(target).value());
    return std::nullopt;
  }

  SystemClock clock;
  SystemRandom random;
  std::string state_directory;
  std::unique_ptr<Ledger> ledger;
  Targets targets;
  unsigned workers = 4;
  std::unique_ptr<ThreadRunner> runner;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<EnginePump> pump;
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Outcome<Session> Session::open(const SessionOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->workers = options.workers;
  if (options.ledger.empty()) {
    impl->ledger = std::make_unique<MemoryLedger>();
  } else {
    auto ledger = SqliteLedger::open({.path = options.ledger});
    if (!ledger.has_value()) return failure_of(ledger.error());
    impl->ledger = std::move(ledger).value();
    impl->state_directory = options.ledger + ".state";
  }
  return Session(std::move(impl));
}

std::optional<Failure> Session::add_directory(const std::string& name, const std::string& directory,
                                              const Policy& policy) {
  TargetSpec spec;
  spec.name = name;
  spec.kind = "file";
  spec.location = directory;
  return impl_->add(std::move(spec), policy);
}

std::optional<Failure> Session::add_git(const std::string& name, const GitTarget& target,
                                        const Policy& policy) {
  TargetSpec spec;
  spec.name = name;
  spec.kind = "git";
  spec.location = target.repository;
  spec.branch = target.branch;
  if (!target.serving_url.empty()) {
    spec.serving = ServingSpec{.url = target.serving_url, .headers = {}};
  }
  return impl_->add(std::move(spec), policy);
}

std::optional<Failure> Session::add_store(const std::string& name, std::unique_ptr<Store> store,
                                          const Policy& policy) {
  const trued::Policy bounds = policy_of(policy, "store");
  if (auto refused = impl_->refuse(name, policy, bounds, false)) return refused;
  if (store == nullptr) return bad_argument("target '" + name + "': a store is needed");
  impl_->targets.insert_or_assign(
      name, make_target(name, "store", std::make_unique<embed::StoreConnector>(std::move(store)),
                        nullptr, "", bounds));
  return std::nullopt;
}

std::optional<Failure> Session::start() {
  if (impl_->pump) return bad_argument("the session runs already");
  impl_->runner = std::make_unique<ThreadRunner>(impl_->workers);
  impl_->engine = std::make_unique<Engine>(
      EnginePorts{*impl_->ledger, impl_->targets, *impl_->runner, impl_->clock, impl_->random},
      EngineOptions{});
  auto recovered = impl_->engine->recover();
  if (!recovered.has_value()) return failure_of(recovered.error());
  impl_->pump = std::make_unique<EnginePump>(*impl_->engine);
  return std::nullopt;
}

Outcome<Receipt> Session::write_and_verify(const std::string& target,
                                           std::vector<Artifact> artifacts,
                                           const WriteOptions& options) {
  if (!impl_->pump) return bad_argument("call start() first");
  if (!valid_key(options.key)) {
    return bad_argument("a key has 1 to 255 visible characters without spaces");
  }
  const auto found = impl_->targets.find(target);
  if (found == impl_->targets.end()) return bad_argument("there is no target '" + target + "'");
  const std::string wrong = wrong_with_actor(options.actor);
  if (!wrong.empty()) return bad_argument(wrong);
  auto intent = intent_of(target, std::move(artifacts), options);
  InputFault fault;
  if (!check_intent(*intent, &found->second, fault)) return bad_argument(text_of(fault));
  Submission submission;
  submission.identity = {"default", std::string(kWriteType), options.key};
  submission.definition = std::string(kWriteDefinition);
  submission.intent_json = write_input_json(*intent);
  if (!check_input_bytes(submission.intent_json.size(), fault)) return bad_argument(text_of(fault));
  submission.fingerprint = fingerprint_of(submission.intent_json, kWriteType);
  submission.intent = std::move(intent);
  submission.actor = options.actor;
  std::promise<EngineReply> promise;
  auto future = promise.get_future();
  impl_->engine->submit(std::move(submission), std::clamp(options.wait, Milliseconds{0}, kLongest),
                        [&promise](EngineReply reply) { promise.set_value(std::move(reply)); });
  return outcome_of(future.get());
}

Outcome<Receipt> Session::find(const std::string& id) {
  const auto parsed = parse_operation_id(id);
  if (!parsed) return bad_argument("'" + id + "' is not an operation's id");
  auto reader = impl_->ledger->open_reader();
  if (!reader.has_value()) return failure_of(reader.error());
  auto operation = (*reader)->find(*parsed);
  if (!operation.has_value()) return failure_of(operation.error());
  if (!*operation) {
    return Failure{.code = "not_found",
                   .happened = Happened::no,
                   .retryable = false,
                   .message = "there is no operation " + id};
  }
  return receipt_of(**operation, "");
}

std::string Session::durability() const { return impl_->ledger->durability(); }

}  // namespace trued::v1
