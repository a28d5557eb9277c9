// places.h: targets that would get in each other's way, or in the way of the ledger.
//
// Operations on one artifact take turns by target and name. Two targets that lead to one place, or
// to one inside the other, would each keep an order of their own there.
#pragma once

#include <vector>

#include "config/rules.h"

namespace trued::config {

/// Adds what is wrong with the places of `config`. Looks at the file system, for symbolic links
/// and for what a repository's directory is; changes nothing there.
void check_places(const Config& config, const Rules& rules, std::vector<Wrong>& out);

}  // namespace trued::config
