#include "cli/exit_codes.h"

namespace trued::cli {

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
