// nesting.h: artifacts of one operation whose paths lie one below the other. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/evidence.h"

namespace trued {

/// Two artifacts that cannot both exist: the path of one goes through the other.
struct Clash {
  std::size_t file = 0;   ///< index of the one that would have to be a directory
  std::size_t below = 0;  ///< index of the one below it
};

/// The first clash in the order of the list, or nothing.
[[nodiscard]] std::optional<Clash> find_clash(const Intent& intent);

/// The same in words: "'a' cannot be a file and hold 'a/b'"; empty when there is none.
[[nodiscard]] std::string describe(const Intent& intent, const Clash& clash);

/// For each artifact: is it to be absent while something below its path is to exist? Then the file
/// makes room for a directory, and a directory that stands there is the absence that was meant.
[[nodiscard]] std::vector<bool> giving_way(const Intent& intent);

}  // namespace trued
