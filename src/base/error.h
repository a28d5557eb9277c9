// error.h: an operating error, and whether the thing asked for may have happened all the same.
//
// Three kinds of wrong stay apart: a programmer's error is an assertion (assert.h), an operating
// error is this, a domain outcome (duplicate, mismatch, …) is a value of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trued {

/// Whether the effect that was asked for took place. `maybe` is an honest answer, never a default
/// to be rounded to `no`.
enum class Happened : std::uint8_t { no, maybe, yes };

enum class ErrorCode : std::uint8_t {
  invalid_argument,
  not_found,
  already_exists,
  permission_denied,
  io,
  unavailable,
  timeout,
  conflict,
  corrupt,
  too_large,
  unsupported,
  cancelled,
  internal,
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  Happened happened = Happened::no;
  bool retryable = false;  ///< an identical call may go differently later
  std::string message;     ///< for people: what was tried, what came of it, what to do
};

/// "no", "maybe", "yes".
[[nodiscard]] std::string_view to_string(Happened happened);
/// "invalid_argument", …
[[nodiscard]] std::string_view to_string(ErrorCode code);

}  // namespace trued
