// compare.h: turns what was read into an observation, comparing it byte for byte with what was
// meant; the content is dropped afterwards. Pure apart from the time it is given.
#pragma once

#include <cstdint>

#include "target/target.h"

namespace trued {

/// `read_at` is when the read ended. An excerpt of the first difference is kept (at most 120 bytes,
/// made printable), so that evidence can be understood without the content.
[[nodiscard]] Observation observe(const ArtifactIntent& meant, std::uint32_t artifact, Level level,
                                  RawRead read, WallTime read_at);

/// Checks a relative artifact path: 1 to 1,024 bytes of valid UTF-8, '/' separated, no empty, "."
/// or ".." segment, no control character, no backslash, no leading '/'. Empty when fine, else what
/// is wrong with it.
[[nodiscard]] std::string check_relative_path(const std::string& path);

}  // namespace trued
