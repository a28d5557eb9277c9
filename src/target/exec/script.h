// script.h: which arguments of a command are a script that a shell, interpreter or filter executes.
//
// A list of what is known, not a proof: a program that it does not know may execute what it is
// given all the same. Where the rules of two of them differ, the stricter one holds. Pure.
#pragma once

#include <cstddef>

#include "json/value.h"

namespace trued {

/// Whether argument `index` of `argv`, which holds a "${…}", may come to be a script, a part of
/// one, or an option that makes one of the next. REQUIRES: 0 < index < argv.size().
[[nodiscard]] bool may_be_script(const json::Value::Array& argv, std::size_t index);

}  // namespace trued
