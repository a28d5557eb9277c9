// doubts.h: files whose sync failed once. Private to this folder.
//
// After a failed sync the kernel counts the pages as clean, and the next sync says that all is well
// although nothing was written. So such a file stays unreadable, and is written anew where it would
// have been left alone, until it has been replaced. Kept for the life of the process. Any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <utility>

namespace trued::file {

class Doubts {
 public:
  void add(const std::string& name, const struct stat& file) {
    const std::lock_guard lock(mutex_);
    files_.insert_or_assign(name, std::pair(file.st_dev, file.st_ino));
  }
  /// It was replaced or removed.
  void drop(const std::string& name) {
    const std::lock_guard lock(mutex_);
    files_.erase(name);
  }
  /// False too if another file stands there by now.
  [[nodiscard]] bool has(const std::string& name, const struct stat& file) const {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(name);
    return found != files_.end() && found->second == std::pair(file.st_dev, file.st_ino);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::pair<dev_t, ino_t>> files_;
};

}  // namespace trued::file
