// http_date.h: dates as HTTP writes them (RFC 9110, section 5.6.7). Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "base/time.h"

namespace trued::io {

/// All three forms that a recipient must know: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94
/// 08:49:37 GMT" (of the 50 years before and after `now`) and "Sun Nov  6 08:49:37 1994". The name
/// of the day is not held against its date.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text, WallTime now);

/// How long a Retry-After asks to wait, counted from `now`: seconds, or a date. Never negative and
/// at most `bound`; nothing for what is neither.
[[nodiscard]] std::optional<Duration> parse_retry_after(std::string_view text, WallTime now,
                                                        Duration bound);

}  // namespace trued::io
