// schema_node.h: a compiled schema. Private to src/define.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <re2/re2.h>

#include "define/schema.h"

namespace trued::define {

/// A set of JSON types; 0 stands for any.
using Types = std::uint8_t;
inline constexpr Types kNull = 1;
inline constexpr Types kBoolean = 2;
inline constexpr Types kInteger = 4;
inline constexpr Types kNumber = 8;
inline constexpr Types kString = 16;
inline constexpr Types kArray = 32;
inline constexpr Types kObject = 64;

struct TypeName {
  std::string_view name;
  Types type;
  std::string_view words;  ///< "a text"
};
inline constexpr std::array<TypeName, 7> kTypeNames{
    TypeName{.name = "null", .type = kNull, .words = "null"},
    TypeName{.name = "boolean", .type = kBoolean, .words = "true or false"},
    TypeName{.name = "integer", .type = kInteger, .words = "a whole number"},
    TypeName{.name = "number", .type = kNumber, .words = "a number"},
    TypeName{.name = "string", .type = kString, .words = "a text"},
    TypeName{.name = "array", .type = kArray, .words = "an array"},
    TypeName{.name = "object", .type = kObject, .words = "an object"}};

struct Schema::Node {
  Types types = 0;
  std::vector<json::Value> enumerated;  ///< enum or const; empty for none
  std::vector<std::pair<std::string, std::shared_ptr<const Node>>> properties;
  std::vector<std::string> required;
  std::optional<bool> others;         ///< additionalProperties, as far as it was given
  std::shared_ptr<const Node> other;  ///< what others must look like; null for anything
  std::shared_ptr<const Node> items;  ///< null for anything
  std::optional<std::int64_t> members_min, members_max;
  std::optional<std::int64_t> items_min, items_max;
  std::optional<std::int64_t> length_min, length_max;
  std::shared_ptr<const re2::RE2> pattern;
  std::optional<json::Value> minimum, maximum, above, below;

  [[nodiscard]] bool may_be(Types type) const { return types == 0 || (types & type) != 0; }
  [[nodiscard]] const Node* property(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> property_names() const;
  [[nodiscard]] bool requires_member(const std::string& name) const;
};

}  // namespace trued::define
