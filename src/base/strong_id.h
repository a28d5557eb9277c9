// strong_id.h: a value that cannot be mistaken for another of the same representation.
//
// No implicit conversion, no arithmetic; comparing ids of different kinds does not compile.
#pragma once

#include <compare>
#include <functional>
#include <utility>

namespace trued {

template <class Tag, class Rep>
class StrongId {
 public:
  using rep = Rep;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(std::move(value)) {}

  [[nodiscard]] constexpr const Rep& value() const { return value_; }

  friend constexpr bool operator==(const StrongId&, const StrongId&) = default;
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;

 private:
  Rep value_{};
};

}  // namespace trued

template <class Tag, class Rep>
struct std::hash<trued::StrongId<Tag, Rep>> {
  std::size_t operator()(const trued::StrongId<Tag, Rep>& id) const {
    return std::hash<Rep>{}(id.value());
  }
};
