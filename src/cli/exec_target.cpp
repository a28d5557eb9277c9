#include "cli/exec_target.h"

#include <optional>

#include "base/assert.h"

namespace trued::cli {
namespace {

constexpr int kTempFailure = 75;

EffectKind kind_of(const ChildEnd& end) {
  if (end.how == ChildEnd::How::never_ran) {
    return end.passing ? EffectKind::not_sent : EffectKind::rejected_final;
  }
  if (end.how != ChildEnd::How::exited) return EffectKind::unknown;
  if (end.number == 0) return EffectKind::acknowledged;
  // 126 and 127 too: a shell says so of one command among many, which may have done their part.
  return end.number == kTempFailure ? EffectKind::rejected_retryable : EffectKind::unknown;
}

std::string directory_of(const ExecCommand& command) {
  return command.terms ? command.terms->directory : "";
}

}  // namespace

Capabilities ExecConnector::capabilities() const {
  return {.idempotent = repeatable_, .deduplicates = false, .history = false};
}

EffectResult ExecConnector::perform(const EffectRequest& request) {
  EffectResult result;
  const auto command = decode_command(request.intent->artifacts.front().content);
  if (!command) {
    result.ended.kind = EffectKind::rejected_final;
    result.ended.reason = "the recorded command cannot be read";
    return result;
  }
  const ChildEnd ended = children_.run(
      {.argv = command->argv,
       .added = {"TRUED_OPERATION=" + to_string(request.operation), "TRUED_KEY=" + request.key,
                 "TRUED_ATTEMPT=" + std::to_string(request.attempt.value())},
       .directory = directory_of(*command),
       .timeout = request.timeout,
       .output = output_,
       .front = true});
  result.ended = ended_of(ended);
  return result;
}

EffectEnded ExecConnector::ended_of(const ChildEnd& end) {
  EffectEnded ended;
  ended.kind = kind_of(end);
  ended.changed = ended.kind == EffectKind::acknowledged;
  if (ended.kind != EffectKind::acknowledged) ended.reason = describe(end);
  TRUED_ASSERT(ended.kind == EffectKind::acknowledged || !ended.reason.empty());
  const std::scoped_lock lock(mutex_);
  last_run_ = describe(end);
  // Who was interrupted does not ask for another try; that is no fault of the command's.
  const bool to_count = ended.kind == EffectKind::not_sent && !children_.interrupted();
  not_begun_ = to_count ? not_begun_ + 1 : 0;
  TRUED_ASSERT(not_begun_ <= kNotBegunMax);
  if (not_begun_ < kNotBegunMax) return ended;
  ended.kind = EffectKind::rejected_final;
  ended.reason = "it could not be begun in " + std::to_string(not_begun_) + " tries: " + last_run_;
  not_begun_ = 0;
  return ended;
}

std::vector<RawRead> ExecConnector::read(const ReadRequest& request) {
  RawRead read;
  const ArtifactIntent& meant = request.intent->artifacts.front();
  const auto command = decode_command(meant.content);
  if (!command || command->verify.empty()) {
    const std::scoped_lock lock(mutex_);
    read.detail = last_run_.empty() ? "" : "the command: " + last_run_ + "; ";
    read.detail += "nothing was given to verify with";
    return std::vector<RawRead>(request.artifacts.size(), read);
  }
  const ChildEnd ended = children_.run({.argv = {"/bin/sh", "-c", command->verify},
                                        .added = {},
                                        .directory = directory_of(*command),
                                        .timeout = request.timeout,
                                        .output = ChildOptions::Output::none,
                                        .front = false});
  if (ended.how == ChildEnd::How::exited && ended.number == 0) {
    read.seen = Seen::found;
    read.content = meant.content;
  } else if (ended.how == ChildEnd::How::exited && ended.number == 1) {
    read.seen = Seen::absent;
  } else {
    read.detail = "the verify command: " + describe(ended);
  }
  return std::vector<RawRead>(request.artifacts.size(), read);
}

}  // namespace trued::cli
