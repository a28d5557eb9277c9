// Query strings, times and durations, as they come from strangers.
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/time.h"
#include "core/ids.h"
#include "io/http_types.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)trued::io::parse_query(text);
  (void)trued::parse_duration(text);
  (void)trued::parse_operation_id(text);
  if (const auto at = trued::parse_rfc3339(text); at.has_value()) {
    const auto again = trued::parse_rfc3339(trued::format_rfc3339(*at));
    TRUED_ASSERT(again.has_value() && *again == *at);
  }
  if (const auto raw = trued::base64_decode(text)) TRUED_ASSERT(trued::base64_encode(*raw) == text);
  TRUED_ASSERT(trued::utf8_valid(trued::utf8_repaired(text)));
  return 0;
}
