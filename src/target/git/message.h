// message.h: commit messages that carry the operation's identity. Private to this folder.
//
// A trailer is a "Key: value" line in the last paragraph of the message. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/operation.h"

namespace trued::git {

/// The user's message with our trailers after it (joining a trailer paragraph that is there). Lines
/// that would pass for a trailer of ours, or end the message for `git interpret-trailers`, are
/// quoted with "> ", so that no user can claim another's operation. Without a message the first
/// line names the artifacts.
[[nodiscard]] std::string compose_message(const Intent& intent, const OperationId& operation,
                                          AttemptNo attempt);

/// True if some line is exactly our trailer for `operation`.
[[nodiscard]] bool carries(std::string_view message, const OperationId& operation);

}  // namespace trued::git
