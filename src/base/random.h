// random.h: where chance comes from. The core takes numbers, never a source.
#pragma once

#include <cstdint>

namespace trued {

class Random {
 public:
  virtual ~Random() = default;
  /// 64 uniform bits.
  virtual std::uint64_t next() = 0;
};

/// Reproducible: the same seed, the same numbers (SplitMix64, Steele et al., OOPSLA 2014). One
/// thread.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override;

 private:
  std::uint64_t state_;
};

/// The operating system's entropy, drawn in blocks. One thread.
class SystemRandom final : public Random {
 public:
  std::uint64_t next() override;

 private:
  static constexpr int kBlock = 64;
  std::uint64_t block_[kBlock] = {};
  int used_ = kBlock;
};

}  // namespace trued
