// query.h: whether an operation fits a list query. Pure.
#pragma once

#include "ledger/ledger.h"

namespace trued {

[[nodiscard]] bool matches(const ListQuery& query, const Operation& operation);

}  // namespace trued
