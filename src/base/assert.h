// assert.h: assertions against programmer's errors; on in every build.
//
// A failed assertion calls the hook (default: prints to stderr) and then aborts. A library must not
// end its host's process silently, so an embedder may set a hook that logs first.
#pragma once

#include <string_view>

namespace trued {

/// Called once with the expression and place before the process aborts. Must not return normally
/// with the expectation that the program goes on: abort follows.
using AssertHook = void (*)(std::string_view expression, std::string_view file, int line);

/// Replaces the hook; null restores the default. Any thread; not while another thread asserts.
void set_assert_hook(AssertHook hook);

[[noreturn]] void assert_failed(std::string_view expression, std::string_view file, int line);

}  // namespace trued

#define TRUED_ASSERT(condition)                               \
  do {                                                        \
    if (!(condition)) [[unlikely]] {                          \
      ::trued::assert_failed(#condition, __FILE__, __LINE__); \
    }                                                         \
  } while (false)
