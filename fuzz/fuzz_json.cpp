// Whatever is parsed has one canonical form, which reads back as itself (RFC 8785).
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "json/canonical.h"
#include "json/parse.h"

namespace {

using trued::json::parse;
using trued::json::Value;

// Every member of every object is found by its name.
void find_all(const Value& value) {
  if (value.is_array()) {
    for (const Value& item : value.items()) find_all(item);
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.members()) {
      TRUED_ASSERT(value.find(name) == &member);
      find_all(member);
    }
    TRUED_ASSERT(value.find("\xff") == nullptr);  // no text, so no name
  }
}

// Where integers may come out as what is near them, nothing else is read differently.
void read_near(std::string_view text, const trued::Result<Value>& exact) {
  std::string pointer;
  const auto near = parse(text, {.exact = false}, &pointer);
  TRUED_ASSERT(near.has_value() || !exact.has_value());
  if (!exact.has_value()) return;
  TRUED_ASSERT(pointer.empty());
  TRUED_ASSERT(trued::json::canonical(*near) == trued::json::canonical(*exact));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = parse(text);
  read_near(text, value);
  if (size > 0) TRUED_ASSERT(!parse(text, {.bytes_max = size - 1}).has_value());
  if (!value.has_value()) {
    TRUED_ASSERT(!value.error().message.empty());
    return 0;
  }
  find_all(*value);
  const std::string once = trued::json::canonical(*value);
  const auto again = parse(once);
  TRUED_ASSERT(again.has_value());
  TRUED_ASSERT(trued::json::canonical(*again) == once);
  std::string pretty;
  trued::json::write_pretty(*value, pretty);
  const auto read = parse(pretty);
  TRUED_ASSERT(read.has_value() && trued::json::canonical(*read) == once);
  return 0;
}
