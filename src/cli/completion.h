// completion.h: completion scripts for shells, made from the tree of commands.
#pragma once

#include <string>
#include <vector>

namespace trued::cli {

struct CommandNode {
  std::string name;
  std::vector<std::string> options;
  std::vector<CommandNode> children;
};

/// `shell` is "bash", "zsh" or "fish".
[[nodiscard]] std::string completion_script(const CommandNode& root, const std::string& shell);

}  // namespace trued::cli
