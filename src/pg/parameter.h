// parameter.h: what stands for $1, $2, … of a statement. Pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trued::pg {

/// One value. Its type is the server's to infer; it is written as a text of that type, or as the
/// type's binary form (of the server's *_recv functions), which costs the server less to read.
class Parameter {
 public:
  Parameter(std::nullopt_t) {}                                             // NOLINT: a value
  Parameter(std::string text) : value_(std::move(text)) {}                 // NOLINT: a value
  Parameter(const char* text) : value_(text) {}                            // NOLINT: a value
  Parameter(std::optional<std::string> text) : value_(std::move(text)) {}  // NOLINT: a value
  [[nodiscard]] static Parameter binary(std::string bytes) {
    Parameter made(std::move(bytes));
    made.binary_ = true;
    return made;
  }

  /// No value: NULL.
  [[nodiscard]] const std::optional<std::string>& value() const { return value_; }
  [[nodiscard]] bool is_binary() const { return binary_; }

 private:
  std::optional<std::string> value_;
  bool binary_ = false;
};

using Parameters = std::vector<Parameter>;

}  // namespace trued::pg
