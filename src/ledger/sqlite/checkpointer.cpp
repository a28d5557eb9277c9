#include "ledger/sqlite/checkpointer.h"

#include <utility>

#include "base/assert.h"

namespace trued::sqlite {
namespace {

constexpr int kFramesToMove = 8'000;  // 32 MiB
constexpr int kLittle = 400;          // frames the writer may move itself
constexpr int kPassesMax = 4;         // then the writer moves the rest, however much it is

}  // namespace

Result<std::unique_ptr<Checkpointer>> Checkpointer::start(const std::string& path,
                                                          Connection& writer) {
  TRUED_TRY(auto connection, Connection::open(path, true));
  return std::unique_ptr<Checkpointer>(new Checkpointer(std::move(connection), writer));
}

Checkpointer::Checkpointer(std::unique_ptr<Connection> connection, Connection& writer)
    : connection_(std::move(connection)),
      writer_(writer),
      ask_at_(kFramesToMove),
      thread_([this] { run(); }) {
  sqlite3_wal_hook(writer_.handle(), &Checkpointer::after_commit, this);
}

Checkpointer::~Checkpointer() {
  sqlite3_wal_hook(writer_.handle(), nullptr, nullptr);
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  TRUED_ASSERT(thread_.joinable());
  thread_.join();
}

// Whatever it returns but OK would make the commit look as if it had failed.
int Checkpointer::after_commit(void* self, sqlite3* writer, const char*, int frames) {
  static_cast<Checkpointer*>(self)->on_frames(writer, frames);
  return SQLITE_OK;
}

void Checkpointer::on_frames(sqlite3* writer, int frames) {
  TRUED_ASSERT(writer == writer_.handle());
  switch (phase_.load()) {
    case Phase::asked:
      return;
    case Phase::moved: {
      const int left = frames - moved_.load();
      if (left >= kLittle && passes_ < kPassesMax) return ask();
      if (left > 0) {
        (void)sqlite3_wal_checkpoint_v2(writer, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr,
                                        nullptr);
      }
      break;
    }
    case Phase::failed:
      // A reader, or the disk: there is no hurry.
      ask_at_ = frames + kFramesToMove;
      phase_ = Phase::idle;
      passes_ = 0;
      return;
    case Phase::idle:
      if (frames < kFramesToMove) ask_at_ = kFramesToMove;  // it began afresh
      if (frames >= ask_at_) ask();
      return;
  }
  passes_ = 0;
  ask_at_ = frames + kFramesToMove;
  phase_ = Phase::idle;
}

void Checkpointer::ask() {
  TRUED_ASSERT(phase_.load() != Phase::asked);
  ++passes_;
  TRUED_ASSERT(passes_ <= kPassesMax);
  {
    const std::scoped_lock lock(mutex_);
    phase_ = Phase::asked;
  }
  wake_.notify_one();
}

void Checkpointer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || phase_.load() == Phase::asked; });
    if (stopping_) return;
    lock.unlock();
    phase_ = move();
    lock.lock();
  }
}

Checkpointer::Phase Checkpointer::move() {
  int frames = 0;
  int moved = 0;
  const int code = sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr,
                                             SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
  moved_ = moved;
  return code == SQLITE_OK && moved == frames ? Phase::moved : Phase::failed;
}

}  // namespace trued::sqlite
