// owner_lock.h: makes sure that one process writes a ledger. Private.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace trued::sqlite {

/// Holds an exclusive lock on "<path>.lock" until it goes; the kernel gives it back if we crash.
class OwnerLock {
 public:
  /// `path` as locate() gives it. `already_exists` names the owner's process id.
  [[nodiscard]] static Result<OwnerLock> take(const std::string& path);
  /// True if some process has it now; leaves nothing behind.
  [[nodiscard]] static bool is_held(const std::string& path);
  OwnerLock(OwnerLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnerLock& operator=(OwnerLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~OwnerLock();

 private:
  explicit OwnerLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace trued::sqlite
