// resembles.h: what an unknown name was probably meant to be. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace trued {

/// The known name closest to `name`, if it is close enough to be meant.
[[nodiscard]] std::optional<std::string> resembles(const std::string& name,
                                                   const std::vector<std::string>& known);

/// For a message about an unknown name: "did you mean 'method'?", or else "known here: a, b".
[[nodiscard]] std::string did_you_mean(const std::string& name,
                                       const std::vector<std::string>& known);

}  // namespace trued
