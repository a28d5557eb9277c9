#include "ledger/sqlite/checkpointer.h"

#include <utility>

namespace trued::sqlite {
namespace {

constexpr int kFramesToMove = 8'000;  // 32 MiB
constexpr int kLittle = 400;          // frames the writer may move itself
constexpr int kPassesMax = 4;

}  // namespace

Result<std::unique_ptr<Checkpointer>> Checkpointer::start(const std::string& path,
                                                          Connection& writer) {
  TRUED_TRY(auto connection, Connection::open(path, true));
  return std::unique_ptr<Checkpointer>(new Checkpointer(std::move(connection), writer));
}

Checkpointer::Checkpointer(std::unique_ptr<Connection> connection, Connection& writer)
    : connection_(std::move(connection)), writer_(writer), thread_([this] { run(); }) {
  sqlite3_wal_hook(writer_.handle(), &Checkpointer::after_commit, this);
}

Checkpointer::~Checkpointer() {
  sqlite3_wal_hook(writer_.handle(), nullptr, nullptr);
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

// Whatever it returns but OK would make the commit look as if it had failed.
int Checkpointer::after_commit(void* self, sqlite3* writer, const char*, int frames) {
  auto& own = *static_cast<Checkpointer*>(self);
  switch (own.phase_.load()) {
    case Phase::asked:
      break;
    case Phase::moved:
      (void)sqlite3_wal_checkpoint_v2(writer, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
      own.phase_ = Phase::idle;
      break;
    case Phase::idle:
      if (frames < kFramesToMove) break;
      {
        const std::scoped_lock lock(own.mutex_);
        own.phase_ = Phase::asked;
      }
      own.wake_.notify_one();
  }
  return SQLITE_OK;
}

void Checkpointer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || phase_.load() == Phase::asked; });
    if (stopping_) return;
    lock.unlock();
    move();
    phase_ = Phase::moved;
    lock.lock();
  }
}

void Checkpointer::move() {
  for (int pass = 0; pass < kPassesMax; ++pass) {
    int frames = 0;
    int moved = 0;
    const int code = sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr,
                                               SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
    if (code != SQLITE_OK || frames - moved < kLittle) return;
  }
}

}  // namespace trued::sqlite
