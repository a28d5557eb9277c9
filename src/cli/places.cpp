#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>

#include "cli/commands.h"
#include "config/config.h"

namespace trued::cli {

Result<std::string> state_place(const Common& common) {
  std::string directory = common.state_dir;
  if (directory.empty()) {
    const char* xdg = std::getenv("XDG_STATE_HOME");
    const char* home = std::getenv("HOME");
    // A relative XDG path is to be ignored (XDG Base Directory Specification).
    if (xdg != nullptr && *xdg == '/') {
      directory = std::string(xdg) + "/trued";
    } else if (home != nullptr && *home == '/') {
      directory = std::string(home) + "/.local/state/trued";
    } else {
      return Error{.code = ErrorCode::invalid_argument,
                   .message =
                       "neither HOME nor XDG_STATE_HOME says where to keep state; give "
                       "--state-dir"};
    }
  }
  return directory;
}

Result<std::string> state_directory(const Common& common) {
  TRUED_TRY(std::string directory, state_place(common));
  std::error_code failure;
  const std::filesystem::path path(directory);
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), failure);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error{
        .code = ErrorCode::io,
        .message = "cannot create " + directory + ": " + std::generic_category().message(errno)};
  }
  return directory;
}

namespace {

Result<std::string> ledger_option(const std::string& option) {
  const auto path = config::ledger_path(option);
  if (path && !path->empty()) return *path;
  return Error{.code = ErrorCode::invalid_argument,
               .message = config::is_shared_ledger(option)
                              ? "this command needs a ledger in a file: sqlite:PATH"
                              : "'" + option + "' is not a ledger; expected sqlite:PATH"};
}

}  // namespace

Result<std::string> ledger_file(const Common& common, const std::string& option) {
  if (!option.empty()) return ledger_option(option);
  TRUED_TRY(const std::string directory, state_directory(common));
  return directory + "/ledger.db";
}

Result<std::string> existing_ledger(const Common& common, const std::string& option) {
  if (!option.empty()) return ledger_option(option);
  TRUED_TRY(const std::string directory, state_place(common));
  return directory + "/ledger.db";
}

Error naming(Error error, const std::string& path) {
  if (error.message.find(path) == std::string::npos) {
    error.message = "the ledger " + path + ": " + error.message;
  }
  return error;
}

}  // namespace trued::cli
