#include "cli/completion.h"

#include <functional>

#include "base/assert.h"

namespace trued::cli {
namespace {

std::string words_of(const CommandNode& node) {
  std::string words;
  for (const CommandNode& child : node.children) words += child.name + " ";
  for (const std::string& option : node.options) words += option + " ";
  if (!words.empty()) words.pop_back();
  return words;
}

// Calls `visit` with the path below the program ("op ls") of every command.
void each(const CommandNode& node, const std::string& path,
          const std::function<void(const std::string&, const CommandNode&)>& visit) {
  visit(path, node);
  for (const CommandNode& child : node.children) {
    each(child, path.empty() ? child.name : path + " " + child.name, visit);
  }
}

std::string bash_script(const CommandNode& root) {
  std::string cases;
  each(root, "", [&](const std::string& path, const CommandNode& node) {
    cases += "    \"" + path + "\") words=\"" + words_of(node) + "\" ;;\n";
  });
  return "_trued() {\n"
         "  local path=\"\" word words=\"\" i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=\"${COMP_WORDS[i]}\"\n"
         "    case \"$word\" in -*) ;; *) path=\"${path:+$path }$word\" ;; esac\n"
         "  done\n"
         "  case \"$path\" in\n" +
         cases +
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
         "  [[ ${#COMPREPLY[@]} -gt 0 ]] || mapfile -t COMPREPLY < "
         "<(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
         "}\n"
         "complete -F _trued trued\n";
}

std::string fish_script(const CommandNode& root) {
  std::string script;
  each(root, "", [&](const std::string& path, const CommandNode& node) {
    const std::string last = path.substr(path.rfind(' ') + 1);
    const std::string when =
        path.empty() ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + last;
    for (const CommandNode& child : node.children) {
      script += "complete -c trued -f -n '" + when + "' -a " + child.name + "\n";
    }
    for (const std::string& option : node.options) {
      TRUED_ASSERT(option.starts_with("--"));
      script += "complete -c trued -n '" + when + "' -l " + option.substr(2) + "\n";
    }
  });
  return script;
}

}  // namespace

std::string completion_script(const CommandNode& root, const std::string& shell) {
  if (shell == "fish") return fish_script(root);
  const std::string script = bash_script(root);
  if (shell == "bash") return script;
  return "#compdef trued\nautoload -U +X bashcompinit && bashcompinit\n" + script;
}

}  // namespace trued::cli
