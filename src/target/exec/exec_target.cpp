#include "target/exec/exec_target.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "json/canonical.h"
#include "json/parse.h"
#include "json/writer.h"
#include "target/exec/command.h"
#include "target/faults.h"
#include "target/outcome.h"

namespace trued {
namespace {

constexpr std::size_t kResultBytesMax = std::size_t{64} << 10U;
constexpr std::size_t kTextBytesMax = std::size_t{8} << 10U;  // escaped it may be six times as long
constexpr std::size_t kLineBytesMax = 300;

// The output as JSON text of at most 64 KiB.
std::string result_of(const std::string& output, bool truncated, const Secrets& secrets) {
  if (!truncated && output.size() <= kResultBytesMax) {
    const auto parsed = json::parse(secrets.masked(output));
    if (parsed.has_value() && parsed->is_object()) {
      std::string text = json::canonical(*parsed);
      if (text.size() <= kResultBytesMax) return text;
    }
  }
  std::string text;
  json::Writer writer(text);
  writer.begin_object().member("stdout", secrets.masked(output, kTextBytesMax));
  if (truncated || output.size() > kTextBytesMax) writer.member("truncated", true);
  writer.end_object();
  TRUED_ASSERT(text.size() <= kResultBytesMax);
  return text;
}

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  const std::size_t end = text.rfind('\n');
  return end == std::string::npos ? text : text.substr(end + 1);
}

Secrets secrets_of(const ExecSpec& spec) {
  Secrets secrets;
  for (const ExecVariable& variable : spec.environment) {
    if (variable.secret) secrets.add(variable.value, '\n');
  }
  return secrets;
}

ExitMeanings exit_of(const ExecSpec& spec) {
  std::vector<SpecFault> faults;  // wrong_with() has said so
  return meanings_of(spec.exit, faults);
}

std::optional<mode_t> mask_of(const ExecSpec& spec) {
  if (spec.umask.empty()) return std::nullopt;
  unsigned value = 0;
  constexpr int kOctal = 8;
  (void)std::from_chars(spec.umask.data(), spec.umask.data() + spec.umask.size(), value, kOctal);
  return static_cast<mode_t>(value);
}

std::vector<std::string> files_of(const std::string& program,
                                  const std::vector<std::string>& path) {
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> files;
  files.reserve(path.size());
  for (const std::string& directory : path) files.push_back(directory + "/" + program);
  return files;
}

// What somebody has to change, whatever the time is. A command or directory that is not there may
// be on its way (a release, a mount), and nothing was sent.
bool is_for_good(const SpawnTrouble& trouble) {
  const bool about_it =
      trouble.at == SpawnTrouble::At::directory || trouble.at == SpawnTrouble::At::program;
  constexpr std::array kForGood{EACCES, EPERM,        ENOEXEC, E2BIG,   ENOTDIR,
                                ELOOP,  ENAMETOOLONG, EISDIR,  ELIBBAD, EINVAL};
  return about_it && std::ranges::find(kForGood, trouble.error) != kForGood.end();
}

}  // namespace

Result<std::shared_ptr<CallTarget>> ExecTarget::open(const ExecSpec& spec) {
  const std::string wrong = in_one_line(wrong_with(spec));
  if (!wrong.empty()) return Error{.code = ErrorCode::invalid_argument, .message = wrong};
  return std::shared_ptr<CallTarget>(new ExecTarget(spec));
}

std::string missing_for(const ExecSpec& spec) {
  std::error_code failure;
  for (const std::string& directory : spec.path) {
    if (!std::filesystem::is_directory(directory, failure)) {
      return "path: there is no directory '" + directory + "'";
    }
  }
  if (std::filesystem::is_directory(spec.directory, failure)) return "";
  return "there is no directory '" + spec.directory + "'";
}

ExecTarget::ExecTarget(const ExecSpec& spec)
    : spec_(spec), exit_(exit_of(spec)), secrets_(secrets_of(spec)) {}

Capabilities ExecTarget::capabilities() const {
  return {
      .idempotent = false, .deduplicates = spec_.deduplicates, .history = false, .probes = false};
}

std::string ExecTarget::shown(const std::string& said) const {
  std::string text = utf8_repaired(secrets_.masked(said, kLineBytesMax));
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

CommandPlan ExecTarget::plan_of(ExecCall call, const CallContext& context, bool effect) const {
  TRUED_ASSERT(!call.argv.empty() && context.timeout > Duration{0});
  CommandPlan plan;
  plan.program.files = files_of(call.argv.front(), spec_.path);
  plan.program.argv = std::move(call.argv);
  plan.program.directory = spec_.directory;
  plan.program.mask = mask_of(spec_);
  auto& variables = call.environment;
  for (const ExecVariable& variable : spec_.environment) {
    variables.try_emplace(variable.name, variable.value);
  }
  if (!spec_.path.empty()) {
    std::string path;
    for (const std::string& directory : spec_.path) path += (path.empty() ? "" : ":") + directory;
    variables.try_emplace("PATH", std::move(path));
  }
  variables["TRUED_OPERATION_ID"] = to_string(context.operation);
  if (effect) variables["TRUED_ATTEMPT"] = std::to_string(context.attempt.value());
  variables["TRUED_IDENTITY"] = context.identity;
  if (!context.traceparent.empty()) variables["TRACEPARENT"] = context.traceparent;
  for (auto& [name, value] : variables) {
    if (value) plan.program.environment.push_back(name + "=" + *value);
  }
  plan.input = std::move(call.input);
  plan.output_bytes_max = spec_.output_bytes_max;
  // The caller's time holds the grace as well.
  const Duration whole = context.timeout;
  const Duration grace = std::min(spec_.grace, whole / 4);
  plan.timeout = std::min(call.timeout.value_or(spec_.timeout), whole - grace);
  plan.grace = std::min(spec_.grace, whole - plan.timeout);
  TRUED_ASSERT(plan.timeout + plan.grace <= whole);
  return plan;
}

std::string ExecTarget::describe(const ExecCall& call, const CommandEnd& end) const {
  const std::string name = "'" + call.argv.front() + "'";
  std::string why;
  switch (end.how) {
    case CommandEnd::How::exited:
      why = name + " ended with exit code " + std::to_string(end.number);
      break;
    case CommandEnd::How::killed:
      why = name + " was ended by signal " + std::to_string(end.number) + " (" +
            ::strsignal(end.number) + ")";
      break;
    case CommandEnd::How::timed_out:
      why = name + " was still running when its time was over, and was ended";
      break;
    case CommandEnd::How::stopped:
      why = name + " was ended, because this program was";
      break;
    case CommandEnd::How::lost:
      why = name + " ended, and how is not known";
      break;
    case CommandEnd::How::never_ran:
      if (end.trouble.error == 0) return name + " was not begun, because this program is stopping";
      why = name + " could not be run" +
            (end.trouble.at == SpawnTrouble::At::directory ? " in '" + spec_.directory + "'" : "") +
            ": " + std::generic_category().message(end.trouble.error);
      break;
  }
  const std::string said = shown(last_line(end.errors));
  return shown(why) + (said.empty() ? "" : ": " + said);
}

EffectResult ExecTarget::judge(const ExecCall& call, const CommandEnd& end) const {
  TRUED_ASSERT(!call.argv.empty());
  if (end.how == CommandEnd::How::never_ran) {
    const bool for_good = is_for_good(end.trouble);
    return effect_ended(for_good ? EffectKind::rejected_final : EffectKind::not_sent,
                        describe(call, end));
  }
  const EffectKind kind = end.how == CommandEnd::How::exited
                              ? meaning_of(end.number, call.exit, exit_)
                              : EffectKind::unknown;
  if (kind != EffectKind::acknowledged) return effect_ended(kind, describe(call, end));
  EffectResult result = effect_acknowledged(true, "");
  result.ended.result = result_of(end.output, end.truncated, secrets_);
  return result;
}

EffectResult ExecTarget::perform(const Call& call) {
  try {
    ReadExecCall wanted = read_exec_call(call.request, ExecUse::effect, ExecForm::filled_in, spec_);
    if (!wanted.faults.empty()) {
      return effect_ended(EffectKind::rejected_final,
                          secrets_.masked("nothing was run: " + in_one_line(wanted.faults)));
    }
    if (call.context.timeout <= Duration{0}) {
      return effect_ended(EffectKind::not_sent, "no time was left to run anything");
    }
    return judge(wanted.call, run_command(plan_of(wanted.call, call.context, true)));
  } catch (const std::exception& e) {
    return effect_ended(EffectKind::unknown, std::string("a fault of this program: ") + e.what());
  }
}

RawRead ExecTarget::read(const Call& call) {
  Stopwatch watch;
  RawRead read;
  try {
    ReadExecCall wanted = read_exec_call(call.request, ExecUse::read, ExecForm::filled_in, spec_);
    if (!wanted.faults.empty()) {
      return read_unreadable(secrets_.masked("nothing was run: " + in_one_line(wanted.faults)));
    }
    if (call.context.timeout <= Duration{0}) {
      return read_unreadable("no time was left to run anything");
    }
    CommandEnd end = run_command(plan_of(wanted.call, call.context, false));
    const std::vector<int>& absent = wanted.call.absent_on;
    const bool exited = end.how == CommandEnd::How::exited;
    if (exited && std::ranges::find(absent, end.number) != absent.end()) {
      read = read_absent("");
    } else if (!exited || end.number != 0) {
      read = read_unreadable(describe(wanted.call, end));
    } else if (end.truncated) {
      read = read_unreadable("'" + shown(wanted.call.argv.front()) + "' wrote more than " +
                             std::to_string(spec_.output_bytes_max) + " bytes");
    } else {
      read = read_found(std::move(end.output), "");
    }
  } catch (const std::exception& e) {
    read = read_unreadable(std::string("a fault of this program: ") + e.what());
  }
  read.latency = watch.elapsed();
  return read;
}

Probed ExecTarget::probe(const CallContext& context) {
  (void)context;
  Probed probed;
  probed.detail =
      "a command keeps nothing of operations by itself; declare a read that tells (probe)";
  return probed;
}

std::vector<CallFault> ExecTarget::check_effect(const json::Value& call) const {
  return read_exec_call(call, ExecUse::effect, ExecForm::as_template, spec_).faults;
}

std::vector<CallFault> ExecTarget::check_read(const json::Value& call) const {
  return read_exec_call(call, ExecUse::read, ExecForm::as_template, spec_).faults;
}

}  // namespace trued
