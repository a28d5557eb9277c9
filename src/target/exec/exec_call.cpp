#include "target/exec/exec_call.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/assert.h"
#include "base/resembles.h"
#include "json/canonical.h"
#include "json/pointer.h"
#include "json/scalar.h"
#include "target/exec/script.h"

namespace trued {
namespace {

using json::Value;

constexpr int kExitMax = 255;
constexpr int kTempFail = 75;  // EX_TEMPFAIL of sysexits(3)
constexpr int kAbsent = 4;
constexpr std::array<const char*, 4> kMeanings = {"acknowledged", "rejected", "retryable",
                                                  "unknown"};
constexpr std::array<EffectKind, 4> kKinds = {EffectKind::acknowledged, EffectKind::rejected_final,
                                              EffectKind::rejected_retryable, EffectKind::unknown};

static_assert(kMeanings.size() == kKinds.size());

bool is_open(const Value& value) {
  return value.is_string() && value.as_string().find("${") != std::string::npos;
}

bool holds_zero(const std::string& text) { return text.find('\0') != std::string::npos; }

bool any_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

// Variables from which the loader, a shell or an interpreter takes what it executes.
bool decides_what_is_run(std::string_view name) {
  if (name.starts_with("LD_") || name.starts_with("GIT_") || name.starts_with("BASH_")) return true;
  return any_of(name, {"PATH", "IFS", "ENV", "SHELLOPTS", "PS4", "PYTHONPATH", "PYTHONSTARTUP",
                       "PYTHONHOME", "PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT", "NODE_OPTIONS",
                       "NODE_PATH", "JAVA_TOOL_OPTIONS", "EDITOR", "PAGER", "SHELL"});
}

/// Reads one call, collecting faults.
class CallShape {
 public:
  CallShape(ExecUse use, ExecForm form, const ExecSpec& spec)
      : use_(use), form_(form), spec_(spec) {}

  ReadExecCall read(const Value& request) {
    if (!request.is_object()) {
      fault("", "a call is an object, with argv");
      return std::move(out_);
    }
    const bool effect = use_ == ExecUse::effect;
    const std::vector<std::string> known{"argv", "stdin", "env", "timeout",
                                         effect ? "exit" : "absent_on"};
    for (const auto& [name, value] : request.members()) {
      if (std::ranges::find(known, name) != known.end()) continue;
      fault(json::pointer_below("", name),
            "unknown member '" + name + "'; " + did_you_mean(name, known));
    }
    read_argv(request.find("argv"));
    if (const Value* input = request.find("stdin")) read_input(*input);
    if (const Value* environment = request.find("env")) read_environment(*environment);
    if (const Value* timeout = request.find("timeout")) read_timeout(*timeout);
    if (const Value* exit = effect ? request.find("exit") : nullptr) read_exit(*exit);
    if (!effect) read_absent_on(request.find("absent_on"));
    return std::move(out_);
  }

 private:
  void fault(std::string pointer, std::string detail) {
    TRUED_ASSERT(!detail.empty());
    out_.faults.push_back({std::move(pointer), std::move(detail)});
  }
  [[nodiscard]] bool open(const Value& value) const {
    return form_ == ExecForm::as_template && is_open(value);
  }

  void read_argv(const Value* argv) {
    if (argv == nullptr) return fault("/argv", "is missing: [\"/usr/bin/command\", \"argument\"]");
    if (is_open(*argv)) {
      return fault("/argv",
                   "cannot be filled in as a whole: what is run is not for an input to "
                   "say; write a list");
    }
    if (!argv->is_array() || argv->items().empty()) {
      return fault("/argv", "expected a list, the command first and then its arguments");
    }
    read_program(argv->items().front());
    for (std::size_t i = 1; i < argv->items().size(); ++i) read_argument(argv->items(), i);
  }

  void read_program(const Value& value) {
    const std::string at = "/argv/0";
    if (!value.is_string()) return fault(at, "expected the path of a command");
    const std::string& program = value.as_string();
    if (is_open(value)) {
      return fault(at, "cannot be filled in: what is run is not for an input to say");
    }
    const std::string wrong = wrong_with_command(program, spec_);
    if (!wrong.empty()) return fault(at, wrong);
    const std::vector<std::string>& allowed = spec_.commands;
    const bool any = std::ranges::find(allowed, "*") != allowed.end();
    if (!any && std::ranges::find(allowed, program) == allowed.end()) {
      return fault(at, "'" + program + "' is not among the commands of the target; " +
                           did_you_mean(program, allowed));
    }
    out_.call.argv.push_back(program);
  }

  void read_argument(const Value::Array& argv, std::size_t index) {
    const std::string at = "/argv/" + std::to_string(index);
    const Value& value = argv.at(index);
    const auto text = json::scalar_text(value);
    if (!text) return fault(at, "expected a text, a number, true or false");
    if (holds_zero(*text)) return fault(at, "holds U+0000, which no argument can");
    if (open(value) && may_be_script(argv, index)) {
      return fault(at,
                   "a value is never put into a script; write \"$1\" there, and give the value "
                   "as an argument of its own after it");
    }
    out_.call.argv.push_back(*text);
  }

  void read_input(const Value& value) {
    if (value.is_string()) {
      out_.call.input = value.as_string();
      return;
    }
    const Value* document = value.find("json");
    if (document == nullptr) return fault("/stdin", "expected a text, or { json = a document }");
    for (const auto& [name, member] : value.members()) {
      if (name != "json") fault(json::pointer_below("/stdin", name), "stands beside json");
    }
    out_.call.input = json::canonical(*document) + "\n";
  }

  void read_environment(const Value& value) {
    if (is_open(value)) {
      return fault("/env", "cannot be filled in as a whole: name each variable");
    }
    if (!value.is_object()) return fault("/env", "expected an object of names and values");
    for (const auto& [name, each] : value.members()) {
      const std::string at = json::pointer_below("/env", name);
      const std::string wrong = wrong_with_variable(name);
      const auto text = json::scalar_text(each);
      if (!wrong.empty()) {
        fault(at, wrong);
      } else if (each.is_null()) {
        out_.call.environment[name] = std::nullopt;
      } else if (!text) {
        fault(at, "expected a text, a number, true or false");
      } else if (holds_zero(*text)) {
        fault(at, "holds U+0000, which no variable can");
      } else if (open(each) && decides_what_is_run(name)) {
        fault(at, "cannot be filled in: it decides what is run");
      } else {
        out_.call.environment[name] = *text;
      }
    }
  }

  void read_timeout(const Value& value) {
    const auto timeout = parse_duration(value.is_string() ? value.as_string() : "");
    if (!timeout.has_value() || *timeout <= Duration{0}) {
      return fault("/timeout", "expected a duration such as \"5s\", written out");
    }
    out_.call.timeout = *timeout;
  }

  [[nodiscard]] static std::optional<int> code_of(const Value& value, int least) {
    if (!value.is_int() || value.as_int() < least || value.as_int() > kExitMax) return std::nullopt;
    return static_cast<int>(value.as_int());
  }

  void read_exit(const Value& value) {
    if (!value.is_object()) {
      return fault("/exit", "expected an object such as { rejected = [2], retryable = [75] }");
    }
    const std::vector<std::string> known(kMeanings.begin(), kMeanings.end());
    for (const auto& [name, codes] : value.members()) {
      const std::string at = json::pointer_below("/exit", name);
      const auto meaning = std::ranges::find(known, name);
      if (meaning == known.end()) {
        fault(at, "unknown member '" + name + "'; " + did_you_mean(name, known));
      } else if (!codes.is_array()) {
        fault(at, "expected a list of exit codes");
      } else {
        read_codes(at, codes, kKinds.at(static_cast<std::size_t>(meaning - known.begin())));
      }
    }
  }

  void read_codes(const std::string& at, const Value& codes, EffectKind kind) {
    for (std::size_t i = 0; i < codes.items().size(); ++i) {
      const std::string pointer = at + "/" + std::to_string(i);
      const auto code = code_of(codes.items().at(i), 0);
      if (!code) {
        fault(pointer, "expected an exit code, 0 to 255");
      } else if (!out_.call.exit.emplace(*code, kind).second) {
        fault(pointer, std::to_string(*code) + " stands in two lists");
      } else if (*code == 0 && kind != EffectKind::acknowledged && kind != EffectKind::unknown) {
        fault(pointer, "a command that ends with 0 did not say that nothing happened");
      }
    }
  }

  void read_absent_on(const Value* value) {
    if (value == nullptr) {
      out_.call.absent_on = {kAbsent};
      return;
    }
    if (!value->is_array()) return fault("/absent_on", "expected a list of exit codes, [4]");
    for (std::size_t i = 0; i < value->items().size(); ++i) {
      const auto code = code_of(value->items().at(i), 1);
      // What a shell says of a command that it cannot run, or that died.
      constexpr int kShellsFrom = 126;
      if (!code || *code >= kShellsFrom) {
        fault("/absent_on/" + std::to_string(i), "expected an exit code, 1 to 125");
        continue;
      }
      out_.call.absent_on.push_back(*code);
    }
  }

  ExecUse use_;
  ExecForm form_;
  const ExecSpec& spec_;
  ReadExecCall out_;
};

}  // namespace

std::string wrong_with_command(const std::string& command, const ExecSpec& spec) {
  if (command.empty() || holds_zero(command) || command.ends_with('/')) {
    return "'" + command + "' is no command";
  }
  if (command.starts_with('/')) return "";
  if (command.find('/') != std::string::npos) {
    return "'" + command +
           "' is neither an absolute path nor a bare name, which is looked for in the target's "
           "path";
  }
  if (!spec.path.empty()) return "";
  return "'" + command +
         "' is no absolute path, and the target has no path in which it could be looked for";
}

std::string wrong_with_variable(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  const bool digit_first = !name.empty() && name.front() >= '0' && name.front() <= '9';
  if (name.empty() || digit_first || !std::ranges::all_of(name, fits)) {
    return "'" + name + "' is no name of a variable: expected letters, digits and '_'";
  }
  if (name.starts_with("TRUED_")) return "names that begin with TRUED_ are set for the operation";
  if (name == "TRACEPARENT") return "is set from the operation's trace";
  return "";
}

ReadExecCall read_exec_call(const Value& request, ExecUse use, ExecForm form,
                            const ExecSpec& spec) {
  ReadExecCall read = CallShape(use, form, spec).read(request);
  TRUED_ASSERT(!read.faults.empty() || !read.call.argv.empty());
  TRUED_ASSERT(use == ExecUse::read || read.call.absent_on.empty());
  TRUED_ASSERT(use == ExecUse::effect || read.call.exit.empty());
  return read;
}

ExitMeanings meanings_of(const ExitCodes& codes, std::vector<SpecFault>& faults) {
  const std::array<const std::vector<int>*, 4> lists = {&codes.acknowledged, &codes.rejected,
                                                        &codes.retryable, &codes.unknown};
  ExitMeanings meanings;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    const std::string setting = std::string("exit.") + kMeanings.at(i);
    const bool denies = kKinds.at(i) == EffectKind::rejected_final ||
                        kKinds.at(i) == EffectKind::rejected_retryable;
    for (const int code : *lists.at(i)) {
      const std::string shown = std::to_string(code);
      if (code < 0 || code > kExitMax) {
        faults.push_back({setting, shown + " is no exit code: expected 0 to 255"});
      } else if (code == 0 && denies) {
        faults.push_back({setting, "a command that ends with 0 did not say that nothing happened"});
      } else if (!meanings.emplace(code, kKinds.at(i)).second) {
        faults.push_back({setting, shown + " stands in two lists"});
      }
    }
  }
  return meanings;
}

EffectKind meaning_of(int code, const ExitMeanings& call, const ExitMeanings& target) {
  TRUED_ASSERT(code >= 0 && code <= kExitMax);
  for (const ExitMeanings* meanings : {&call, &target}) {
    if (const auto found = meanings->find(code); found != meanings->end()) return found->second;
  }
  if (code == 0) return EffectKind::acknowledged;
  return code == kTempFail ? EffectKind::rejected_retryable : EffectKind::unknown;
}

}  // namespace trued
