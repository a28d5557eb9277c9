// An online copy that is whole or not there.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued {
namespace {

using sqlite::Connection;

constexpr int kPagesPerStep = 256;
constexpr int kPauseMs = 5;  // when the writer holds what is being copied

Error system_error(const std::string& what) {
  return {.code = ErrorCode::io, .message = what + ": " + std::generic_category().message(errno)};
}

Result<void> copy(Connection& from, const std::string& to, const Progress& progress) {
  TRUED_TRY(auto target, Connection::open(to, true));
  // One file, no log beside it: the copy is moved under its name as a whole.
  TRUED_TRY_VOID(target->run("PRAGMA journal_mode=DELETE"));
  const std::unique_ptr<sqlite3_backup, decltype(&sqlite3_backup_finish)> backup(
      sqlite3_backup_init(target->handle(), "main", from.handle(), "main"), &sqlite3_backup_finish);
  if (backup == nullptr) return target->failure("cannot begin the copy");
  // One snapshot for the whole copy: without it the copy begins again with every commit.
  TRUED_TRY_VOID(from.run("BEGIN"));
  TRUED_TRY_VOID(from.integer("SELECT count(*) FROM base"));
  int code = SQLITE_OK;
  while (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED) {
    code = sqlite3_backup_step(backup.get(), kPagesPerStep);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) sqlite3_sleep(kPauseMs);
    const auto total = static_cast<std::uint64_t>(sqlite3_backup_pagecount(backup.get()));
    const auto left = static_cast<std::uint64_t>(sqlite3_backup_remaining(backup.get()));
    if (progress) progress(total - left, total);
  }
  if (code != SQLITE_DONE) return target->failure("the copy failed");
  return {};
}

Result<std::uint64_t> sync_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open " + path);
  struct stat file{};
  const bool done = ::fsync(fd) == 0 && ::fstat(fd, &file) == 0;
  ::close(fd);
  if (!done) return system_error("cannot sync " + path);
  return static_cast<std::uint64_t>(file.st_size);
}

Result<void> sync_parent(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open " + parent);
  const bool done = ::fsync(fd) == 0;
  ::close(fd);
  if (!done) return system_error("cannot sync " + parent);
  return {};
}

}  // namespace

Result<std::uint64_t> backup_sqlite(const std::string& path, const std::string& destination,
                                    const Progress& progress) {
  struct stat existing{};
  if (::stat(destination.c_str(), &existing) == 0) {
    return Error{.code = ErrorCode::already_exists,
                 .message = destination + " exists; name a file that does not"};
  }
  TRUED_TRY(auto reader, open_sqlite_reader(path));  // a ledger we can read, or a clear error
  reader.reset();
  TRUED_TRY(auto from, Connection::open(path, false));
  const std::string temporary = destination + ".part-" + std::to_string(::getpid());
  auto copied = copy(*from, temporary, progress);
  if (!copied.has_value()) {
    ::unlink(temporary.c_str());
    return copied.error();
  }
  auto bytes = sync_file(temporary);
  if (!bytes.has_value()) {
    ::unlink(temporary.c_str());
    return bytes;
  }
  // link() refuses an existing name, which rename() would replace.
  const bool placed = ::link(temporary.c_str(), destination.c_str()) == 0;
  const int why = errno;
  ::unlink(temporary.c_str());
  if (!placed) {
    errno = why;
    return system_error("cannot place the copy at " + destination);
  }
  TRUED_TRY_VOID(sync_parent(destination));
  return bytes;
}

}  // namespace trued
