// http_answers.h: what an HTTP status says about whether an effect happened.
//
//   status                          kind                  because
//   2xx                             acknowledged          it said yes
//   307, 308                        rejected, final       it was not done here, but belongs
//   elsewhere 409, at a target that           unknown               our own key is under way there
//     deduplicates our key
//   425, 429                        rejected, retryable   refused before anything was done
//   503 with Retry-After            rejected, retryable   the same, and it says until when
//   408                             unknown               what was read of it may have been done
//   every other 4xx                 rejected, final       it said no
//   500, 502, 504, 503 alone,       unknown               something failed, before or after the
//     every other 5xx                                     effect, or between us and the target
//   everything else                 unknown               it is no answer to what was asked
//
// A definition may know better (`answers`): an exact status goes before its class ("5xx").
// Pure; any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/operation.h"
#include "io/http_types.h"

namespace trued {

/// By "503" or "5xx". The kinds are acknowledged, rejected_retryable, rejected_final and unknown.
using HttpAnswers = std::map<std::string, EffectKind>;

/// "acknowledged", "retryable", "final" or "unknown".
[[nodiscard]] std::optional<EffectKind> parse_answer_kind(std::string_view text);
/// True for "100" to "599", and "1xx" to "5xx".
[[nodiscard]] bool is_answer_status(std::string_view text);

struct HttpSaid {
  int status = 0;
  bool has_retry_after = false;
  bool key_deduplicated = false;  ///< our key was sent to a target that deduplicates
};
[[nodiscard]] EffectKind classify(const HttpSaid& said, const HttpAnswers& answers);
/// True for "too many requests": the target is as it should be, and asked too much of.
[[nodiscard]] bool is_throttled(const HttpSaid& said, EffectKind kind);
/// Who answered, where the answer names them; "cache" if all that it tells is that one did. May be
/// empty.
[[nodiscard]] std::string served_by(const io::HttpResponse& response);
/// Why, for people; empty where the status says it all.
[[nodiscard]] std::string_view explain(const HttpSaid& said, EffectKind kind);

}  // namespace trued
