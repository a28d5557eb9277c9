#include "target/file/temporaries.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/clock.h"

namespace trued::file {
namespace {

constexpr std::string_view kSuffix = ".tmp";
constexpr std::size_t kBootDigits = 12;

// Who made a temporary file.
struct Maker {
  std::string boot;
  std::string pid_namespace;
  std::string pid;
  std::string start;  // in clock ticks since boot: tells a reused process id
};

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// Field 22 of /proc/PID/stat; the second one, in parentheses, may hold anything.
std::string start_of(const std::string& pid) {
  const std::string line = first_line("/proc/" + pid + "/stat");
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  constexpr int kAfterName = 20;
  std::string field;
  for (int i = 0; i < kAfterName; ++i) fields >> field;
  return fields ? field : std::string();
}

std::string only_digits(const std::string& text) {
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits),
                       [](char c) { return c >= '0' && c <= '9'; });
  return digits.empty() ? "0" : digits;
}

Maker find_self() {
  Maker self;
  self.boot = first_line("/proc/sys/kernel/random/boot_id");
  std::erase(self.boot, '-');
  self.boot.resize(kBootDigits, '0');
  std::array<char, 64> link{};
  const ssize_t length = ::readlink("/proc/self/ns/pid", link.data(), link.size());
  self.pid_namespace =
      only_digits(std::string(link.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))));
  self.pid = std::to_string(::getpid());
  self.start = only_digits(start_of("self"));
  return self;
}

// Asked anew for each name: a fork must not share names with its parent.
Maker self() {
  static const Maker at_first = find_self();
  if (at_first.pid == std::to_string(::getpid())) return at_first;
  return find_self();
}

std::optional<Maker> maker_of(std::string_view name) {
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
    if (only_digits(parts[i]) != parts[i]) return std::nullopt;
  }
  return Maker{.boot = parts[0], .pid_namespace = parts[1], .pid = parts[2], .start = parts[3]};
}

std::int64_t boot_seconds() {
  std::ifstream in("/proc/stat");
  std::string word;
  std::int64_t seconds = 0;
  while (in >> word) {
    if (word == "btime" && in >> seconds) return seconds;
  }
  return 0;
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
  bool is_gone(const Maker& maker, int directory, const std::string& name) const {
    struct stat info{};
    if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (!S_ISREG(info.st_mode)) return false;
    if (maker.boot == self_.boot && maker.pid_namespace == self_.pid_namespace) {
      return start_of(maker.pid) != maker.start;
    }
    constexpr std::int64_t kDay = 86'400;
    return info.st_mtim.tv_sec < boot_ || info.st_mtim.tv_sec < now_ - kDay;
  }

  const Maker self_ = self();
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
  const Maker maker = self();
  return std::string(kTemporaryPrefix) + maker.boot + '-' + maker.pid_namespace + '-' + maker.pid +
         '-' + maker.start + '-' + std::to_string(++counter) + std::string(kSuffix);
}

std::uint32_t remove_left_over(int root, std::uint32_t entries_max) {
  Sweep sweep(entries_max);
  // A duplicate would share its position with `root`.
  auto directory = open_beneath(root, ".", O_RDONLY | O_DIRECTORY);
  if (directory.has_value()) sweep.visit(std::move(*directory));
  return sweep.removed();
}

}  // namespace trued::file
