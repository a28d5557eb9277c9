#include <algorithm>
#include <span>

#include "define/schema_node.h"
#include "json/canonical.h"
#include "json/pointer.h"

namespace trued::define {

class SchemaCompiler {
 public:
  explicit SchemaCompiler(Faults& faults) : faults_(faults) {}

  std::shared_ptr<const Schema::Node> compile(const json::Value& tree, const std::string& pointer) {
    auto node = std::make_shared<Schema::Node>();
    if (tree.is_bool() && tree.as_bool()) return node;
    if (!tree.is_object()) {
      fault(pointer, "expected a schema: an object such as { type = \"string\" }");
      return node;
    }
    for (const auto& [name, value] : tree.members()) {
      take(*node, name, value, json::pointer_below(pointer, name));
    }
    check(*node, tree, pointer);
    return node;
  }

 private:
  using Take = void (SchemaCompiler::*)(Schema::Node&, std::string_view, const json::Value&,
                                        const std::string&);
  struct Keyword {
    std::string_view name;
    Types of;  ///< the types that it says something of; 0 for any
    Take take;
  };

  static std::span<const Keyword> keywords() {
    using C = SchemaCompiler;
    static constexpr std::array<Keyword, 23> kKeywords{
        Keyword{.name = "type", .of = 0, .take = &C::take_type},
        Keyword{.name = "enum", .of = 0, .take = &C::take_enum},
        Keyword{.name = "const", .of = 0, .take = &C::take_const},
        Keyword{.name = "properties", .of = kObject, .take = &C::take_properties},
        Keyword{.name = "required", .of = kObject, .take = &C::take_required},
        Keyword{.name = "additionalProperties", .of = kObject, .take = &C::take_others},
        Keyword{.name = "minProperties", .of = kObject, .take = &C::take_count},
        Keyword{.name = "maxProperties", .of = kObject, .take = &C::take_count},
        Keyword{.name = "items", .of = kArray, .take = &C::take_items},
        Keyword{.name = "minItems", .of = kArray, .take = &C::take_count},
        Keyword{.name = "maxItems", .of = kArray, .take = &C::take_count},
        Keyword{.name = "minLength", .of = kString, .take = &C::take_count},
        Keyword{.name = "maxLength", .of = kString, .take = &C::take_count},
        Keyword{.name = "pattern", .of = kString, .take = &C::take_pattern},
        Keyword{.name = "minimum", .of = kInteger | kNumber, .take = &C::take_bound},
        Keyword{.name = "maximum", .of = kInteger | kNumber, .take = &C::take_bound},
        Keyword{.name = "exclusiveMinimum", .of = kInteger | kNumber, .take = &C::take_bound},
        Keyword{.name = "exclusiveMaximum", .of = kInteger | kNumber, .take = &C::take_bound},
        Keyword{.name = "title", .of = 0, .take = &C::take_note},
        Keyword{.name = "description", .of = 0, .take = &C::take_note},
        Keyword{.name = "$comment", .of = 0, .take = &C::take_note},
        Keyword{.name = "examples", .of = 0, .take = &C::take_note},
        Keyword{.name = "$schema", .of = 0, .take = &C::take_note}};
    return kKeywords;
  }

  void fault(const std::string& pointer, std::string detail) {
    faults_.push_back({pointer, std::move(detail)});
  }

  void take(Schema::Node& node, const std::string& name, const json::Value& value,
            const std::string& pointer) {
    for (const Keyword& keyword : keywords()) {
      if (keyword.name == name) return (this->*keyword.take)(node, name, value, pointer);
    }
    if (name == "default") {
      return fault(pointer, "defaults are not filled in: an input is taken as it was sent");
    }
    if (name == "format") return fault(pointer, "formats are not checked; give a pattern");
    std::vector<std::string> known;
    for (const Keyword& keyword : keywords()) known.emplace_back(keyword.name);
    fault(pointer, "'" + name + "' is no keyword that is held to" + suggestion(name, known));
  }

  // What only the keywords together can have wrong.
  void check(const Schema::Node& node, const json::Value& tree, const std::string& pointer) {
    for (const Keyword& keyword : keywords()) {
      if (keyword.of == 0 || node.may_be(keyword.of)) continue;
      if (tree.find(keyword.name) == nullptr) continue;
      fault(json::pointer_below(pointer, keyword.name),
            "says nothing of " + json::canonical(*tree.find("type")) + ", which is the type here");
    }
    const bool open = node.others.value_or(node.properties.empty());
    for (std::size_t i = 0; i < node.required.size(); ++i) {
      const std::string& name = node.required.at(i);
      if (open || node.property(name) != nullptr) continue;
      fault(json::pointer_below(json::pointer_below(pointer, "required"), std::to_string(i)),
            "'" + name + "' is not among the properties" + suggestion(name, node.property_names()));
    }
    check_order(node.members_min, node.members_max, pointer, "minProperties");
    check_order(node.items_min, node.items_max, pointer, "minItems");
    check_order(node.length_min, node.length_max, pointer, "minLength");
    if (node.minimum && node.maximum && node.minimum->as_double() > node.maximum->as_double()) {
      fault(json::pointer_below(pointer, "minimum"), "is more than maximum");
    }
  }

  void check_order(const std::optional<std::int64_t>& min, const std::optional<std::int64_t>& max,
                   const std::string& pointer, std::string_view name) {
    if (!min || !max || *min <= *max) return;
    fault(json::pointer_below(pointer, name), "is more than the most that is allowed");
  }

  void take_note(Schema::Node&, std::string_view, const json::Value&, const std::string&) {}

  void take_type(Schema::Node& node, std::string_view, const json::Value& value,
                 const std::string& pointer) {
    if (value.is_string()) return add_type(node, value, pointer);
    if (!value.is_array() || value.items().empty()) {
      return fault(pointer, "expected the name of a type, or a list of them");
    }
    for (std::size_t i = 0; i < value.items().size(); ++i) {
      add_type(node, value.items().at(i), json::pointer_below(pointer, std::to_string(i)));
    }
  }

  void add_type(Schema::Node& node, const json::Value& value, const std::string& pointer) {
    std::vector<std::string> known;
    for (const TypeName& type : kTypeNames) {
      if (value.is_string() && value.as_string() == type.name) {
        node.types = static_cast<Types>(node.types | type.type);
        return;
      }
      known.emplace_back(type.name);
    }
    if (!value.is_string()) return fault(pointer, "expected the name of a type");
    fault(pointer,
          "there is no type '" + value.as_string() + "'" + suggestion(value.as_string(), known));
  }

  void take_enum(Schema::Node& node, std::string_view, const json::Value& value,
                 const std::string& pointer) {
    if (!value.is_array() || value.items().empty()) {
      return fault(pointer, "expected a list of at least one value");
    }
    if (!node.enumerated.empty()) return fault(pointer, "stands beside const; give one of them");
    node.enumerated = value.items();
  }

  void take_const(Schema::Node& node, std::string_view, const json::Value& value,
                  const std::string& pointer) {
    if (!node.enumerated.empty()) return fault(pointer, "stands beside enum; give one of them");
    node.enumerated.push_back(value);
  }

  void take_properties(Schema::Node& node, std::string_view, const json::Value& value,
                       const std::string& pointer) {
    if (!value.is_object()) return fault(pointer, "expected an object of schemas");
    for (const auto& [name, schema] : value.members()) {
      node.properties.emplace_back(name, compile(schema, json::pointer_below(pointer, name)));
    }
  }

  void take_required(Schema::Node& node, std::string_view, const json::Value& value,
                     const std::string& pointer) {
    if (!value.is_array()) return fault(pointer, "expected a list of names");
    for (std::size_t i = 0; i < value.items().size(); ++i) {
      const json::Value& name = value.items().at(i);
      const std::string at = json::pointer_below(pointer, std::to_string(i));
      if (!name.is_string()) return fault(at, "expected a name");
      if (node.requires_member(name.as_string())) fault(at, "stands in the list twice");
      node.required.push_back(name.as_string());
    }
  }

  void take_others(Schema::Node& node, std::string_view, const json::Value& value,
                   const std::string& pointer) {
    node.others = !value.is_bool() || value.as_bool();
    if (!value.is_bool()) node.other = compile(value, pointer);
  }

  void take_items(Schema::Node& node, std::string_view, const json::Value& value,
                  const std::string& pointer) {
    if (value.is_array()) {
      return fault(pointer, "expected one schema for all items; lists of them are not known");
    }
    node.items = compile(value, pointer);
  }

  void take_count(Schema::Node& node, std::string_view name, const json::Value& value,
                  const std::string& pointer) {
    if (!value.is_int() || value.as_int() < 0) {
      return fault(pointer, "expected a whole number from 0");
    }
    std::optional<std::int64_t>& count = name == "minProperties"   ? node.members_min
                                         : name == "maxProperties" ? node.members_max
                                         : name == "minItems"      ? node.items_min
                                         : name == "maxItems"      ? node.items_max
                                         : name == "minLength"     ? node.length_min
                                                                   : node.length_max;
    count = value.as_int();
  }

  void take_bound(Schema::Node& node, std::string_view name, const json::Value& value,
                  const std::string& pointer) {
    if (!value.is_number()) return fault(pointer, "expected a number");
    std::optional<json::Value>& bound = name == "minimum"            ? node.minimum
                                        : name == "maximum"          ? node.maximum
                                        : name == "exclusiveMinimum" ? node.above
                                                                     : node.below;
    bound = value;
  }

  void take_pattern(Schema::Node& node, std::string_view, const json::Value& value,
                    const std::string& pointer) {
    if (!value.is_string()) return fault(pointer, "expected a regular expression");
    re2::RE2::Options options;
    options.set_log_errors(false);
    auto pattern = std::make_shared<const re2::RE2>(value.as_string(), options);
    if (!pattern->ok()) {
      return fault(pointer,
                   "is no regular expression of RE2's (which knows no look-ahead and no "
                   "back-reference): " +
                       pattern->error());
    }
    node.pattern = std::move(pattern);
  }

  Faults& faults_;
};

Schema Schema::compile(const json::Value& tree, const std::string& pointer, Faults& faults) {
  Schema schema;
  schema.node_ = SchemaCompiler(faults).compile(tree, pointer);
  if (!schema.node_->may_be(kObject)) {
    faults.push_back({pointer + "/type", "an input is an object"});
  }
  return schema;
}

}  // namespace trued::define
