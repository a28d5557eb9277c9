// template.h: a JSON document whose texts hold ${paths}, compiled once, filled in with types.
//
//   "${input.amount}"          alone: that JSON value with its type
//   "order ${input.order}"     within text: as text; numbers as RFC 8785 writes them
//   "$${input.order}"          the text "${input.order}"
//   "${input.items.0.sku}"     steps are names of members or indexes from 0, between dots
//
// What a path begins with is its root: `input`, `operation`, `result` or `artifact`. Where a
// template stands decides which of them it may name (Roots). Objects, arrays and null cannot stand
// within text. Names of members are never filled in.
//
// A value that becomes part of a URL is percent-encoded as a whole, '/' included, so that it stays
// within the segment or the query value it was put into; a segment that would come to be empty,
// "." or ".." is refused, because the URL would then lead elsewhere. A value that becomes part of a
// header is refused if it holds a control character, which would begin another header. A value that
// begins an argument of a command is refused if it begins with '-', because it would be an option.
//
// Invariants
//   (1) What is filled in is never looked at again: "${" in a value is text.
//   (2) A template without paths renders to itself (escapes resolved).
//   (3) Rendering is a function of the template and the values alone.
//
// Pure; immutable once compiled; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "define/fault.h"
#include "json/value.h"

namespace trued::define {

enum class Root : std::uint8_t { input, operation, result, artifact };

/// What a template at some place may name.
struct Roots {
  bool input = true;
  bool operation = false;      ///< identity, key, scope, type: known once the identity is
  bool started = false;        ///< operation.id: not known before acceptance
  bool attempt = false;        ///< operation.attempt: only where an attempt is made
  bool result = false;         ///< what the effect was answered with
  bool artifact = false;       ///< artifact.name, artifact.path
  const char* place = "here";  ///< for messages: "in the scope"
};

/// One ${path} of a template.
struct Reference {
  std::string pointer;  ///< of the text that holds it
  Root root = Root::input;
  std::vector<std::string> steps;  ///< below the root
  bool whole = false;              ///< alone: keeps its type

  /// "input.items.0.sku"
  [[nodiscard]] std::string path() const;
};

/// What is filled in, by root; null where it is not known (yet).
struct Values {
  const json::Value* input = nullptr;
  const json::Value* operation = nullptr;
  const json::Value* result = nullptr;
  const json::Value* artifact = nullptr;
};

/// How values are written into the text at `pointer`.
enum class Encoding : std::uint8_t { none, url, header, argument };
using EncodingAt = std::function<Encoding(std::string_view pointer)>;

/// The members "/path" and "/url" of a call are URLs, those of "/headers" are headers and those of
/// "/argv" arguments (both are texts, whatever is filled in); everything else is as it is.
[[nodiscard]] Encoding call_encoding(std::string_view pointer);

/// Why a template could not be filled in.
struct RenderFault {
  std::string pointer;   ///< in the template
  std::string path;      ///< "input.amount"; empty where no one path is to blame
  std::string detail;    ///< "there is no 'input.amount'"
  bool missing = false;  ///< the root or the value is not there (as opposed to not fitting)
};

class Template {
 public:
  Template();  ///< null
  ~Template();
  Template(const Template&) = default;
  Template& operator=(const Template&) = default;
  Template(Template&&) noexcept = default;
  Template& operator=(Template&&) noexcept = default;

  /// Compiles `tree`. What is wrong with its texts is added to `faults`, with `pointer` put before
  /// the place; the template is then of no use.
  [[nodiscard]] static Template compile(const json::Value& tree, const Roots& roots,
                                        const std::string& pointer, Faults& faults);

  [[nodiscard]] Result<json::Value, RenderFault> render(const Values& values,
                                                        const EncodingAt& encoding = {}) const;
  /// The same where a text is needed: numbers and booleans become text, anything else is a fault.
  [[nodiscard]] Result<std::string, RenderFault> render_text(const Values& values) const;

  [[nodiscard]] const std::vector<Reference>& references() const;
  [[nodiscard]] bool names(Root root) const;
  [[nodiscard]] bool is_constant() const { return references().empty(); }
  /// As it was written.
  [[nodiscard]] const json::Value& source() const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

/// The steps of "cart.items.0"; nothing for what is no path.
[[nodiscard]] std::optional<std::vector<std::string>> parse_path(std::string_view text);

/// The index that a step writes: decimal, without leading zeros; else nothing.
[[nodiscard]] std::optional<std::size_t> parse_index(const std::string& step);

/// The value at the end of the steps; null if it is not there.
[[nodiscard]] const json::Value* value_at(const json::Value& root,
                                          const std::vector<std::string>& steps);

}  // namespace trued::define
