// checkpointer.h: moves the write-ahead log into the database beside the writer. Private.
//
// A checkpoint writes every changed page and syncs; done by the writer it is a pause of tens of
// milliseconds for everybody who waits for a commit. So a thread with a connection of its own does
// it, again until little is left, and the writer moves that little rest between two commits: then
// nothing in the log is needed and the next commit begins it afresh. What a checkpoint fails to
// move stays in the log and is moved the next time; no commit depends on it.
//
// Threads: after_commit() belongs to the writer's.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "ledger/sqlite/connection.h"

namespace trued::sqlite {

class Checkpointer {
 public:
  /// Hooks itself into the writer's commits. REQUIRES: the writer outlives it.
  [[nodiscard]] static Result<std::unique_ptr<Checkpointer>> start(const std::string& path,
                                                                   Connection& writer);
  /// Waits for a checkpoint under way.
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

 private:
  enum class Phase { idle, asked, moved };

  Checkpointer(std::unique_ptr<Connection> connection, Connection& writer);
  static int after_commit(void* self, sqlite3* writer, const char* database, int frames);
  void run();
  void move();

  std::unique_ptr<Connection> connection_;
  Connection& writer_;
  std::atomic<Phase> phase_{Phase::idle};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  ///< under mutex_
  std::thread thread_;
};

}  // namespace trued::sqlite
