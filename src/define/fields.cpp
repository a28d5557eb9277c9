#include "define/fields.h"

#include <algorithm>

#include "json/canonical.h"
#include "json/pointer.h"
#include "target/compare.h"

namespace trued::define {
namespace {

std::string seen(const json::Value& value) {
  constexpr std::size_t kSeenMax = 60;
  return ", seen " + printable(json::canonical(value), kSeenMax);
}

}  // namespace

Fields::Fields(const json::Value& value, std::string pointer, Faults& faults)
    : pointer_(std::move(pointer)), faults_(faults) {
  if (value.is_object()) {
    object_ = &value;
  } else {
    faults_.push_back({pointer_, "expected a table" + seen(value)});
  }
}

const json::Value* Fields::get(std::string_view name) {
  known_.emplace_back(name);
  return object_ == nullptr ? nullptr : object_->find(name);
}

void Fields::text(std::string_view name, std::string& out) {
  const json::Value* value = get(name);
  if (value == nullptr) return;
  if (!value->is_string()) return fault(name, "expected a text" + seen(*value));
  out = value->as_string();
}

void Fields::flag(std::string_view name, std::optional<bool>& out) {
  const json::Value* value = get(name);
  if (value == nullptr) return;
  if (!value->is_bool()) return fault(name, "expected true or false" + seen(*value));
  out = value->as_bool();
}

void Fields::duration(std::string_view name, std::optional<Duration>& out) {
  const json::Value* value = get(name);
  if (value == nullptr) return;
  const auto parsed = parse_duration(value->is_string() ? value->as_string() : "");
  if (!parsed.has_value() || parsed->count() <= 0) {
    return fault(name, "expected a duration such as \"250ms\" or \"24h\"" + seen(*value));
  }
  out = *parsed;
}

void Fields::number(std::string_view name, std::optional<std::uint32_t>& out, std::uint32_t min,
                    std::uint32_t max) {
  const json::Value* value = get(name);
  if (value == nullptr) return;
  if (!value->is_int() || value->as_int() < min || value->as_int() > max) {
    return fault(name, "expected a whole number from " + std::to_string(min) + " to " +
                           std::to_string(max) + seen(*value));
  }
  out = static_cast<std::uint32_t>(value->as_int());
}

void Fields::choice(std::string_view name, const std::vector<std::string>& known,
                    std::optional<std::size_t>& out) {
  const json::Value* value = get(name);
  if (value == nullptr) return;
  const auto found =
      value->is_string() ? std::ranges::find(known, value->as_string()) : known.end();
  if (found == known.end()) {
    std::string list;
    for (const std::string& each : known) list += (list.empty() ? "\"" : ", \"") + each + "\"";
    return fault(name, "expected one of " + list + seen(*value));
  }
  out = static_cast<std::size_t>(found - known.begin());
}

void Fields::done() {
  if (object_ == nullptr) return;
  for (const auto& [name, value] : object_->members()) {
    if (std::ranges::find(known_, name) != known_.end()) continue;
    fault(name, "unknown key '" + name + "'" + suggestion(name, known_));
  }
}

void Fields::fault(std::string_view name, std::string detail) {
  faults_.push_back({below(name), std::move(detail)});
}

std::string Fields::below(std::string_view name) const {
  return json::pointer_below(pointer_, name);
}

}  // namespace trued::define
