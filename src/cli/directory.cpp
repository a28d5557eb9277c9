#include "cli/directory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/encoding.h"
#include "cli/output.h"

namespace trued::cli {
namespace {

namespace fs = std::filesystem;

Error bad_argument(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(message)};
}

bool lies_below(const fs::path& path, const fs::path& root) {
  const auto [end, rest] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return end == root.end();
}

// Why the link cannot be published; empty if it leads to a file in the directory.
std::string wrong_with_link(const fs::path& link, const fs::path& root) {
  std::error_code failure;
  const std::string to =
      " is a symbolic link to " + shell_quoted(fs::read_symlink(link, failure).string());
  const fs::path end = fs::canonical(link, failure);
  if (failure) return to + ", which leads nowhere (" + failure.message() + "); mend or remove it";
  if (!lies_below(end, root)) {
    return to + ", which is outside of the directory; copy it there, or give it as PATH=FILE";
  }
  const fs::file_status status = fs::status(end, failure);
  if (fs::is_regular_file(status)) return "";
  if (fs::is_directory(status)) {
    return to + ", a directory, and those are not followed; copy it there, or remove the link";
  }
  return to + ", which is no regular file; remove it";
}

// Why the entry cannot be published; empty if it can be, or has not to be.
std::string wrong_with(const fs::directory_entry& entry, const fs::path& root,
                       const std::string& name) {
  std::error_code failure;
  const fs::file_status status = entry.symlink_status(failure);
  if (failure) return " cannot be looked at: " + failure.message();
  // Its name is a part of theirs; where it holds none, it is not published.
  if (fs::is_directory(status)) return "";
  if (!utf8_valid(name)) return " has a name that is not valid UTF-8; rename it";
  if (fs::is_symlink(status)) return wrong_with_link(entry.path(), root);
  return fs::is_regular_file(status) ? "" : " is no regular file; remove it";
}

}  // namespace

Result<Found> files_below(const std::string& directory) {
  const auto unreadable = [](const fs::path& path, const std::error_code& failure) {
    return shell_quoted(path.string()) + ": cannot read it: " + failure.message();
  };
  std::error_code failure;
  const fs::path root = fs::canonical(directory, failure);
  if (failure) return bad_argument(unreadable(directory, failure));
  Found found;
  // One level after another by hand: which directory it was that could not be read, the recursive
  // iterator does not say.
  std::vector<fs::path> waiting{directory};
  while (!waiting.empty()) {
    const fs::path here = std::move(waiting.back());
    waiting.pop_back();
    fs::directory_iterator entries(here, failure);
    if (failure && here == fs::path(directory)) return bad_argument(unreadable(here, failure));
    for (; !failure && entries != fs::directory_iterator(); entries.increment(failure)) {
      const fs::directory_entry& entry = *entries;
      // By its words: resolved, a link would have the name of what it leads to.
      const std::string name = entry.path().lexically_relative(directory).generic_string();
      const std::string wrong = wrong_with(entry, root, name);
      std::error_code ignored;
      if (!wrong.empty()) {
        found.faults.push_back(shell_quoted(entry.path().string()) + wrong);
      } else if (fs::is_directory(entry.symlink_status(ignored))) {
        waiting.push_back(entry.path());
      } else {
        found.files.push_back({.name = name, .path = entry.path().string()});
      }
    }
    if (failure) found.faults.push_back(unreadable(here, failure));
  }
  std::ranges::sort(found.files, {}, &FoundFile::name);
  std::ranges::sort(found.faults);
  return found;
}

Result<std::string> read_file(const std::string& path) {
  const auto cannot = [&](const std::string& why) {
    const std::string shown = path == "-" ? "standard input" : shell_quoted(path);
    return bad_argument("cannot read " + shown + ": " + why);
  };
  const auto close = [](std::FILE* file) {
    if (file != stdin) (void)std::fclose(file);
  };
  std::unique_ptr<std::FILE, decltype(close)> file(
      path == "-" ? stdin : std::fopen(path.c_str(), "rb"), close);
  if (!file) return cannot(std::generic_category().message(errno));
  std::string content;
  std::array<char, 64 * 1024> piece{};
  std::size_t bytes = 0;
  while ((bytes = std::fread(piece.data(), 1, piece.size(), file.get())) > 0) {
    content.append(piece.data(), bytes);
  }
  // What could be read before is not what was meant.
  if (std::ferror(file.get()) != 0) return cannot(std::generic_category().message(errno));
  return content;
}

}  // namespace trued::cli
