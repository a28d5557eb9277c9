// checkpointer.h: moves the write-ahead log into the database beside the writer. Private.
//
// A checkpoint writes every changed page and syncs; done by the writer it is a pause of tens of
// milliseconds for everybody who waits for a commit. So a thread with a connection of its own does
// it, again while much came in meanwhile, and the writer moves the little rest between two commits:
// then nothing in the log is needed and the next commit begins it afresh. What a checkpoint fails
// to move stays in the log and is moved the next time, after a pause; no commit depends on it.
//
// A checkpoint never begins on a log that is moved already: together with a commit that begins the
// log afresh, that is where SQLite up to 3.51.2 can lose the new beginning. For the same reason no
// other program may checkpoint a ledger that is in use.
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
  /// What the writer's thread and the other tell each other.
  enum class Phase { idle, asked, moved, failed };

  Checkpointer(std::unique_ptr<Connection> connection, Connection& writer);
  static int after_commit(void* self, sqlite3* writer, const char* database, int frames);
  void run();
  void on_frames(sqlite3* writer, int frames);
  void ask();
  Phase move();

  std::unique_ptr<Connection> connection_;
  Connection& writer_;
  std::atomic<Phase> phase_{Phase::idle};
  std::atomic<int> moved_{0};  ///< frames that are in the database, as of the last pass
  int passes_ = 0;             ///< over one log; the writer's
  int ask_at_;                 ///< frames; the writer's
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  ///< under mutex_
  std::thread thread_;
};

}  // namespace trued::sqlite
