// wait.h: how long a caller is willing to wait for an answer. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/time.h"
#include "io/http_types.h"

namespace trued::api {

inline constexpr Duration kWaitMax{60'000};

struct Wait {
  Duration span{};     ///< whole seconds, at most kWaitMax
  bool asked = false;  ///< by a Prefer header: the answer says what was applied
};

/// "wait=SECONDS" of the Prefer headers (RFC 7240); more than kWaitMax counts as kWaitMax. What is
/// not understood is ignored, as the RFC has it.
[[nodiscard]] Wait preferred_wait(const io::HttpRequest& request);

/// A number of seconds, at most kWaitMax; nothing if `text` is none.
[[nodiscard]] std::optional<Duration> read_seconds(std::string_view text);

/// Adds Preference-Applied if a wait was asked for.
void say_applied(const Wait& wait, io::HttpResponse& response);

}  // namespace trued::api
