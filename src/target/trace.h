// trace.h: an operation as a trace of W3C Trace Context, so that what it does at its target can be
// found there by what is known here. Pure.
#pragma once

#include <string>

#include "core/ids.h"

namespace trued {

/// `traceparent` (W3C Trace Context, version 00): the trace is the operation's identity at its
/// target (effect_identity()), so that it is the same for all its attempts; the span is the
/// attempt.
[[nodiscard]] std::string traceparent_of(const OperationId& operation, AttemptNo attempt,
                                         const std::string& identity);

}  // namespace trued
