// Query strings, times, durations and encodings, as they come from strangers.
#include <string>
#include <string_view>

#include "api/consistency.h"
#include "base/assert.h"
#include "base/encoding.h"
#include "base/time.h"
#include "core/ids.h"
#include "io/http_types.h"

namespace {

using namespace trued;  // NOLINT: this file is nothing but their caller

// Read as a whole, or refused with the parameter at fault.
void read_query(std::string_view text) {
  const auto fault = io::find_query_fault(text);
  const auto parameters = io::parse_query(text);
  if (fault) return;
  for (const auto& [name, value] : parameters) TRUED_ASSERT(utf8_valid(name) && utf8_valid(value));
}

// What is written in any encoding is read back as it was.
void there_and_back(std::string_view text) {
  TRUED_ASSERT(base64_decode(base64_encode(text)) == text);
  TRUED_ASSERT(hex_decode(hex_encode(text)) == text);
  std::string decoded;
  TRUED_ASSERT(io::percent_decode(percent_encoded(text, "/"), false, decoded) && decoded == text);
}

void read_times(std::string_view text) {
  if (const auto at = parse_rfc3339(text); at.has_value()) {
    const auto again = parse_rfc3339(format_rfc3339(*at));
    TRUED_ASSERT(again.has_value() && *again == *at);
  }
  if (const auto span = parse_duration(text); span.has_value()) {
    const auto again = parse_duration(format_duration(*span));
    TRUED_ASSERT(again.has_value() && *again == *span);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read_query(text);
  read_times(text);
  there_and_back(text);
  if (const auto id = parse_operation_id(text)) TRUED_ASSERT(to_string(*id) == text);
  if (const auto seen = api::parse_session_token(text)) {
    TRUED_ASSERT(api::parse_session_token(api::session_token(*seen)) == seen);
  }
  if (const auto raw = base64_decode(text)) TRUED_ASSERT(base64_encode(*raw) == text);
  if (const auto raw = hex_decode(text)) TRUED_ASSERT(hex_encode(*raw).size() == text.size());
  const std::string repaired = utf8_repaired(text);
  TRUED_ASSERT(utf8_valid(repaired) && utf8_valid(text) == (repaired == text));
  return 0;
}
