// schema.h: what an input must look like: a strict part of JSON Schema (draft 7 to 2020-12 agree
// on it).
//
// Keywords: type, enum, const, required, properties, additionalProperties, minProperties,
// maxProperties, items, minItems, maxItems, minLength, maxLength, pattern, minimum, maximum,
// exclusiveMinimum, exclusiveMaximum; title, description, examples and $comment are notes.
//
// Why a part, and why not a library: a validator ignores what it does not know, so a misspelt
// "requried" or a "format" that nobody checks passes in silence, and what a template may name
// cannot be told from one that refers elsewhere ($ref) or says "one of these". Here every keyword
// is either held to or refused when the definition is checked. Patterns are RE2's, which match in
// linear time whatever a client sends; they search, as JSON Schema says, and know no look-ahead.
//
// Lengths of texts count code points. 1.0 is an integer. Pure; immutable; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "define/fault.h"
#include "json/value.h"

namespace trued::define {

/// What a schema says of the value at the end of a path.
struct SchemaPath {
  bool possible = true;  ///< false: no valid input has it, or it is not declared
  bool always = false;   ///< every valid input has it
  bool textual = true;   ///< some valid value is a text, a number or a boolean
  std::string detail;    ///< when it is not possible: why, and what it resembles
};

class Schema {
 public:
  struct Node;  ///< schema_node.h

  Schema();  ///< any JSON object
  ~Schema();
  Schema(const Schema&) = default;
  Schema& operator=(const Schema&) = default;
  Schema(Schema&&) noexcept = default;
  Schema& operator=(Schema&&) noexcept = default;

  /// Compiles `tree`. Faults are added with `pointer` put before their place; the schema is then
  /// of no use.
  [[nodiscard]] static Schema compile(const json::Value& tree, const std::string& pointer,
                                      Faults& faults);

  /// What is wrong with `value`: at most `max` faults, in document order. Empty when nothing is.
  [[nodiscard]] Faults validate(const json::Value& value, std::size_t max = 16) const;

  /// A path that is not declared counts as impossible, unless `additionalProperties` says that
  /// others are welcome or the schema declares no properties there: it would be a misspelling.
  [[nodiscard]] SchemaPath at(const std::vector<std::string>& steps) const;

  /// The names that every valid object has at its top.
  [[nodiscard]] std::vector<std::string> required() const;

 private:
  std::shared_ptr<const Node> node_;
};

}  // namespace trued::define
