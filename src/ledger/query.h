// query.h: whether an operation fits a query, and what its log says as a whole. Pure.
#pragma once

#include "ledger/ledger.h"

namespace trued {

[[nodiscard]] bool matches(const ListQuery& query, const Operation& operation);
[[nodiscard]] bool matches(const DeadLetterQuery& query, const Operation& operation);

/// How often in a row it ended in the same way (core/cause.h), from its whole log. What cannot be
/// its log counts as an end or none.
[[nodiscard]] std::uint32_t same_endings(const std::vector<EventRecord>& log);
/// No log with fewer events can say that it ended `times` times.
[[nodiscard]] std::uint32_t events_of_endings(std::uint32_t times);

}  // namespace trued
