// An online copy that is whole or not there.
#include "ledger/sqlite/backup.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/schema.h"
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
  TRUED_TRY_VOID(from.integer("SELECT count(*) FROM sqlite_schema"));
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

// SQLite leaves its journal behind when a copy ends half way.
void remove_part(const std::string& temporary) {
  ::unlink(temporary.c_str());
  for (const char* end : {"-journal", "-wal", "-shm"}) ::unlink((temporary + end).c_str());
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

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

Result<void> sync_parent(const std::string& path) {
  const std::string parent = parent_of(path);
  const int fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open " + parent);
  const bool done = ::fsync(fd) == 0;
  ::close(fd);
  if (!done) return system_error("cannot sync " + parent);
  return {};
}

// Whole and durable under its name, or not there.
Result<std::uint64_t> place_copy(Connection& from, const std::string& destination,
                                 const Progress& progress) {
  const std::string temporary = destination + ".part-" + std::to_string(::getpid());
  auto copied = copy(from, temporary, progress);
  if (!copied.has_value()) {
    remove_part(temporary);
    return copied.error();
  }
  auto bytes = sync_file(temporary);
  if (!bytes.has_value()) {
    remove_part(temporary);
    return bytes;
  }
  // link() refuses an existing name, which rename() would replace.
  const bool placed = ::link(temporary.c_str(), destination.c_str()) == 0;
  const int why = errno;
  remove_part(temporary);
  if (!placed) {
    errno = why;
    return system_error("cannot place the copy at " + destination);
  }
  TRUED_TRY_VOID(sync_parent(destination));
  return bytes;
}

}  // namespace

namespace sqlite {

Result<void> check_space(const std::string& path, std::uint64_t bytes) {
  const std::string folder = parent_of(path);
  struct statvfs space{};
  if (::statvfs(folder.c_str(), &space) != 0) return system_error("cannot look at " + folder);
  const std::uint64_t left = std::uint64_t{space.f_bavail} * space.f_frsize;
  if (left >= bytes) return {};
  return Error{.code = ErrorCode::io,
               .retryable = true,
               .message = std::to_string(bytes) + " bytes are needed in " + folder + ", " +
                          std::to_string(left) + " are left"};
}

Result<void> save_before_migration(const std::string& path, int version,
                                   const std::function<void(const std::string&)>& notice) {
  const std::string destination = path + ".v" + std::to_string(version) + "-backup";
  const std::string what = "the ledger " + path + " has schema version " + std::to_string(version);
  struct stat existing{};
  if (::stat(destination.c_str(), &existing) == 0) {
    if (notice) notice(what + "; " + destination + " is there already: no other copy is made");
    return {};
  }
  const auto refuse = [&](Error error) {
    error.message = what + " and must be brought forward, but the copy " + destination +
                    " cannot be made first: " + error.message +
                    "; nothing was changed: free space or move the ledger, and start again";
    return error;
  };
  TRUED_TRY(auto open, open_read_only(path, Older::read));
  TRUED_TRY(const std::int64_t pages, open.connection->integer("PRAGMA page_count"));
  TRUED_TRY(const std::int64_t page, open.connection->integer("PRAGMA page_size"));
  const auto room = check_space(path, static_cast<std::uint64_t>(pages * page));
  if (!room.has_value()) return refuse(room.error());
  const auto bytes = place_copy(*open.connection, destination, {});
  if (!bytes.has_value()) return refuse(bytes.error());
  if (notice) {
    notice(what + "; it was copied to " + destination + " (" + std::to_string(*bytes) + " bytes)");
  }
  return {};
}

}  // namespace sqlite

Result<std::uint64_t> backup_sqlite(const std::string& path, const std::string& destination,
                                    const Progress& progress) {
  struct stat existing{};
  if (::stat(destination.c_str(), &existing) == 0) {
    return Error{.code = ErrorCode::already_exists,
                 .message = destination + " exists; name a file that does not"};
  }
  TRUED_TRY(auto open, sqlite::open_read_only(path, sqlite::Older::read));
  return place_copy(*open.connection, destination, progress);
}

}  // namespace trued
