#include "define/schema.h"

#include <algorithm>
#include <cmath>

#include "define/schema_node.h"
#include "define/template.h"
#include "json/canonical.h"
#include "json/pointer.h"
#include "target/compare.h"

namespace trued::define {
namespace {

constexpr std::size_t kSeenMax = 60;

Types type_of(const json::Value& value) {
  if (value.is_null()) return kNull;
  if (value.is_bool()) return kBoolean;
  if (value.is_int()) return kInteger | kNumber;
  if (value.is_double()) {
    const bool whole = std::trunc(value.as_double()) == value.as_double();
    return static_cast<Types>(whole ? kInteger | kNumber : kNumber);
  }
  if (value.is_string()) return kString;
  return value.is_array() ? kArray : kObject;
}

std::string words_of(Types types) {
  std::string words;
  for (const TypeName& type : kTypeNames) {
    if ((types & type.type) != 0) words += (words.empty() ? "" : " or ") + std::string(type.words);
  }
  return words;
}

std::string shown(const json::Value& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array of " + std::to_string(value.items().size());
  return printable(json::canonical(value), kSeenMax);
}

std::int64_t code_points(std::string_view text) {
  return std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; });
}

// Integers are compared as such: doubles hold only some of those beyond 2^53, and there are none.
bool less(const json::Value& a, const json::Value& b) { return a.as_double() < b.as_double(); }

class Validator {
 public:
  explicit Validator(std::size_t max) : max_(max) {}

  void check(const Schema::Node& node, const json::Value& value);
  Faults take() { return std::move(faults_); }
  void fault(std::string detail) {
    if (!full()) faults_.push_back({at_, std::move(detail)});
  }

 private:
  [[nodiscard]] bool full() const { return faults_.size() >= max_; }
  void expected(const std::string& what, const json::Value& value) {
    fault("expected " + what + ", seen " + shown(value));
  }
  bool check_enum(const Schema::Node& node, const json::Value& value);
  void check_number(const Schema::Node& node, const json::Value& value);
  void check_text(const Schema::Node& node, const json::Value& value);
  void check_array(const Schema::Node& node, const json::Value& value);
  void check_object(const Schema::Node& node, const json::Value& value);
  void check_member(const Schema::Node& node, const std::string& name, const json::Value& value);
  template <class Check>
  void below(const std::string& name, Check check) {
    const std::size_t base = at_.size();
    json::append_step(at_, name);
    check();
    at_.resize(base);
  }

  std::size_t max_;
  std::string at_;
  Faults faults_;
};

void Validator::check(const Schema::Node& node, const json::Value& value) {
  if (full()) return;
  if (!node.may_be(type_of(value))) return expected(words_of(node.types), value);
  if (!check_enum(node, value)) return;
  if (value.is_number()) check_number(node, value);
  if (value.is_string()) check_text(node, value);
  if (value.is_array()) check_array(node, value);
  if (value.is_object()) check_object(node, value);
}

bool Validator::check_enum(const Schema::Node& node, const json::Value& value) {
  if (node.enumerated.empty()) return true;
  const std::string written = json::canonical(value);
  std::string list;
  for (const json::Value& each : node.enumerated) {
    const std::string one = json::canonical(each);
    if (one == written) return true;
    list += (list.empty() ? "" : ", ") + one;
  }
  constexpr std::size_t kListMax = 300;
  const bool one = node.enumerated.size() == 1;
  expected((one ? "" : "one of ") + printable(list, kListMax), value);
  return false;
}

void Validator::check_number(const Schema::Node& node, const json::Value& value) {
  if (node.minimum && less(value, *node.minimum)) {
    expected("at least " + json::canonical(*node.minimum), value);
  }
  if (node.maximum && less(*node.maximum, value)) {
    expected("at most " + json::canonical(*node.maximum), value);
  }
  if (node.above && !less(*node.above, value)) {
    expected("more than " + json::canonical(*node.above), value);
  }
  if (node.below && !less(value, *node.below)) {
    expected("less than " + json::canonical(*node.below), value);
  }
}

void Validator::check_text(const Schema::Node& node, const json::Value& value) {
  const std::string& text = value.as_string();
  const std::int64_t length = node.length_min || node.length_max ? code_points(text) : 0;
  if (node.length_min && length < *node.length_min) {
    expected("at least " + std::to_string(*node.length_min) + " characters", value);
  }
  if (node.length_max && length > *node.length_max) {
    fault("expected at most " + std::to_string(*node.length_max) + " characters, seen " +
          std::to_string(length));
  }
  if (node.pattern && !re2::RE2::PartialMatch(text, *node.pattern)) {
    expected("a text that matches " + node.pattern->pattern(), value);
  }
}

void Validator::check_array(const Schema::Node& node, const json::Value& value) {
  const auto size = static_cast<std::int64_t>(value.items().size());
  if (node.items_min && size < *node.items_min) {
    expected("at least " + std::to_string(*node.items_min) + " items", value);
  }
  if (node.items_max && size > *node.items_max) {
    expected("at most " + std::to_string(*node.items_max) + " items", value);
  }
  if (!node.items) return;
  for (std::size_t i = 0; i < value.items().size() && !full(); ++i) {
    below(std::to_string(i), [&] { check(*node.items, value.items().at(i)); });
  }
}

void Validator::check_object(const Schema::Node& node, const json::Value& value) {
  const auto size = static_cast<std::int64_t>(value.members().size());
  if (node.members_min && size < *node.members_min) {
    fault("expected at least " + std::to_string(*node.members_min) + " members, seen " +
          std::to_string(size));
  }
  if (node.members_max && size > *node.members_max) {
    fault("expected at most " + std::to_string(*node.members_max) + " members, seen " +
          std::to_string(size));
  }
  for (const std::string& name : node.required) {
    if (value.find(name) != nullptr) continue;
    const Schema::Node* property = node.property(name);
    const bool typed = property != nullptr && property->types != 0;
    below(name,
          [&] { fault("is missing" + (typed ? "; expected " + words_of(property->types) : "")); });
  }
  for (const auto& [name, member] : value.members()) {
    if (full()) return;
    check_member(node, name, member);
  }
}

void Validator::check_member(const Schema::Node& node, const std::string& name,
                             const json::Value& value) {
  below(name, [&] {
    const Schema::Node* property = node.property(name);
    if (property != nullptr) return check(*property, value);
    if (node.other) return check(*node.other, value);
    if (!node.others.value_or(true)) {
      fault("is not known here" + suggestion(name, node.property_names()));
    }
  });
}

// Follows a path through what a schema allows.
class PathWalk {
 public:
  explicit PathWalk(const std::vector<std::string>& steps) : steps_(steps) {}

  SchemaPath walk(const Schema::Node* node) {
    SchemaPath path;
    path.always = true;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (node == nullptr) {
        path.always = false;
        return anything(path);
      }
      if (!node->enumerated.empty()) return among(node->enumerated, i, path);
      const std::string name = i == 0 ? "the input" : "'" + joined(i) + "'";
      if (!step(*node, steps_.at(i), name, path)) return path;
      node = next_;
    }
    if (node == nullptr) return anything(path);
    if (!node->enumerated.empty()) return among(node->enumerated, steps_.size(), path);
    path.textual = node->may_be(kBoolean | kInteger | kNumber | kString);
    return path;
  }

 private:
  static SchemaPath anything(SchemaPath path) {
    path.textual = true;
    return path;
  }

  [[nodiscard]] std::string joined(std::size_t count) const {
    std::string text = "input";
    for (std::size_t i = 0; i < count; ++i) text += '.' + steps_.at(i);
    return text;
  }

  static bool impossible(SchemaPath& path, std::string detail) {
    path = {.possible = false, .always = false, .textual = false, .detail = std::move(detail)};
    return false;
  }

  // Sets next_, null for anything; false if there is no such place.
  bool step(const Schema::Node& node, const std::string& step, const std::string& name,
            SchemaPath& path) {
    const bool index = parse_index(step).has_value();
    if (index && node.types == kArray) return step_into_array(node, step, name, path);
    if (!node.may_be(kObject)) {
      if (node.may_be(kArray) && index) return step_into_array(node, step, name, path);
      return impossible(path, node.types == kArray
                                  ? name + " is an array: the next step is an index from 0"
                                  : name + " is " + words_of(node.types) + " and holds nothing");
    }
    path.always = path.always && node.types == kObject && node.requires_member(step);
    if (const Schema::Node* property = node.property(step)) {
      next_ = property;
      return true;
    }
    next_ = node.other.get();
    if (node.others.value_or(node.properties.empty())) return true;
    return impossible(path, "the schema of " + name + " declares no '" + step + "'" +
                                suggestion(step, node.property_names()));
  }

  bool step_into_array(const Schema::Node& node, const std::string& step, const std::string& name,
                       SchemaPath& path) {
    const auto index = static_cast<std::int64_t>(parse_index(step).value_or(0));
    if (node.items_max && index >= *node.items_max) {
      return impossible(path, name + " has no item " + step);
    }
    path.always = path.always && node.types == kArray && node.items_min.value_or(0) > index;
    next_ = node.items.get();
    return true;
  }

  // Only these values are valid: look into them.
  SchemaPath among(const std::vector<json::Value>& values, std::size_t from, SchemaPath path) {
    const std::vector<std::string> rest(steps_.begin() + static_cast<std::ptrdiff_t>(from),
                                        steps_.end());
    bool some = false;
    path.textual = false;
    for (const json::Value& each : values) {
      const json::Value* value = value_at(each, rest);
      some = some || value != nullptr;
      path.always = path.always && value != nullptr;
      path.textual = path.textual || (value != nullptr && !value->is_null() && !value->is_array() &&
                                      !value->is_object());
    }
    if (!some) impossible(path, "no value that " + joined(from) + " may have holds it");
    return path;
  }

  const std::vector<std::string>& steps_;
  const Schema::Node* next_ = nullptr;
};

}  // namespace

const Schema::Node* Schema::Node::property(std::string_view name) const {
  const auto found =
      std::ranges::find_if(properties, [name](const auto& each) { return each.first == name; });
  return found == properties.end() ? nullptr : found->second.get();
}

std::vector<std::string> Schema::Node::property_names() const {
  std::vector<std::string> names;
  names.reserve(properties.size());
  for (const auto& [name, node] : properties) names.push_back(name);
  return names;
}

bool Schema::Node::requires_member(const std::string& name) const {
  return std::ranges::find(required, name) != required.end();
}

Schema::Schema() = default;
Schema::~Schema() = default;

Faults Schema::validate(const json::Value& value, std::size_t max) const {
  Validator validator(max);
  if (!value.is_object()) {
    validator.fault("expected an object, seen " + shown(value));
  } else if (node_) {
    validator.check(*node_, value);
  }
  return validator.take();
}

SchemaPath Schema::at(const std::vector<std::string>& steps) const {
  SchemaPath path = PathWalk(steps).walk(node_.get());
  if (!node_ && !steps.empty()) path.always = false;
  return path;
}

std::vector<std::string> Schema::required() const {
  return node_ ? node_->required : std::vector<std::string>();
}

}  // namespace trued::define
