#include "cli/exit_codes.h"

#include <algorithm>
#include <array>

namespace trued::cli {
namespace {

// Scripts tell one end from another by nothing else.
constexpr std::array kCodes{kOk,       kFailed, kNeedsAction, kUsage,  kBadData, kUnreachable,
                            kInternal, kOutput, kTempFail,    kDenied, kConfig};
static_assert(std::ranges::all_of(kCodes, [](int code) {
  return code >= 0 && code < 126 && std::ranges::count(kCodes, code) == 1;
}));

}  // namespace

int exit_code_of(std::string_view status) {
  if (status == "confirmed" || status == "unverified" || status == "undone") return kOk;
  if (status == "needs_action") return kNeedsAction;
  if (status == "pending") return kTempFail;
  return kFailed;
}

int exit_code_of_start(const Error& error) {
  const bool passing =
      error.code == ErrorCode::unavailable || error.code == ErrorCode::already_exists;
  return passing ? kUnreachable : kConfig;
}

int exit_code_of_http(int status) {
  if (status == 401 || status == 403) return kDenied;
  if (status == 412) return kFailed;  // carried out, and refused: the base is not the present one
  if (status == 429 || status >= 500) return kTempFail;
  return kBadData;
}

}  // namespace trued::cli
