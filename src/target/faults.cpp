#include "target/faults.h"

namespace trued {
namespace {

void append(std::string& text, const std::string& place, const std::string& detail) {
  text += (text.empty() ? "" : "; ") + place + (place.empty() ? "" : ": ") + detail;
}

}  // namespace

std::string in_one_line(const std::vector<CallFault>& faults) {
  std::string text;
  for (const CallFault& fault : faults) append(text, fault.pointer, fault.detail);
  return text;
}

std::string in_one_line(const std::vector<SpecFault>& faults) {
  std::string text;
  for (const SpecFault& fault : faults) append(text, fault.setting, fault.detail);
  return text;
}

}  // namespace trued
