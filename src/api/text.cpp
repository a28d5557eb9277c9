#include "api/text.h"

#include "base/encoding.h"

namespace trued::api {

bool has_control(std::string_view text, Breaks breaks) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    const bool fine = breaks == Breaks::allowed &&
                      (byte == '\n' || byte == '\t' || (byte == '\r' && next == '\n'));
    if (!fine && (byte < 0x20 || byte == 0x7f)) return true;
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) return true;  // U+0080 to U+009F
  }
  return false;
}

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
