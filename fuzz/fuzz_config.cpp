// A configuration is taken or refused with its faults; it never ends the program.
#include <string>

#include "base/assert.h"
#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const trued::config::Rules rules{.serving = [](const trued::ServingSpec&) { return ""; }};
  const trued::config::Loaded loaded = trued::config::parse(text, "trued.toml", rules);
  for (const trued::config::Fault& fault : loaded.faults) {
    TRUED_ASSERT(!trued::config::to_string(fault).empty());
  }
  return 0;
}
