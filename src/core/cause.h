// cause.h: why an operation ended without doing what was meant, in one word, and what may be done
// about it by somebody who has not looked at it.
//
// Intuition: what was refused will be refused again, so it is the submitter's to mend. What ended
// because a bound was reached (attempts, the deadline, reads, nobody could tell) may well work once
// the cause is gone: that is a dead letter, and the backlog of whoever runs the target.
//
// All of it is derived from the operation as it stands; nothing of it is stored. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/operation.h"
#include "core/policy.h"

namespace trued {

enum class Cause : std::uint8_t {
  // failed: nothing happened
  rejected,            ///< the target, or what stands before it, refused it for good
  stale,               ///< what it was based on has changed
  attempts_exhausted,  ///< no attempt of those allowed got through
  deadline,            ///< its time was over before an attempt got through
  refuted,             ///< a person said that it did not happen
  // needs_action: the truth is unknown or wrong
  mismatch,         ///< what was read back is not what was meant
  unreadable,       ///< it could not be read back within the bound
  unknown_outcome,  ///< it may or may not have happened, and nothing there can tell
  not_undone,       ///< it happened, and what was to undo it did not
  // canceled
  withdrawn,  ///< a person withdrew it unsent
};
inline constexpr std::size_t kCauses = 10;

// How reasons begin that say which it was.
inline constexpr std::string_view kAskedAndNo = "the target was asked, and it did not happen";
inline constexpr std::string_view kNotUndone = "not undone: ";
inline constexpr std::string_view kWaitsTooLong = "its deadline passes before";

/// Nothing for an operation that is open, or that ended as it should (superseded counts as that).
[[nodiscard]] std::optional<Cause> cause_of(const Operation& operation);

/// Failed or undecided because a bound was reached. What was refused, withdrawn or decided by a
/// person is none.
[[nodiscard]] bool is_dead_letter(const Operation& operation);
[[nodiscard]] bool is_dead_letter(Cause cause);

/// Since when it has been what it is. REQUIRES: is_settled(operation.state).
[[nodiscard]] WallTime ended_at(const Operation& operation);

/// Why nobody should have a dead letter tried again without having looked at it, as a code and a
/// sentence; nothing if a repeat can neither do anything twice nor write over anybody, whatever
/// became of it. `policy` is that of its target.
[[nodiscard]] std::optional<Refusal> why_not_unseen(const Operation& operation,
                                                    const Policy& policy, WallTime now);

/// A choice that a person has now, and what it would do.
struct Choice {
  PersonAction action = PersonAction::retry;
  State then = State::accepted;  ///< the state that the operation would be in at once
  std::string effect;            ///< one sentence for people
};
/// What decide() would not refuse now, in the order of PersonAction.
[[nodiscard]] std::vector<Choice> choices_of(const Operation& operation, const Policy& policy,
                                             WallTime now);

/// How often, one after another up to now, an operation ended for the same cause and, but for the
/// numbers in it, the same reason: that of its last attempt where it failed, else what was seen.
/// Feed it the operation after each of its events, in order.
class Endings {
 public:
  void add(const Operation& operation, const Event& event);
  /// 0 while it has not ended as a dead letter.
  [[nodiscard]] std::uint32_t same() const { return same_; }

 private:
  std::string attempt_reason_;
  std::optional<Cause> cause_;
  std::string reason_;
  std::uint32_t same_ = 0;
};

/// The reason with every run of digits as '#': counts, times and ports differ without meaning it.
[[nodiscard]] std::string without_numbers(std::string_view reason);

[[nodiscard]] std::string_view to_string(Cause cause);
[[nodiscard]] std::optional<Cause> parse_cause(std::string_view text);

}  // namespace trued
