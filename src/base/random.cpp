#include "base/random.h"

#include <sys/random.h>

#include "base/assert.h"

namespace trued {

std::uint64_t SeededRandom::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
  return z ^ z >> 31;
}

std::uint64_t SystemRandom::next() {
  static_assert(sizeof block_ == 512);
  if (used_ == kBlock) {
    TRUED_ASSERT(getentropy(block_, 256) == 0);
    TRUED_ASSERT(getentropy(block_ + 32, 256) == 0);
    used_ = 0;
  }
  TRUED_ASSERT(used_ >= 0 && used_ < kBlock);
  return block_[used_++];
}

}  // namespace trued
