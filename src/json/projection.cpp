#include "json/projection.h"

#include <utility>

#include "base/assert.h"
#include "json/canonical.h"
#include "json/pointer.h"

namespace trued::json {
namespace {

// Equal as documents: 1 and 1.0 are one number, whatever they are held as.
bool same_scalar(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return canonical(a) == canonical(b);
  return a == b;
}

std::optional<Difference> walk(const Value& found, const Value& meant, std::string& at) {
  const std::size_t base = at.size();
  if (meant.is_object() && found.is_object()) {
    for (const auto& [name, wanted] : meant.members()) {
      append_step(at, name);
      const Value* there = found.find(name);
      if (there == nullptr) return Difference{.pointer = at, .meant = &wanted, .found = nullptr};
      if (auto difference = walk(*there, wanted, at)) return difference;
      at.resize(base);
    }
    return std::nullopt;
  }
  if (meant.is_array() && found.is_array() && meant.items().size() == found.items().size()) {
    for (std::size_t i = 0; i < meant.items().size(); ++i) {
      append_step(at, std::to_string(i));
      if (auto difference = walk(found.items().at(i), meant.items().at(i), at)) return difference;
      at.resize(base);
    }
    return std::nullopt;
  }
  if (same_scalar(found, meant)) return std::nullopt;
  return Difference{.pointer = at, .meant = &meant, .found = &found};
}

}  // namespace

Value project(Value found, const Value& meant) {
  if (meant.is_object() && found.is_object()) {
    Value::Object kept;
    kept.reserve(meant.members().size());
    for (const auto& [name, wanted] : meant.members()) {
      Value* there = found.find(name);
      if (there != nullptr) kept.emplace_back(name, project(std::move(*there), wanted));
    }
    return Value(std::move(kept));
  }
  if (meant.is_array() && found.is_array() && meant.items().size() == found.items().size()) {
    for (std::size_t i = 0; i < meant.items().size(); ++i) {
      found.items().at(i) = project(std::move(found.items().at(i)), meant.items().at(i));
    }
  }
  return found;
}

std::optional<Difference> first_difference(const Value& found, const Value& meant) {
  std::string at;
  auto difference = walk(found, meant, at);
  TRUED_ASSERT(difference ? difference->pointer == at : at.empty());
  TRUED_ASSERT(!difference || difference->meant != nullptr);
  return difference;
}

}  // namespace trued::json
