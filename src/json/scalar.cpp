#include "json/scalar.h"

#include "json/canonical.h"

namespace trued::json {

std::optional<std::string> scalar_text(const Value& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_number() || value.is_bool()) return canonical(value);
  return std::nullopt;
}

}  // namespace trued::json
