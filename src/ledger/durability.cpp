#include "ledger/durability.h"

#include <algorithm>
#include <array>
#include <utility>

namespace trued {
namespace {

constexpr std::array<std::string_view, kDurabilityLevels> kWords = {"unknown", "memory",  "none",
                                                                    "fsync",   "standby", "quorum"};

}  // namespace

std::string_view to_string(DurabilityLevel level) { return kWords.at(std::to_underlying(level)); }

std::optional<DurabilityLevel> durability_level(std::string_view word) {
  const auto* const found = std::ranges::find(kWords, word);
  if (found == kWords.end()) return std::nullopt;
  return static_cast<DurabilityLevel>(found - kWords.begin());
}

Durability fixed_durability(std::string_view word) {
  Durability out;
  out.level = durability_level(word).value_or(DurabilityLevel::unknown);
  if (out.level == DurabilityLevel::memory) {
    out.sentence = "it is in the memory of this process alone, and ends with it";
  } else if (out.level == DurabilityLevel::fsync) {
    out.sentence = "a commit waits for this machine's disk and for no other machine";
  } else {
    out.sentence = "the ledger says no more of it";
  }
  return out;
}

}  // namespace trued
