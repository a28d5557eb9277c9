// care.h: who looks after what went wrong at a target, and until when. Plain values.
//
// Looked up when somebody asks, never pinned: a new owner owns what is there already.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/time.h"

namespace trued::config {

struct Care {
  std::string owner = "operators";         ///< whom its worklist is for: a person, a team, a rota
  Duration decide_within{24 * 3'600'000};  ///< from when an operation began to wait for a person
  std::uint32_t poison_after = 3;          ///< same ends in a row that make an operation poison
};

/// By target; one that is not there has the defaults.
using Cares = std::map<std::string, Care, std::less<>>;

inline const Care kCare;

[[nodiscard]] inline const Care& care_of(const Cares& cares, std::string_view target) {
  const auto found = cares.find(target);
  return found == cares.end() ? kCare : found->second;
}

}  // namespace trued::config
