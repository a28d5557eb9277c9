// exit_codes.h: what a command's exit says (sysexits.h where it has a number for it).
#pragma once

#include <string_view>

#include "base/error.h"

namespace trued::cli {

inline constexpr int kOk = 0;           ///< confirmed or unchanged
inline constexpr int kFailed = 1;       ///< known not to have happened, superseded, canceled
inline constexpr int kNeedsAction = 3;  ///< a person decides
inline constexpr int kUsage = 64;
inline constexpr int kBadData = 65;      ///< refused: the input, or the key's conflict
inline constexpr int kUnreachable = 69;  ///< the server, or a ledger in use; nothing was accepted
inline constexpr int kInternal = 70;
inline constexpr int kOutput = 74;    ///< done, and the output could not be written
inline constexpr int kTempFail = 75;  ///< still pending, or not known
inline constexpr int kDenied = 77;
inline constexpr int kConfig = 78;

/// From a receipt's status word. `unverified` counts as 0 only where the caller opted out.
[[nodiscard]] int exit_code_of(std::string_view status);
/// From a failure to start on a ledger and its targets; nothing was accepted.
[[nodiscard]] int exit_code_of_start(const Error& error);
/// From an HTTP status that is no success.
[[nodiscard]] int exit_code_of_http(int status);

}  // namespace trued::cli
