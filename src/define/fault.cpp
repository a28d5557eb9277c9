#include "define/fault.h"

#include "base/resembles.h"

namespace trued::define {

std::string suggestion(const std::string& name, const std::vector<std::string>& known) {
  return known.empty() ? "" : "; " + did_you_mean(name, known);
}

}  // namespace trued::define
