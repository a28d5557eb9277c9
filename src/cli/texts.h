// texts.h: what may go into a request: valid UTF-8 only. The server takes nothing else, and
// repaired it would name something else than was meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"

namespace trued::cli {

/// One argument that goes into a request: what it is called ("--key") and what was given.
struct GivenText {
  std::string_view what;
  std::string_view text;
};

/// A line for each that is not valid UTF-8, with the bytes in a printable form.
[[nodiscard]] std::vector<std::string> not_utf8(const std::vector<GivenText>& given);

/// complain() about several faults at once, each on a line of its own (one text with --json), and
/// that nothing was done. Returns `code`.
int complain_of_each(const Common& common, int code, const std::vector<std::string>& faults,
                     std::string_view nothing);

}  // namespace trued::cli
