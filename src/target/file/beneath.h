// beneath.h: opening files below a directory without ever leaving it. Private to this folder.
//
// Thin over system calls; errors are errno values, so that the caller can tell what they mean for
// the effect. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

namespace trued::file {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  void reset();
  /// Gives the descriptor away.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// A system call that did not go well, and on what.
struct Failure {
  int error = 0;      ///< errno
  std::string doing;  ///< "open directory 'a/b'"

  /// "cannot open directory 'a/b': Permission denied".
  [[nodiscard]] std::string text() const;
};

template <class T>
using Outcome = Result<T, Failure>;

/// openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS and O_CLOEXEC.
[[nodiscard]] Outcome<Fd> open_beneath(int directory, const std::string& path, int flags,
                                       std::uint32_t mode = 0);

/// The directory itself, freshly resolved.
[[nodiscard]] Outcome<Fd> open_root(const std::string& directory);

/// The parent directory of `name` below `root`; ENOENT if it is missing.
[[nodiscard]] Outcome<Fd> open_parent(int root, const std::string& name);

/// The same; missing directories are created, each durably.
[[nodiscard]] Outcome<Fd> make_parent(int root, const std::string& name);

/// What follows the last '/'.
[[nodiscard]] std::string leaf_of(const std::string& name);

/// Reads the whole of a regular file; EFBIG past `bytes_max`.
[[nodiscard]] Outcome<std::string> read_all(int fd, std::uint64_t bytes_max);
[[nodiscard]] Outcome<void> write_all(int fd, const std::string& content);
[[nodiscard]] Outcome<void> sync(int fd, const std::string& what);

}  // namespace trued::file
