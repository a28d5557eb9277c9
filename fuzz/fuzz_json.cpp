// Whatever is parsed has one canonical form, which reads back as itself (RFC 8785).
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "json/canonical.h"
#include "json/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = trued::json::parse(text);
  if (!value.has_value()) {
    TRUED_ASSERT(!value.error().message.empty());
    return 0;
  }
  const std::string once = trued::json::canonical(*value);
  const auto again = trued::json::parse(once);
  TRUED_ASSERT(again.has_value());
  TRUED_ASSERT(trued::json::canonical(*again) == once);
  std::string pretty;
  trued::json::write_pretty(*value, pretty);
  const auto read = trued::json::parse(pretty);
  TRUED_ASSERT(read.has_value() && trued::json::canonical(*read) == once);
  return 0;
}
