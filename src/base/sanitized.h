// sanitized.h: whether a sanitizer watches this program. For tests that take away from it what a
// sanitizer itself needs.
#pragma once

namespace trued {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace trued
