// submit.h: from a request body to a submission. Pure apart from the time it is given.
#pragma once

#include <optional>
#include <string>

#include "api/auth.h"
#include "api/problems.h"
#include "define/registry.h"
#include "engine/submission.h"
#include "engine/write_input.h"
#include "json/value.h"
#include "target/target.h"

namespace trued::api {

/// What a header adds to the body.
struct SubmitContext {
  const Targets& targets;
  std::optional<std::string> header_key;    ///< from Idempotency-Key, unquoted
  Caller caller = {};                       ///< whose token it is; its scopes are kept to
  const define::Registry* types = nullptr;  ///< null: only `write`
  WallTime now = {};
};

/// Reads one submission. On failure `problem` says what is wrong; nothing happened. Whether its
/// deadline has passed is not looked at: a repeat is answered also after it.
[[nodiscard]] std::optional<Submission> read_submission(json::Value body,
                                                        const SubmitContext& context,
                                                        Problem& problem);

/// The key of an Idempotency-Key header: bare, or a Structured-Fields string (RFC 8941) as the
/// IETF draft has it. Nothing if it is malformed.
[[nodiscard]] std::optional<std::string> unquote_key(std::string_view header);

}  // namespace trued::api
