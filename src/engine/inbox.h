// inbox.h: the one door between other threads and the engine's.
//
// Messages are taken in the order in which they came. Outlives the engine while work that reports
// to it is still running.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "engine/submission.h"

namespace trued {

struct SubmitMessage {
  Submission submission;
  Duration wait{};
  Reply reply;
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
/// A report, a timer or a turn at the artifacts: what moves an operation without a caller.
struct MoveMessage {
  OperationId id;
  Input input;
  bool ends_job = false;     ///< a report of work that was handed out
  bool ends_effect = false;  ///< that work was an effect: nothing of it can land any more
};
using Message = std::variant<SubmitMessage, PersonMessage, WaitMessage, MoveMessage>;

class Inbox {
 public:
  void push(Message message) {
    // Woken under the lock: once on_input() has returned, the one before is not called any more.
    const std::scoped_lock lock(mutex_);
    messages_.push_back(std::move(message));
    if (messages_.size() == 1 && wake_) wake_();
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
};

}  // namespace trued
