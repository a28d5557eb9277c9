#include "target/file/temporaries.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/assert.h"
#include "base/clock.h"
#include "target/process.h"

namespace trued::file {
namespace {

constexpr std::string_view kSuffix = ".tmp";

bool only_digits(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<ProcessMark> maker_of(std::string_view name) {
  if (!name.starts_with(kTemporaryPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  name.remove_prefix(kTemporaryPrefix.size());
  name.remove_suffix(kSuffix.size());
  std::vector<std::string> parts;
  while (true) {
    const std::size_t dash = name.find('-');
    parts.emplace_back(name.substr(0, dash));
    if (dash == std::string_view::npos) break;
    name.remove_prefix(dash + 1);
  }
  constexpr std::size_t kParts = 5;
  if (parts.size() != kParts) return std::nullopt;
  for (std::size_t i = 1; i < kParts; ++i) {
    if (!only_digits(parts[i])) return std::nullopt;
  }
  return ProcessMark{
      .boot = parts[0], .pid_namespace = parts[1], .pid = parts[2], .start = parts[3]};
}

class Sweep {
 public:
  explicit Sweep(std::uint32_t entries_max) : entries_left_(entries_max) {}

  void visit(Fd directory) {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory.get()), &::closedir);
    if (!stream) return;
    (void)directory.release();  // the stream owns it now
    const int fd = ::dirfd(stream.get());
    while (const dirent* entry = ::readdir(stream.get())) {
      if (entries_left_ == 0) return;
      --entries_left_;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (const auto maker = maker_of(name)) {
        if (is_gone(*maker, fd, name) && ::unlinkat(fd, name.c_str(), 0) == 0) ++removed_;
      } else if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) {
        auto below = open_beneath(fd, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
        if (below.has_value()) visit(std::move(*below));
      }
    }
  }
  [[nodiscard]] std::uint32_t removed() const { return removed_; }

 private:
  bool is_gone(const ProcessMark& maker, int directory, const std::string& name) const {
    struct stat info{};
    if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (!S_ISREG(info.st_mode)) return false;
    switch (whereabouts(maker)) {
      case Whereabouts::alive:
        return false;
      case Whereabouts::gone:
        return true;
      case Whereabouts::elsewhere:
        break;
    }
    constexpr std::int64_t kDay = 86'400;
    return info.st_mtim.tv_sec < boot_ || info.st_mtim.tv_sec < now_ - kDay;
  }

  const std::int64_t boot_ = boot_seconds();
  const std::int64_t now_ =
      std::chrono::duration_cast<std::chrono::seconds>(SystemClock().wall().time_since_epoch())
          .count();
  std::uint32_t entries_left_;
  std::uint32_t removed_ = 0;
};

}  // namespace

std::string temporary_name() {
  static std::atomic<std::uint64_t> counter{0};
  const ProcessMark maker = this_process();
  std::string name = std::string(kTemporaryPrefix) + maker.boot + '-' + maker.pid_namespace + '-' +
                     maker.pid + '-' + maker.start + '-' + std::to_string(++counter) +
                     std::string(kSuffix);
  TRUED_ASSERT(maker_of(name).has_value());  // or nobody would ever remove it
  return name;
}

std::uint32_t remove_left_over(int root, std::uint32_t entries_max) {
  Sweep sweep(entries_max);
  // A duplicate would share its position with `root`.
  auto directory = open_beneath(root, ".", O_RDONLY | O_DIRECTORY);
  if (directory.has_value()) sweep.visit(std::move(*directory));
  return sweep.removed();
}

}  // namespace trued::file
