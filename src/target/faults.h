// faults.h: what is wrong with calls and specifications, in one line for people.
#pragma once

#include <string>
#include <vector>

#include "target/call.h"
#include "target/spec.h"

namespace trued {

/// "/headers/A: is there twice; …"
[[nodiscard]] std::string in_one_line(const std::vector<CallFault>& faults);
/// "base_url: is missing; …"
[[nodiscard]] std::string in_one_line(const std::vector<SpecFault>& faults);

}  // namespace trued
