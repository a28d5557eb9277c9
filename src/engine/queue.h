// queue.h: a queue by priority in which nobody is forgotten.
//
// Higher priority first, and within one the order of arrival; but every eighth turn is of whoever
// has waited longest, so that work of low priority goes on beside any amount of the other. One
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "base/assert.h"
#include "core/operation.h"

namespace trued {

template <class T>
class Queue {
 public:
  /// `place` grows from call to call.
  void push(Priority priority, std::uint64_t place, T value) {
    const bool placed = waiting_.emplace(std::pair(priority, place), std::move(value)).second;
    TRUED_ASSERT(placed);
  }
  [[nodiscard]] bool empty() const { return waiting_.empty(); }

  /// Whose turn it is, with its place. REQUIRES: !empty().
  [[nodiscard]] std::pair<const T&, std::uint64_t> front() const {
    const auto next = whose_turn();
    return {next->second, next->first.second};
  }
  /// Takes the one that front() shows. REQUIRES: !empty().
  T pop() {
    const auto next = whose_turn();
    T value = std::move(waiting_.extract(next).mapped());
    ++turns_;
    return value;
  }

 private:
  static constexpr std::uint64_t kOldestEvery = 8;
  using Waiting = std::map<std::pair<Priority, std::uint64_t>, T>;

  [[nodiscard]] typename Waiting::const_iterator whose_turn() const {
    TRUED_ASSERT(!waiting_.empty());
    auto next = waiting_.begin();
    if (turns_ % kOldestEvery != kOldestEvery - 1) return next;
    for (const Priority priority : {Priority::critical, Priority::normal, Priority::low}) {
      const auto first = waiting_.lower_bound({priority, 0});
      const bool there = first != waiting_.end() && first->first.first == priority;
      if (there && first->first.second < next->first.second) next = first;
    }
    return next;
  }

  Waiting waiting_;
  std::uint64_t turns_ = 0;
};

}  // namespace trued
