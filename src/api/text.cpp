#include "api/text.h"

#include "base/encoding.h"

namespace trued::api {

std::string shown(std::string_view text) {
  constexpr std::size_t kBytesMax = 100;
  std::string out;
  for (const char c : text.substr(0, kBytesMax)) {
    if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      out += "\\x" + hex_encode({&c, 1});
    }
  }
  if (text.size() > kBytesMax) out += "...";
  return out;
}

}  // namespace trued::api
