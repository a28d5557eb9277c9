#include "config/operations.h"

#include <cmath>
#include <utility>

#include "json/pointer.h"

namespace trued::config {
namespace {

constexpr std::int64_t kExactMax = std::int64_t{1} << 53;

// A TOML value as JSON, with the place of every part of it by its pointer.
class Conversion {
 public:
  Conversion(std::string name, Faults& faults, std::map<std::string, Place>& places)
      : name_(std::move(name)), faults_(faults), places_(places) {}

  json::Value convert(const toml::node& node, const std::string& pointer) {
    const toml::source_position& begin = node.source().begin;
    places_[pointer] = {begin.line, begin.column};
    if (const toml::table* table = node.as_table()) return convert(*table, pointer);
    if (const toml::array* list = node.as_array()) return convert(*list, pointer);
    if (const auto text = node.value_exact<std::string>()) return json::Value(*text);
    if (const auto flag = node.value_exact<bool>()) return json::Value(*flag);
    if (const auto number = node.value_exact<std::int64_t>()) {
      if (*number >= -kExactMax && *number <= kExactMax) return json::Value(*number);
      return refuse(node, pointer, "is beyond 2^53, which JSON cannot carry exactly; use a text");
    }
    if (const auto number = node.value_exact<double>()) return convert(*number, node, pointer);
    return refuse(node, pointer, "a date or time is a text here: put it into quotes");
  }

  bool sound = true;

 private:
  json::Value refuse(const toml::node& node, const std::string& pointer, const std::string& why) {
    faults_.add(node.source(), operation_path(name_, pointer) + ": " + why);
    sound = false;
    return {};
  }

  json::Value convert(double number, const toml::node& node, const std::string& pointer) {
    if (!std::isfinite(number)) return refuse(node, pointer, "is no number that JSON can carry");
    constexpr double kExponentFrom = 1e21;  // below it JSON's canonical form writes an integer
    const double size = std::fabs(number);
    if (size > static_cast<double>(kExactMax) && size < kExponentFrom) {
      return refuse(node, pointer, "is beyond 2^53, which JSON cannot carry exactly; use a text");
    }
    // As in JSON, 1.0 and 1 are one number.
    if (std::trunc(number) == number && size <= static_cast<double>(kExactMax)) {
      return json::Value(static_cast<std::int64_t>(number));
    }
    return json::Value(number);
  }

  json::Value convert(const toml::table& table, const std::string& pointer) {
    json::Value::Object members;
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      members.emplace_back(name, convert(node, json::pointer_below(pointer, name)));
    }
    return json::Value(std::move(members));
  }

  json::Value convert(const toml::array& list, const std::string& pointer) {
    json::Value::Array items;
    for (const toml::node& node : list) {
      items.push_back(convert(node, json::pointer_below(pointer, std::to_string(items.size()))));
    }
    return json::Value(std::move(items));
  }

  std::string name_;
  Faults& faults_;
  std::map<std::string, Place>& places_;
};

}  // namespace

std::string operation_path(const std::string& operation, const std::string& pointer) {
  std::string path = "operation." + operation;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      path += '.';
    } else if (pointer[i] == '~' && i + 1 < pointer.size()) {
      path += pointer[++i] == '0' ? '~' : '/';
    } else {
      path += pointer[i];
    }
  }
  return path;
}

Fault Loaded::fault_of(const std::string& operation, const define::Fault& fault) const {
  Fault at{.file = file, .message = operation_path(operation, fault.pointer) + ": " + fault.detail};
  const auto found = operation_places.find(operation);
  if (found == operation_places.end()) return at;
  // What is not there is missing from what is around it.
  std::string pointer = fault.pointer;
  while (true) {
    const auto place = found->second.find(pointer);
    if (place != found->second.end()) {
      at.line = place->second.line;
      at.column = place->second.column;
      return at;
    }
    const std::size_t slash = pointer.rfind('/');
    if (slash == std::string::npos) return at;
    pointer.resize(slash);
  }
}

void read_operations(const toml::table& tables, Faults& faults, Loaded& loaded) {
  for (const auto& [key, node] : tables) {
    const std::string name(key.str());
    if (!node.is_table()) {
      faults.add(node.source(), "operation." + name + ": expected a table");
      continue;
    }
    Conversion conversion(name, faults, loaded.operation_places[name]);
    const json::Value tree = conversion.convert(node, "");
    if (!conversion.sound) continue;
    define::Faults wrong;
    auto definition = define::parse_definition(name, tree, wrong);
    for (const define::Fault& fault : wrong) {
      loaded.faults.push_back(loaded.fault_of(name, fault));
    }
    if (definition != nullptr) loaded.config.operations.emplace(name, std::move(definition));
  }
}

}  // namespace trued::config
