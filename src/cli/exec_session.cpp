#include "cli/exec_session.h"

#include <initializer_list>
#include <optional>
#include <pthread.h>
#include <signal.h>
#include <utility>

#include "base/assert.h"

namespace trued::cli {
namespace {

constexpr int kWake = SIGURG;  // ignored by default, so a stray one does no harm
constexpr Duration kLook{50};
constexpr Duration kAfterSignal{5'000};  // for reading back what an interrupted command did
constexpr Duration kGrace{5'000};

sigset_t passed_on() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    if (!ignored(signal)) sigaddset(&set, signal);  // what `nohup` wants stays as it is
  }
  sigaddset(&set, kWake);
  return set;
}

}  // namespace

SignalPassage::SignalPassage(Children& children) {
  const sigset_t set = passed_on();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([set, &children] {
    int signal = 0;
    while (::sigwait(&set, &signal) == 0 && signal != kWake) children.pass_on(signal);
  });
}

SignalPassage::~SignalPassage() {
  // The signals stay blocked: what is left to do is to say what is known.
  ::pthread_kill(thread_.native_handle(), kWake);
  thread_.join();
}

Result<void> OneOpen::each_open(const std::function<void(Operation&&)>& visit) {
  return ledger_.each_open([&](Operation&& operation) {
    if (operation.identity == own_) visit(std::move(operation));
  });
}

ExecSession::ExecSession(Ledger& ledger, Identity own, const Targets& targets, Children& children)
    : children_(children),
      ledger_(ledger, std::move(own)),
      engine_({ledger_, targets, runner_, clock_, random_}, {}) {}

ExecSession::~ExecSession() = default;

Result<void> ExecSession::start() {
  TRUED_ASSERT(pump_ == nullptr);
  TRUED_TRY_VOID(engine_.recover());
  pump_ = std::make_unique<EnginePump>(engine_);
  return {};
}

EngineReply ExecSession::submit(Submission submission, Duration wait) {
  TRUED_ASSERT(pump_ != nullptr);  // or nobody would ever answer
  auto promise = std::make_shared<std::promise<EngineReply>>();
  engine_.submit(std::move(submission), wait,
                 [promise](EngineReply reply) { promise->set_value(std::move(reply)); });
  return await(promise->get_future());
}

EngineReply ExecSession::person(OperationId id, PersonInput input, Duration wait) {
  TRUED_ASSERT(pump_ != nullptr);
  const bool retry = input.action == PersonAction::retry;
  auto decided = std::make_shared<std::promise<EngineReply>>();
  engine_.person(id, std::move(input),
                 [decided](EngineReply reply) { decided->set_value(std::move(reply)); });
  auto answer = decided->get_future();
  if (!retry) return await(std::move(answer));
  EngineReply reply = answer.get();
  if (std::holds_alternative<EngineProblem>(reply)) return reply;
  auto settled = std::make_shared<std::promise<EngineReply>>();
  engine_.wait_for(id, wait,
                   [settled](EngineReply later) { settled->set_value(std::move(later)); });
  return await(settled->get_future());
}

EngineReply ExecSession::await(std::future<EngineReply> reply) {
  TRUED_ASSERT(reply.valid());
  std::optional<std::chrono::nanoseconds> quiet_since;
  while (reply.wait_for(kLook) != std::future_status::ready) {
    if (!children_.interrupted()) continue;
    if (children_.running()) {
      quiet_since.reset();
      continue;
    }
    if (children_.turned_away()) break;  // nothing is read back for what was never begun
    const auto now = clock_.monotonic();
    if (!quiet_since) quiet_since = now;
    if (children_.signals() > 1 || now - *quiet_since > kAfterSignal) break;
  }
  // Answers with the operation as it is, where nothing was answered yet.
  pump_->stop(kGrace);
  return reply.get();
}

}  // namespace trued::cli
