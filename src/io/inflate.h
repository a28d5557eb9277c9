// inflate.h: undoes the content codings gzip and deflate, within a bound. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trued::io {

/// The content behind `coding` ("gzip", "x-gzip" or "deflate", in any case). `too_large` beyond
/// `bytes_max`, after no more than that was unpacked; `corrupt` if it cannot be undone or breaks
/// off; `unsupported` for another coding.
[[nodiscard]] Result<std::string> inflate_content(std::string_view coding, std::string_view packed,
                                                  std::size_t bytes_max);

}  // namespace trued::io
