#include "cli/texts.h"

#include "base/encoding.h"

namespace trued::cli {

std::vector<std::string> not_utf8(const std::vector<GivenText>& given) {
  std::vector<std::string> faults;
  for (const GivenText& each : given) {
    if (utf8_valid(each.text)) continue;
    faults.push_back(std::string(each.what) + " " + shell_quoted(std::string(each.text)) +
                     " is not valid UTF-8");
  }
  return faults;
}

int complain_of_each(const Common& common, int code, const std::vector<std::string>& faults,
                     std::string_view nothing) {
  if (faults.size() > 1 && !common.json) {
    for (const std::string& fault : faults) say("trued: " + plain(fault));
    return complain(common, code, nothing);
  }
  std::string text;
  for (const std::string& fault : faults) text += fault + "; ";
  return complain(common, code, text + std::string(nothing));
}

}  // namespace trued::cli
