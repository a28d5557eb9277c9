#include "ledger/sqlite/owner_lock.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

namespace trued::sqlite {

Result<OwnerLock> OwnerLock::take(const std::string& path) {
  const std::string name = path + ".lock";
  const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    const bool denied = errno == EACCES || errno == EPERM || errno == EROFS;
    return Error{.code = denied ? ErrorCode::permission_denied : ErrorCode::io,
                 .message = "cannot open " + name + ": " + std::generic_category().message(errno)};
  }
  OwnerLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> owner{};
    const auto size = ::pread(fd, owner.data(), owner.size() - 1, 0);
    std::string who = size > 0 ? std::string(owner.data(), static_cast<std::size_t>(size)) : "?";
    return Error{.code = ErrorCode::already_exists,
                 .retryable = true,
                 .message = "the ledger " + path + " is in use by process " + who +
                            "; stop it first, or give this one a ledger of its own"};
  }
  const std::string pid = std::to_string(::getpid());
  const bool noted = ::ftruncate(fd, 0) == 0 &&
                     ::pwrite(fd, pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size());
  // The number is for the message above only; the lock holds without it (on a full disk, say).
  (void)noted;
  return lock;
}

bool OwnerLock::is_held(const std::string& path) {
  const int fd = ::open((path + ".lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  ::close(fd);
  return held;
}

OwnerLock::~OwnerLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace trued::sqlite
