#include "base/assert.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace trued {
namespace {

void print_failure(std::string_view expression, std::string_view file, int line) {
  std::fprintf(stderr, "trued: assertion failed: %.*s (%.*s:%d)\n",
               static_cast<int>(expression.size()), expression.data(),
               static_cast<int>(file.size()), file.data(), line);
}

std::atomic<AssertHook> hook{&print_failure};

}  // namespace

void set_assert_hook(AssertHook replacement) {
  hook = replacement == nullptr ? &print_failure : replacement;
}

void assert_failed(std::string_view expression, std::string_view file, int line) {
  hook.load()(expression, file, line);
  std::abort();
}

}  // namespace trued
