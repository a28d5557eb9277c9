// fields.h: reads members of one object of a definition, with faults collected. Private to
// src/define.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "define/fault.h"
#include "json/value.h"

namespace trued::define {

class Fields {
 public:
  /// What is no object has its fault at once, and no members.
  Fields(const json::Value& value, std::string pointer, Faults& faults);

  /// The member of that name; null for none. Members asked for are known; see done().
  [[nodiscard]] const json::Value* get(std::string_view name);
  void text(std::string_view name, std::string& out);
  void flag(std::string_view name, std::optional<bool>& out);
  /// Longer than nothing.
  void duration(std::string_view name, std::optional<Duration>& out);
  void number(std::string_view name, std::optional<std::uint32_t>& out, std::uint32_t min,
              std::uint32_t max);
  /// One of `known`; its index.
  void choice(std::string_view name, const std::vector<std::string>& known,
              std::optional<std::size_t>& out);

  /// Reports the members nobody asked for.
  void done();
  void fault(std::string_view name, std::string detail);
  [[nodiscard]] std::string below(std::string_view name) const;
  [[nodiscard]] const std::string& pointer() const { return pointer_; }
  [[nodiscard]] bool is_object() const { return object_ != nullptr; }

 private:
  const json::Value* object_ = nullptr;
  std::string pointer_;
  Faults& faults_;
  std::vector<std::string> known_;
};

}  // namespace trued::define
