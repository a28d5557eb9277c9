#include "target/git/lock_note.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "base/clock.h"

namespace trued::git {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "trued-moving.";
constexpr std::string_view kAsidePrefix = "trued-stale.";
constexpr std::chrono::nanoseconds kStaleAfter = std::chrono::seconds(1);
constexpr std::chrono::nanoseconds kMoveWaitsAtMost = std::chrono::seconds(5);
constexpr std::int64_t kSecond = 1'000'000'000;

struct Note {
  ProcessMark maker;
  std::string reference;
};

std::optional<Note> read_note(const fs::path& path) {
  Note note;
  std::ifstream file(path);
  if (!(file >> note.maker.boot >> note.maker.pid_namespace >> note.maker.pid >> note.maker.start >>
        note.reference)) {
    return std::nullopt;
  }
  return note;
}

// Of a process that cannot be asked only what it did before this boot is over for certain.
bool is_gone(const ProcessMark& maker, std::int64_t noted_at, std::int64_t locked_at) {
  switch (whereabouts(maker)) {
    case Whereabouts::alive:
      return false;
    case Whereabouts::gone:
      return true;
    case Whereabouts::elsewhere:
      break;
  }
  const std::int64_t boot = boot_seconds() * kSecond;
  return maker.boot != this_process().boot && noted_at < boot && locked_at < boot;
}

// The note of a dead process under which the lock of `reference` was made.
std::optional<fs::path> note_of_lock(const std::string& directory, const std::string& reference,
                                     const FileMark& lock) {
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, failed)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const auto note = read_note(entry.path());
    const auto noted = mark_of(entry.path().string());
    if (!note || !noted || note->reference != reference) continue;
    if (noted->changed_at > lock.changed_at) continue;
    if (lock.changed_at > noted->changed_at + kMoveWaitsAtMost.count()) continue;
    if (is_gone(note->maker, noted->changed_at, lock.changed_at)) return entry.path();
  }
  return std::nullopt;
}

void wait(std::chrono::nanoseconds span) {
  std::mutex mutex;
  std::condition_variable nobody;
  std::unique_lock lock(mutex);
  nobody.wait_for(lock, span, [] { return false; });
}

// Held while a lock is taken aside. Without it two breakers could meet: the second would take the
// lock that the first has taken anew meanwhile.
class BreakersTurn {
 public:
  explicit BreakersTurn(const std::string& directory)
      : fd_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ >= 0) (void)::flock(fd_, LOCK_EX);
  }
  ~BreakersTurn() {
    if (fd_ >= 0) ::close(fd_);
  }
  BreakersTurn(const BreakersTurn&) = delete;
  BreakersTurn& operator=(const BreakersTurn&) = delete;

 private:
  int fd_;
};

std::string lock_of(const std::string& directory, const std::string& reference) {
  return (fs::path(directory) / (reference + ".lock")).string();
}

std::string unique_in(const std::string& directory, std::string_view prefix) {
  static std::atomic<std::uint64_t> count{0};
  const ProcessMark self = this_process();
  return (fs::path(directory) / (std::string(prefix) + self.boot + "." + self.pid_namespace + "." +
                                 self.pid + "." + std::to_string(++count)))
      .string();
}

}  // namespace

LockNote::LockNote(std::string directory, const std::string& reference, const ProcessMark& maker)
    : path_(unique_in(directory, kPrefix)) {
  std::ofstream(path_) << maker.boot << ' ' << maker.pid_namespace << ' ' << maker.pid << ' '
                       << maker.start << ' ' << reference << '\n';
}

LockNote::~LockNote() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

std::optional<FileMark> mark_of(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return FileMark{.device = info.st_dev,
                  .inode = info.st_ino,
                  .changed_at = info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec};
}

bool remove_judged_lock(const std::string& directory, const std::string& reference,
                        const FileMark& judged) {
  const std::string lock = lock_of(directory, reference);
  const BreakersTurn turn(directory);
  if (mark_of(lock) != judged) return false;
  const std::string aside = unique_in(directory, kAsidePrefix);
  if (::rename(lock.c_str(), aside.c_str()) != 0) return false;
  const bool right = mark_of(aside) == judged;
  // Not over a lock that somebody has taken since: link(2) never replaces.
  if (!right) (void)::link(aside.c_str(), lock.c_str());
  ::unlink(aside.c_str());
  return right;
}

bool break_stale_lock(const std::string& directory, const std::string& reference) {
  const std::string lock = lock_of(directory, reference);
  const auto judged = mark_of(lock);
  if (!judged) return false;
  const auto note = note_of_lock(directory, reference, *judged);
  if (!note) return false;
  const auto now = std::chrono::nanoseconds(SystemClock().wall().time_since_epoch()).count();
  const auto age = std::chrono::nanoseconds(now - judged->changed_at);
  // A date before this boot may be another machine's clock: then it is watched from now on.
  const bool dated_here = judged->changed_at >= boot_seconds() * kSecond;
  if (!dated_here || age < kStaleAfter) wait(dated_here ? kStaleAfter - age : kStaleAfter);
  // Whoever lives has let go of theirs by now.
  if (!remove_judged_lock(directory, reference, *judged)) return false;
  std::error_code ignored;
  fs::remove(*note, ignored);
  return true;
}

}  // namespace trued::git
