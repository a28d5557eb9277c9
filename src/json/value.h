// value.h: a JSON document as a tree.
//
// Members of an object are kept in the order of RFC 8785 (by UTF-16 code units of their names), so
// that writing the canonical form is a walk. Numbers are exact: an integer of at most 2^53 in
// magnitude, or a double. Values are moved, not copied, wherever that is possible.
//
// Threads: as a plain value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace trued::json {

/// RFC 8785 order: by UTF-16 code units. REQUIRES: both are valid UTF-8.
[[nodiscard]] bool name_less(std::string_view a, std::string_view b);

class Value {
 public:
  using Array = std::vector<Value>;
  using Object = std::vector<std::pair<std::string, Value>>;  ///< sorted by name_less, unique

  Value() = default;  ///< null
  explicit Value(bool value) : data_(value) {}
  explicit Value(std::int64_t value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(std::string value) : data_(std::move(value)) {}
  explicit Value(const char* value) : data_(std::string(value)) {}
  explicit Value(Array value) : data_(std::move(value)) {}
  /// Sorts the members. REQUIRES: names are distinct.
  explicit Value(Object members);

  [[nodiscard]] bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  [[nodiscard]] bool is_bool() const { return std::holds_alternative<bool>(data_); }
  [[nodiscard]] bool is_int() const { return std::holds_alternative<std::int64_t>(data_); }
  [[nodiscard]] bool is_double() const { return std::holds_alternative<double>(data_); }
  [[nodiscard]] bool is_number() const { return is_int() || is_double(); }
  [[nodiscard]] bool is_string() const { return std::holds_alternative<std::string>(data_); }
  [[nodiscard]] bool is_array() const { return std::holds_alternative<Array>(data_); }
  [[nodiscard]] bool is_object() const { return std::holds_alternative<Object>(data_); }

  // The content as the type it is; asking for another type is a programmer's error.
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] std::int64_t as_int() const;
  [[nodiscard]] double as_double() const;  ///< also of an integer
  [[nodiscard]] const std::string& as_string() const;
  [[nodiscard]] std::string take_string() &&;
  [[nodiscard]] const Array& items() const;
  [[nodiscard]] Array& items();
  [[nodiscard]] const Object& members() const;
  [[nodiscard]] Object& members();

  /// The member of that name; null for none, and for a value that is no object.
  [[nodiscard]] const Value* find(std::string_view name) const;
  [[nodiscard]] Value* find(std::string_view name);

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> data_;
};

}  // namespace trued::json
