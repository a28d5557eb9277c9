#include "json/pointer.h"

namespace trued::json {

void append_step(std::string& pointer, std::string_view name) {
  pointer += '/';
  for (const char c : name) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
}

std::string pointer_below(std::string_view pointer, std::string_view name) {
  std::string below(pointer);
  append_step(below, name);
  return below;
}

}  // namespace trued::json
