#include "target/exec/script.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/assert.h"

namespace trued {
namespace {

using Array = json::Value::Array;

enum class Kind : std::uint8_t { none, shell, interpreter, filter };

struct Program {
  Kind kind = Kind::none;
  std::string_view scripts = {};  ///< interpreter: letters of options that are followed by a script
  std::string_view flags = {};    ///< interpreter: letters that may stand before one of them
};

bool any_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

Program program_of(std::string_view text) {
  const std::string_view name = text.substr(text.rfind('/') + 1);  // npos + 1 is 0
  if (any_of(name, {"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "fish", "busybox", "su"})) {
    return {.kind = Kind::shell};
  }
  if (any_of(name, {"awk", "gawk", "mawk", "nawk", "sed"})) return {.kind = Kind::filter};
  struct Known {
    std::string_view begins;
    Program program;
  };
  constexpr auto kInterpreter = Kind::interpreter;
  constexpr std::array<Known, 6> kKnown = {
      Known{"python", {kInterpreter, "c", "bBdEiIOPqsSuvx"}},
      Known{"perl", {kInterpreter, "eE", "acfilnpsStTuUvwWX0123456789"}},
      Known{"ruby", {kInterpreter, "e", "alnpsSvwWxy0123456789"}},
      Known{"node", {kInterpreter, "ep", "i"}},
      Known{"php", {kInterpreter, "rBRE", "aCehHlnqsvwz"}},
      Known{"lua", {kInterpreter, "e", "ivEW"}}};
  for (const Known& each : kKnown) {
    if (name.starts_with(each.begins)) return each.program;
  }
  return {};
}

// Whether something else than a script's file may come before its options: a user, an applet, a
// value of an option.
bool has_words_first(std::string_view shell) {
  return any_of(shell.substr(shell.rfind('/') + 1), {"su", "busybox", "fish"});
}

std::string_view text_at(const Array& argv, std::size_t index) {
  return argv.at(index).is_string() ? std::string_view(argv.at(index).as_string()) : "";
}

bool is_option(std::string_view text) {
  return text.size() >= 2 && (text.front() == '-' || text.front() == '+');
}
bool is_long(std::string_view text) { return text.starts_with("--"); }
bool is_open(std::string_view text) { return text.find("${") != std::string_view::npos; }

constexpr std::array<std::string_view, 5> kLongScripts = {"--eval", "--print", "--command",
                                                          "--expression", "--source"};

// Whether a long option brings a script along ("--eval=${…}"), or may come to.
bool long_joins(std::string_view text) {
  const std::string_view written = text.substr(0, text.find("${"));
  const std::size_t equals = written.find('=');
  return std::ranges::any_of(kLongScripts, [&](std::string_view name) {
    return equals == std::string_view::npos ? name.starts_with(written)
                                            : name == written.substr(0, equals);
  });
}

// Whether letters of a short option bring a script along ("-e${…}"), or may come to.
bool short_joins(std::string_view text, const Program& program) {
  TRUED_ASSERT(is_option(text));
  if (text.front() != '-') return false;
  const std::string_view written = text.substr(1, text.find("${") - 1);
  const std::size_t script = written.find_first_of(program.scripts);
  const std::size_t other = written.find_first_not_of(program.flags);
  return script == other;  // a script after flags alone, or, npos, flags and then anything
}

// Whether the argument after this option is a script, or may come to be one.
bool long_precedes(std::string_view option) {
  const bool named = option.substr(0, option.find("${")).find('=') != std::string_view::npos;
  return std::ranges::find(kLongScripts, option) != kLongScripts.end() ||
         (is_open(option) && !named);
}
bool precedes(std::string_view option, const Program& program) {
  if (!is_option(option)) return false;
  if (is_long(option)) return long_precedes(option);
  return program.scripts.find(option.back()) != std::string_view::npos ||
         (is_open(option) && short_joins(option, program));
}

// sh -c SCRIPT, sh -c -- SCRIPT, bash -c -e -o pipefail SCRIPT; su USER -c SCRIPT.
bool of_shell(const Array& argv, std::size_t program, std::size_t index) {
  TRUED_ASSERT(program < index);
  bool asked = false;  // a script is to come
  bool ended = false;  // "--" was there
  bool value = false;  // what follows may be the value of an option
  for (std::size_t i = program + 1; i <= index; ++i) {
    const std::string_view text = text_at(argv, i);
    if (!ended && text == "--") {
      ended = true;
    } else if (!ended && is_option(text)) {
      // Which letters it has is not for an input to say either.
      if (i == index) return !is_long(text) || long_joins(text);
      const bool letters = text.find_first_of("cC") != std::string_view::npos || is_open(text);
      asked = asked || (is_long(text) ? long_precedes(text) : letters);
      value = is_long(text) || text.find_first_of("oO") != std::string_view::npos;
    } else if (asked && i == index) {
      return true;
    } else if (value) {
      value = false;
    } else if (asked || !has_words_first(text_at(argv, program))) {
      return false;  // this is the script, or the file that holds it; what follows is its own
    }
  }
  return false;
}

bool of_interpreter(const Array& argv, const Program& program, std::size_t index) {
  TRUED_ASSERT(program.kind == Kind::interpreter && index > 0);
  const std::string_view text = text_at(argv, index);
  if (is_option(text) && (is_long(text) ? long_joins(text) : short_joins(text, program))) {
    return true;
  }
  return precedes(text_at(argv, index - 1), program);
}

// awk SCRIPT, sed -n -e SCRIPT; with -f what follows is data.
bool of_filter(const Array& argv, std::size_t program, std::size_t index) {
  TRUED_ASSERT(program < index);
  bool given = false;  // by an option
  for (std::size_t i = program + 1; i <= index; ++i) {
    const std::string_view text = text_at(argv, i);
    if (text == "--") continue;
    if (!is_option(text)) {
      if (!given) return i == index;  // the first of them is the script
      continue;
    }
    const bool joined = is_long(text) ? long_joins(text) : text.substr(0, 2) == "-e";
    if (i == index) return joined;
    const bool file = text.starts_with("-f") || text.starts_with("--file");
    given = given || joined || file;
    // Options whose value is an argument of its own.
    if (any_of(text, {"-e", "--expression", "--source"})) {
      if (++i == index) return true;
    } else if (any_of(text, {"-f", "-F", "-v", "--file", "--field-separator", "--assign"})) {
      if (++i == index) return false;
    }
  }
  return false;
}

// Programs that execute what comes after them; a filter's name elsewhere is just a word.
bool runs_others(std::string_view text) {
  return any_of(text.substr(text.rfind('/') + 1),
                {"env", "nice", "nohup", "timeout", "sudo", "doas", "setsid", "stdbuf", "ionice",
                 "xargs", "busybox", "chroot", "flock", "time", "runuser", "gosu", "su-exec"});
}

// Whether what follows the program are arguments of a script in a file (python3 tool.py …).
bool has_file(const Array& argv, std::size_t program) {
  const std::string_view next = text_at(argv, program + 1);
  return !has_words_first(text_at(argv, program)) && !next.empty() && next.front() != '-' &&
         !is_open(next);
}

}  // namespace

bool may_be_script(const Array& argv, std::size_t index) {
  TRUED_ASSERT(index > 0 && index < argv.size());
  for (std::size_t i = 0; i < index; ++i) {
    const Program program = program_of(text_at(argv, i));
    bool script = false;
    if (program.kind == Kind::filter) {
      script = (i == 0 || runs_others(text_at(argv, 0))) && of_filter(argv, i, index);
    } else if (program.kind != Kind::none && !has_file(argv, i)) {
      script = program.kind == Kind::shell ? of_shell(argv, i, index)
                                           : of_interpreter(argv, program, index);
    }
    if (script) return true;
  }
  return false;
}

}  // namespace trued
