// compare.h: turns what was read into an observation, comparing it byte for byte with what was
// meant; the content is dropped afterwards. Pure apart from the time it is given. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "target/target.h"

namespace trued {

/// `read_at` is when the read ended. An excerpt of the first difference is kept (at most 120 bytes,
/// made printable), so that evidence can be understood without the content. What a target says of
/// itself (version, served_by, detail) is made printable and bounded too. An empty file is never
/// called a proper prefix: emptiness is no sign of having been written by us.
///
/// json_subset: what was found counts as that part of it that was meant, in canonical form, so that
/// its id is the meant one if and only if the subset holds; the excerpt names the first member that
/// differs. What is no JSON differs. Where a digest alone is known of what was meant (content is
/// empty, its id is not that of nothing), the digest decides.
[[nodiscard]] Observation observe(const ArtifactIntent& meant, std::uint32_t artifact, Level level,
                                  RawRead read, WallTime read_at);

/// Checks a relative artifact path: 1 to 1,024 bytes of valid UTF-8, '/' separated, no empty, "."
/// or ".." segment, no control character, no backslash, no leading '/'. Empty when fine, else what
/// is wrong with it.
[[nodiscard]] std::string check_relative_path(const std::string& path);

/// True for a path segment that some file system takes for ".git": in any case, with trailing dots
/// or spaces, with a stream name (":…"), as the short name "git~1", or with code points in it that
/// HFS+ ignores.
[[nodiscard]] bool names_git_directory(std::string_view segment);

/// `text` as valid UTF-8 without control characters, which are written as \xNN; cut at `bytes_max`
/// with "…" (which counts).
[[nodiscard]] std::string printable(std::string_view text, std::size_t bytes_max);

}  // namespace trued
