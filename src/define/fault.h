// fault.h: what is wrong with a definition, or with an input, and where. Plain values.
#pragma once

#include <string>
#include <vector>

namespace trued::define {

/// `pointer` is a JSON pointer (RFC 6901) into the document at fault; "" is the whole of it.
struct Fault {
  std::string pointer;
  std::string detail;  ///< for people: what was expected, what was seen, what it resembles

  friend bool operator==(const Fault&, const Fault&) = default;
};

using Faults = std::vector<Fault>;

/// "; did you mean 'amount'?", or the known names, or nothing where there are none.
[[nodiscard]] std::string suggestion(const std::string& name,
                                     const std::vector<std::string>& known);

}  // namespace trued::define
