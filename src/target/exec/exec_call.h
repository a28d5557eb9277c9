// exec_call.h: a call of kind "exec" as JSON, read and checked.
//
//   effect  { argv, stdin?, env?, timeout?, exit? }
//   read    { argv, stdin?, env?, timeout?, absent_on? }
//
//   argv       ["/usr/bin/charge", "--amount=${input.amount}"]: the command and its arguments
//   stdin      a text, or { json = any document }
//   env        { NAME = "value" }: null leaves out what the target gives
//   timeout    "5s"
//   exit       { acknowledged = [0], rejected = [2], retryable = [75], unknown = [1] }: before what
//              the target says of the same code
//   absent_on  [4]: the exit codes that say that it is not there
//
// What is run is never for an input to say: the command itself (one of the target's `commands`),
// the names in `env`, what the loader and shells take out of it, and the script of a shell or
// interpreter are written out, or refused.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "core/operation.h"
#include "json/value.h"
#include "target/call.h"
#include "target/spec.h"

namespace trued {

using ExitMeanings = std::map<int, EffectKind>;

struct ExecCall {
  std::vector<std::string> argv;
  std::optional<std::string> input;
  /// By name; nothing: what the target gives is left out.
  std::map<std::string, std::optional<std::string>> environment;
  std::optional<Duration> timeout;
  ExitMeanings exit;
  std::vector<int> absent_on;
};

enum class ExecUse : std::uint8_t { effect, read };
enum class ExecForm : std::uint8_t { as_template, filled_in };

struct ReadExecCall {
  ExecCall call;                  ///< of use only without a fault
  std::vector<CallFault> faults;  ///< in the order of the members
};

[[nodiscard]] ReadExecCall read_exec_call(const json::Value& request, ExecUse use, ExecForm form,
                                          const ExecSpec& spec);

/// Why that is no command which could be found; empty when it is.
[[nodiscard]] std::string wrong_with_command(const std::string& command, const ExecSpec& spec);

/// Why a variable of that name is not for a target or call to set; empty when it is.
[[nodiscard]] std::string wrong_with_variable(const std::string& name);

/// What the lists mean, and the first code that is in two of them or is none, with why.
[[nodiscard]] ExitMeanings meanings_of(const ExitCodes& codes, std::vector<SpecFault>& faults);

/// What the specification itself says of a code, and what codes mean by themselves.
[[nodiscard]] EffectKind meaning_of(int code, const ExitMeanings& call, const ExitMeanings& target);

}  // namespace trued
