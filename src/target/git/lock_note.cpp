#include "target/git/lock_note.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <system_error>
#include <unistd.h>

namespace trued::git {
namespace {

namespace fs = std::filesystem;
using FileTime = fs::file_time_type;

constexpr std::string_view kPrefix = "trued-moving.";
constexpr std::chrono::seconds kStaleAfter{1};
constexpr std::chrono::seconds kMoveWaitsAtMost{5};

// The 22nd field of /proc/PID/stat, counted behind the name, which may hold anything.
std::string start_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::stringstream text;
  text << file.rdbuf();
  const std::string stat = text.str();
  std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
  std::string field;
  constexpr int kStartField = 20;
  for (int i = 0; i < kStartField; ++i) fields >> field;
  return field;
}

struct Note {
  std::string pid;
  std::string start;
  std::string reference;
};

std::optional<Note> read_note(const fs::path& path) {
  Note note;
  std::ifstream file(path);
  if (!(file >> note.pid >> note.start >> note.reference)) return std::nullopt;
  return note;
}

bool is_gone(const Note& note) { return start_of(note.pid) != note.start; }

// The note of a dead process under which the lock of `reference` was made.
std::optional<fs::path> note_of_lock(const std::string& directory, const std::string& reference,
                                     FileTime locked_at) {
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, failed)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const auto note = read_note(entry.path());
    if (!note || note->reference != reference || !is_gone(*note)) continue;
    const FileTime noted_at = entry.last_write_time(failed);
    if (failed) continue;
    if (noted_at <= locked_at && locked_at <= noted_at + kMoveWaitsAtMost) return entry.path();
  }
  return std::nullopt;
}

void wait(std::chrono::nanoseconds span) {
  std::mutex mutex;
  std::condition_variable nobody;
  std::unique_lock lock(mutex);
  nobody.wait_for(lock, span, [] { return false; });
}

}  // namespace

LockNote::LockNote(std::string directory, const std::string& reference) {
  static std::atomic<std::uint64_t> count{0};
  const std::string pid = std::to_string(::getpid());
  path_ = std::move(directory);
  path_ += "/" + std::string(kPrefix) + pid + "." + std::to_string(++count);
  std::ofstream(path_) << pid << ' ' << start_of(pid) << ' ' << reference << '\n';
}

LockNote::~LockNote() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

bool break_stale_lock(const std::string& directory, const std::string& reference) {
  const fs::path lock = fs::path(directory) / (reference + ".lock");
  std::error_code failed;
  const FileTime locked_at = fs::last_write_time(lock, failed);
  if (failed) return false;
  const auto note = note_of_lock(directory, reference, locked_at);
  if (!note) return false;
  const auto age = FileTime::clock::now() - locked_at;
  if (age < kStaleAfter) wait(kStaleAfter - age);
  // Still the same lock? Whoever lives has let go of theirs by now.
  if (fs::last_write_time(lock, failed) != locked_at || failed) return false;
  const bool removed = fs::remove(lock, failed);
  fs::remove(*note, failed);
  return removed;
}

}  // namespace trued::git
