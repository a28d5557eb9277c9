// names.h: spelling of enums, one table each, used in both directions.
//
// Private to the library. Values must be contiguous from 0 in the order of the table.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "base/assert.h"

namespace trued {

template <class Enum, std::size_t N>
[[nodiscard]] std::string_view name_in(const std::array<std::string_view, N>& names, Enum value) {
  const auto index = static_cast<std::size_t>(std::to_underlying(value));
  TRUED_ASSERT(index < N);
  return names.at(index);
}

template <class Enum, std::size_t N>
[[nodiscard]] std::optional<Enum> value_in(const std::array<std::string_view, N>& names,
                                           std::string_view text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names.at(i) == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace trued
