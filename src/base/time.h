// time.h: time values and their spelling. Wall time and durations are in milliseconds.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trued {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
using Duration = std::chrono::milliseconds;

/// RFC 3339 in UTC with milliseconds: "2026-11-21T04:15:06.123Z".
[[nodiscard]] std::string format_rfc3339(WallTime time);
/// RFC 3339 with any fraction (cut to milliseconds) and any offset; `invalid_argument` otherwise.
[[nodiscard]] Result<WallTime> parse_rfc3339(std::string_view text);

/// A whole number and a unit of ms, s, m, h or d: "250ms", "24h". `invalid_argument` otherwise, and
/// for what does not fit.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
/// The shortest spelling that parse_duration() reads back: "1500ms", "2s".
[[nodiscard]] std::string format_duration(Duration duration);

}  // namespace trued
