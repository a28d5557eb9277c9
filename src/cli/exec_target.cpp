#include "cli/exec_target.h"

#include "json/parse.h"
#include "json/writer.h"

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

}  // namespace

std::string encode_command(const ExecCommand& command) {
  std::string text;
  json::Writer out(text);
  out.begin_object().key("argv").begin_array();
  for (const std::string& argument : command.argv) out.string(argument);
  out.end_array().member("verify", std::string_view(command.verify)).end_object();
  return text;
}

std::optional<ExecCommand> decode_command(const std::string& text) {
  auto value = json::parse(text);
  if (!value.has_value()) return std::nullopt;
  ExecCommand command;
  const json::Value* argv = value->find("argv");
  const json::Value* verify = value->find("verify");
  if (argv == nullptr || !argv->is_array() || verify == nullptr || !verify->is_string()) {
    return std::nullopt;
  }
  for (const json::Value& argument : argv->items()) {
    if (!argument.is_string()) return std::nullopt;
    command.argv.push_back(argument.as_string());
  }
  command.verify = verify->as_string();
  return command;
}

Capabilities ExecConnector::capabilities() const {
  return {.idempotent = repeatable_, .deduplicates = false, .history = false};
}

EffectResult ExecConnector::perform(const EffectRequest& request) {
  EffectResult result;
  const auto command = decode_command(request.intent->artifacts.front().content);
  if (!command || command->argv.empty()) {
    result.ended.kind = EffectKind::rejected_final;
    result.ended.reason = "the recorded command cannot be read";
    return result;
  }
  const ChildEnd ended = children_.run(
      {.argv = command->argv,
       .added = {"TRUED_OPERATION=" + to_string(request.operation), "TRUED_KEY=" + request.key,
                 "TRUED_ATTEMPT=" + std::to_string(request.attempt.value())},
       .timeout = request.timeout,
       .output = output_,
       .front = true});
  {
    const std::scoped_lock lock(mutex_);
    last_run_ = describe(ended);
  }
  result.ended.kind = kind_of(ended);
  result.ended.changed = result.ended.kind == EffectKind::acknowledged;
  if (result.ended.kind != EffectKind::acknowledged) result.ended.reason = describe(ended);
  return result;
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
