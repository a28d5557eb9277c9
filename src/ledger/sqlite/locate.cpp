#include "ledger/sqlite/locate.h"

#include <filesystem>
#include <sys/stat.h>
#include <system_error>

namespace trued::sqlite {
namespace {

namespace fs = std::filesystem;

constexpr int kLinksMax = 40;  // as many as Linux follows

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// A link may lead to a file that is yet to be created; SQLite creates it there.
fs::path follow(fs::path path) {
  for (int link = 0; link < kLinksMax; ++link) {
    std::error_code failure;
    const fs::path target = fs::read_symlink(path, failure);
    if (failure) break;
    path = folder_of(path) / target;  // an absolute one stands alone
  }
  return path;
}

std::string real_path(const std::string& path) {
  std::error_code failure;
  const fs::path whole = fs::canonical(path, failure);
  if (!failure) return whole.string();
  const fs::path last = follow(path);
  const fs::path folder = fs::canonical(folder_of(last), failure);
  return failure ? path : (folder / last.filename()).string();
}

}  // namespace

Result<std::string> locate(const std::string& path) {
  const std::string real = real_path(path);
  struct stat file{};
  if (::stat(real.c_str(), &file) != 0) return real;
  if (!S_ISREG(file.st_mode)) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = real + " holds no ledger: it is " +
                            (S_ISDIR(file.st_mode) ? "a directory" : "no regular file") +
                            "; name the file that a server or 'trued exec' keeps"};
  }
  if (file.st_nlink > 1) {
    return Error{.code = ErrorCode::unavailable,
                 .message = "the ledger " + real + " has " + std::to_string(file.st_nlink) +
                            " names (hard links), and under another one a process may be using it "
                            "with a log of its own; 'find DIR -xdev -samefile " +
                            real + "' lists them: keep the one that was in use"};
  }
  return real;
}

}  // namespace trued::sqlite
