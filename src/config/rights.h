// rights.h: what the bearer of a token may do, and for which tenants. Plain values.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trued::config {

enum class Action : std::uint8_t {
  submit,   ///< new operations, singly or in batches; answered with their receipts
  read,     ///< receipts, lists, events
  resolve,  ///< a person's part: resolve, retry, cancel
  apply,    ///< definitions: what operations are
  work,     ///< leases: what workers are handed, and what they say of it
};

inline constexpr std::array<std::string_view, 5> kActionNames{"submit", "read", "resolve", "apply",
                                                              "work"};

struct Rights {
  std::array<bool, kActionNames.size()> actions{true, true, true, true, true};
  std::vector<std::string> scopes;  ///< tenants; empty for every one

  [[nodiscard]] bool may(Action action) const { return actions.at(static_cast<size_t>(action)); }
  [[nodiscard]] bool everywhere() const { return scopes.empty(); }
  [[nodiscard]] bool covers(const std::string& scope) const {
    return everywhere() || std::ranges::find(scopes, scope) != scopes.end();
  }
};

inline const Rights kAllRights;

}  // namespace trued::config
