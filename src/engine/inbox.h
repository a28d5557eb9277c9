// inbox.h: the one door between other threads and the engine's.
//
// Messages are taken in the order in which they came. Outlives the engine while work that reports
// to it is still running.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "engine/lease.h"
#include "engine/submission.h"
#include "target/target.h"

namespace trued {

struct SubmitMessage {
  Submission submission;
  Duration wait{};
  Reply reply;
  /// An open operation waits for it: it is not refused for there being too many of those.
  bool awaited = false;
};
struct PersonMessage {
  OperationId id;
  PersonInput input;
  Reply reply;
};
struct WaitMessage {
  OperationId id;
  Duration wait{};
  Reply reply;
};
/// Somebody asks for work.
struct LeaseMessage {
  LeaseAsk ask;
  Duration wait{};
  LeaseReply reply;
};
/// A worker says that it is at work (Heartbeat), or what came of it (AttemptReport).
struct WorkMessage {
  OperationId id;
  Input said;
  WorkReply reply;
};
/// Which handed-out job has ended (see jobs.h).
struct JobEnd {
  const Target* target = nullptr;
  bool effect = false;
  std::uint64_t number = 0;
};
/// A report, a timer or a turn at the artifacts: what moves an operation without a caller.
struct MoveMessage {
  OperationId id;
  std::optional<Input> input;  ///< nothing: the job was called back before it began
  std::optional<JobEnd> end = {};
};
using Message =
    std::variant<SubmitMessage, PersonMessage, WaitMessage, MoveMessage, LeaseMessage, WorkMessage>;

class Inbox {
 public:
  /// False once it is closed: the message stays with the caller.
  bool push(Message&& message) {
    // Woken under the lock: once on_input() has returned, the one before is not called any more.
    const std::scoped_lock lock(mutex_);
    if (closed_) return false;
    messages_.push_back(std::move(message));
    if (messages_.size() == 1 && wake_) wake_();
    return true;
  }

  /// Takes nothing more; hands out what is left.
  [[nodiscard]] std::vector<Message> close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    return std::exchange(messages_, {});
  }

  /// Moves at most `limit` messages to the end of `out`.
  void take(std::vector<Message>& out, std::size_t limit) {
    const std::scoped_lock lock(mutex_);
    if (messages_.size() <= limit && out.empty()) {
      out.swap(messages_);
      return;
    }
    const std::size_t count = std::min(limit, messages_.size());
    const auto end = messages_.begin() + static_cast<std::ptrdiff_t>(count);
    out.insert(out.end(), std::make_move_iterator(messages_.begin()), std::make_move_iterator(end));
    messages_.erase(messages_.begin(), end);
  }

  [[nodiscard]] bool empty() const {
    const std::scoped_lock lock(mutex_);
    return messages_.empty();
  }

  void on_input(std::function<void()> wake) {
    const std::scoped_lock lock(mutex_);
    wake_ = std::move(wake);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Message> messages_;
  std::function<void()> wake_;
  bool closed_ = false;
};

}  // namespace trued
