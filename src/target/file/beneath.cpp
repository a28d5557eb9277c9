#include "target/file/beneath.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

#include "base/assert.h"

namespace trued::file {
namespace {

// A lookup that races with a rename elsewhere answers EAGAIN.
constexpr int kLookupsMax = 64;
constexpr std::uint32_t kDirectoryMode = 0755;

Failure failure(std::string doing) { return {.error = errno, .doing = std::move(doing)}; }

std::string parent_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? std::string(".") : name.substr(0, slash);
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::string Failure::text() const {
  return "cannot " + doing + ": " + std::generic_category().message(error);
}

Outcome<Fd> open_beneath(int directory, const std::string& path, int flags, std::uint32_t mode) {
  TRUED_ASSERT(directory >= 0);  // AT_FDCWD would lead out of it
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int lookup = 0; lookup < kLookupsMax; ++lookup) {
    const long fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
    if (fd >= 0) return Fd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return failure("open '" + path + "'");
}

Outcome<Fd> open_root(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure("open directory '" + directory + "'");
  return Fd(fd);
}

Outcome<Fd> open_parent(int root, const std::string& name) {
  return open_beneath(root, parent_of(name), O_RDONLY | O_DIRECTORY);
}

Outcome<Fd> make_parent(int root, const std::string& name) {
  auto parent = open_parent(root, name);
  if (parent.has_value() || parent.error().error != ENOENT) return parent;
  for (std::size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
    const std::string path = name.substr(0, at);
    auto there = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
    if (there.has_value()) continue;
    if (there.error().error != ENOENT) return there;
    TRUED_TRY(const Fd above, open_parent(root, path));
    if (::mkdirat(above.get(), leaf_of(path).c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
      return failure("create directory '" + path + "'");
    }
    TRUED_TRY_VOID(sync(above.get(), "the directory above '" + path + "'"));
  }
  return open_parent(root, name);
}

std::string leaf_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

Outcome<std::string> read_all(int fd, std::uint64_t bytes_max) {
  TRUED_ASSERT(fd >= 0);
  struct stat info{};
  if (::fstat(fd, &info) != 0) return failure("stat the file");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > bytes_max) return Failure{.error = EFBIG, .doing = "read the file"};
  std::string content;
  constexpr std::size_t kChunk = 1U << 16U;
  while (true) {
    const std::size_t before = content.size();
    // One byte more than expected, so that a file that did not grow ends with the second call.
    content.resize(before + std::max<std::size_t>(kChunk, size > before ? size - before + 1 : 0));
    const ssize_t got = ::read(fd, content.data() + before, content.size() - before);
    content.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) {
      if (errno == EINTR) continue;
      return failure("read the file");
    }
    if (content.size() > bytes_max) return Failure{.error = EFBIG, .doing = "read the file"};
    if (got == 0) return content;
  }
}

Outcome<void> write_all(int fd, const std::string& content) {
  TRUED_ASSERT(fd >= 0);
  std::string_view rest = content;
  while (!rest.empty()) {
    const ssize_t put = ::write(fd, rest.data(), rest.size());
    if (put < 0) {
      if (errno == EINTR) continue;
      return failure("write a temporary file");
    }
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Outcome<void> sync(int fd, const std::string& what) {
  TRUED_ASSERT(fd >= 0);
  if (::fsync(fd) != 0) return failure("sync " + what);
  return {};
}

}  // namespace trued::file
