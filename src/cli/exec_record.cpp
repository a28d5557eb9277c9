#include "cli/exec_record.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "engine/write_input.h"
#include "json/parse.h"
#include "json/writer.h"
#include "ledger/codec.h"
#include "target/target.h"

namespace trued::cli {
namespace {

constexpr std::uint32_t kReadsMax = 3;  ///< of one attempt, by the verify command

// The writer would replace what is no UTF-8, and another command would be run.
void write_text(json::Writer& out, const std::string& text) {
  if (utf8_valid(text)) {
    out.string(text);
  } else {
    out.begin_object().member("base64", std::string_view(base64_encode(text))).end_object();
  }
}

std::optional<std::string> text_in(const json::Value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->as_string();
  const json::Value* encoded = value->is_object() ? value->find("base64") : nullptr;
  if (encoded == nullptr || !encoded->is_string()) return std::nullopt;
  return base64_decode(encoded->as_string());
}

std::optional<ExecTerms> terms_in(const json::Value& command) {
  const json::Value* attempts = command.find("attempts");
  const json::Value* timeout = command.find("timeout_ms");
  auto directory = text_in(command.find("directory"));
  const bool whole = attempts != nullptr && attempts->is_int() && attempts->as_int() > 0 &&
                     timeout != nullptr && timeout->is_int() && timeout->as_int() > 0 && directory;
  if (!whole) return std::nullopt;
  return ExecTerms{.attempts = static_cast<std::uint32_t>(attempts->as_int()),
                   .timeout = Duration{timeout->as_int()},
                   .directory = std::move(*directory)};
}

}  // namespace

std::string encode_command(const ExecCommand& command) {
  TRUED_ASSERT(!command.argv.empty());
  std::string text;
  json::Writer out(text);
  out.begin_object().key("argv").begin_array();
  for (const std::string& argument : command.argv) write_text(out, argument);
  out.end_array().key("verify");
  write_text(out, command.verify);
  if (command.terms) {
    out.member("attempts", command.terms->attempts)
        .member("timeout_ms", static_cast<std::int64_t>(command.terms->timeout.count()))
        .key("directory");
    write_text(out, command.terms->directory);
  }
  out.end_object();
  return text;
}

std::optional<ExecCommand> decode_command(const std::string& text) {
  auto value = json::parse(text);
  if (!value.has_value() || !value->is_object()) return std::nullopt;
  ExecCommand command;
  const json::Value* argv = value->find("argv");
  auto verify = text_in(value->find("verify"));
  if (argv == nullptr || !argv->is_array() || argv->items().empty() || !verify) return std::nullopt;
  for (const json::Value& argument : argv->items()) {
    auto one = text_in(&argument);
    if (!one) return std::nullopt;
    command.argv.push_back(std::move(*one));
  }
  command.verify = std::move(*verify);
  command.terms = terms_in(*value);
  return command;
}

std::optional<ExecCommand> recorded_command(const std::string& intent_json) {
  auto value = json::parse(intent_json);
  if (!value.has_value()) return std::nullopt;
  InputFault fault;
  const auto input = parse_write_input(std::move(value).value(), nullptr, fault);
  if (!input || input->intent->artifacts.empty()) return std::nullopt;
  return decode_command(input->intent->artifacts.front().content);
}

bool same_work(const ExecCommand& one, const ExecCommand& other) {
  return one.argv == other.argv && one.verify == other.verify;
}

Identity exec_identity(const std::string& key) { return {"default", std::string(kExecType), key}; }

Submission exec_submission(const std::string& key, const ExecCommand& command) {
  Intent intent;
  intent.target = std::string(kExecType);
  intent.verify = !command.verify.empty();
  ArtifactIntent artifact;
  artifact.name = "command";
  artifact.content = encode_command(command);
  artifact.id = {.sha256 = sha256(artifact.content), .bytes = artifact.content.size()};
  intent.artifacts.push_back(std::move(artifact));
  Submission submission;
  submission.identity = exec_identity(key);
  submission.definition = "exec@1";
  submission.intent_json = write_input_json(intent);
  submission.fingerprint = fingerprint_of(submission.intent_json, kExecType);
  TRUED_ASSERT(intent.artifacts.size() == 1 && valid_key(key));
  submission.intent = std::make_shared<const Intent>(std::move(intent));
  return submission;
}

Policy exec_policy(const ExecTerms& terms) {
  // The verify command has a time of its own, before the attempt and after it, and none of it is
  // taken from the command's.
  const Duration verify = ReadRequest{}.timeout;
  Policy policy;
  policy.effect_timeout = terms.timeout;
  policy.report_slack = verify * 3;
  const Duration one_attempt =
      terms.timeout * 2 + policy.report_slack + verify * kReadsMax + policy.retry.cap;
  policy.deadline = one_attempt * terms.attempts + Duration{60'000};
  policy.retry.attempts_max = terms.attempts;
  policy.store = {.within = Duration{5'000},
                  .reads_max = kReadsMax,
                  .first = Duration{200},
                  .cap = Duration{2'000}};
  policy.unreadable = policy.store;
  policy.retention = std::max(policy.retention, policy.deadline * 2);
  return policy;
}

}  // namespace trued::cli
