// directory.h: what `trued write --dir` publishes.
//
// Every file below the directory is published under its path below it. A symbolic link to a regular
// file in the directory is published under its own name, with the content that it leads to.
// Whatever else stands there is refused by name, so that what is published is the whole of it:
// links that lead to a directory, out of the directory or nowhere, and what is neither a file nor a
// directory.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace trued::cli {

struct FoundFile {
  std::string name;  ///< its path below the directory, with '/'; valid UTF-8
  std::string path;  ///< where to read it
};

struct Found {
  std::vector<FoundFile> files;     ///< by name
  std::vector<std::string> faults;  ///< what cannot be published, each with its name and why
};

/// Everything below `directory`; an error if it cannot be read at all.
[[nodiscard]] Result<Found> files_below(const std::string& directory);

/// The whole content of a file, or of standard input for "-".
[[nodiscard]] Result<std::string> read_file(const std::string& path);

}  // namespace trued::cli
