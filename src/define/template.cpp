#include "define/template.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "json/canonical.h"
#include "json/pointer.h"
#include "json/scalar.h"

namespace trued::define {
namespace {

constexpr std::array<std::string_view, 4> kRootNames{"input", "operation", "result", "artifact"};

// A piece of a text: literal characters, or the value of a reference.
struct Piece {
  std::string literal;
  std::optional<std::size_t> reference;
};

struct Node {
  enum class Kind : std::uint8_t { constant, text, array, object };
  Kind kind = Kind::constant;
  json::Value constant;
  std::vector<Piece> pieces;
  std::vector<std::string> names;  // object: of its members, in their order
  std::vector<Node> below;         // array and object
};

bool is_step_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '$' && c != '{' && c != '}' && c != '"' && c != '\'';
}

std::string_view kind_of(const json::Value& value) {
  if (value.is_null()) return "null";
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  return "a scalar";
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// The segment of a URL's path that `at` is inside of; nothing for a place outside of the path.
std::optional<std::string_view> segment_at(std::string_view url, std::size_t at) {
  const std::size_t end = std::min(url.find_first_of("?#"), url.size());
  if (at > end) return std::nullopt;
  const std::string_view path = url.substr(0, end);
  const std::size_t slash = at == 0 ? std::string_view::npos : path.rfind('/', at - 1);
  const std::size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
  return path.substr(begin, std::min(path.find('/', at), end) - begin);
}

}  // namespace

struct Template::Compiled {
  json::Value source;
  Node root;
  std::vector<Reference> references;
};

std::string Reference::path() const {
  std::string text(kRootNames.at(static_cast<std::size_t>(root)));
  for (const std::string& step : steps) text += '.' + step;
  return text;
}

Encoding call_encoding(std::string_view pointer) {
  if (pointer == "/path" || pointer == "/url") return Encoding::url;
  if (pointer.starts_with("/argv/")) return Encoding::argument;
  return pointer.starts_with("/headers/") ? Encoding::header : Encoding::none;
}

std::optional<std::vector<std::string>> parse_path(std::string_view text) {
  std::vector<std::string> steps;
  while (true) {
    const std::size_t dot = text.find('.');
    const std::string_view step = text.substr(0, dot);
    if (step.empty() || !std::ranges::all_of(step, is_step_character)) return std::nullopt;
    steps.emplace_back(step);
    if (dot == std::string_view::npos) return steps;
    text.remove_prefix(dot + 1);
  }
}

std::optional<std::size_t> parse_index(const std::string& step) {
  std::size_t index = 0;
  const char* end = step.data() + step.size();
  const auto [at, failure] = std::from_chars(step.data(), end, index);
  if (failure != std::errc{} || at != end) return std::nullopt;
  if (step.size() > 1 && step.front() == '0') return std::nullopt;
  return index;
}

const json::Value* value_at(const json::Value& root, const std::vector<std::string>& steps) {
  const json::Value* at = &root;
  for (const std::string& step : steps) {
    if (at->is_array()) {
      const auto index = parse_index(step);
      if (!index || *index >= at->items().size()) return nullptr;
      at = &at->items().at(*index);
    } else {
      at = at->find(step);
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

// ---- compiling ----------------------------------------------------------------------------------

namespace {

class Compiler {
 public:
  Compiler(const Roots& roots, std::string prefix, std::vector<Reference>& references,
           Faults& faults)
      : roots_(roots), prefix_(std::move(prefix)), references_(references), faults_(faults) {}

  Node compile(const json::Value& tree) {
    if (tree.is_string()) return compile_text(tree.as_string());
    Node node;
    const std::size_t base = at_.size();
    const std::size_t before = references_.size();
    if (tree.is_array()) {
      node.kind = Node::Kind::array;
      for (std::size_t i = 0; i < tree.items().size(); ++i) {
        json::append_step(at_, std::to_string(i));
        node.below.push_back(compile(tree.items().at(i)));
        at_.resize(base);
      }
    } else if (tree.is_object()) {
      node.kind = Node::Kind::object;
      for (const auto& [name, value] : tree.members()) {
        json::append_step(at_, name);
        if (name.find("${") != std::string::npos) fault("names of members are not filled in");
        node.names.push_back(name);
        node.below.push_back(compile(value));
        at_.resize(base);
      }
    } else {
      node.constant = tree;
    }
    TRUED_ASSERT(at_.size() == base);
    TRUED_ASSERT(node.kind != Node::Kind::object || node.names.size() == node.below.size());
    if (references_.size() == before) return constant_of(std::move(node));
    return node;
  }

 private:
  void fault(std::string detail) { faults_.push_back({prefix_ + at_, std::move(detail)}); }

  // Nothing below has anything to fill in: a value that is copied as a whole.
  static Node constant_of(Node node) {
    Node whole;
    if (node.kind == Node::Kind::array) {
      json::Value::Array items;
      for (Node& each : node.below) items.push_back(std::move(each.constant));
      whole.constant = json::Value(std::move(items));
    } else if (node.kind == Node::Kind::object) {
      json::Value::Object members;
      for (std::size_t i = 0; i < node.names.size(); ++i) {
        members.emplace_back(std::move(node.names.at(i)), std::move(node.below.at(i).constant));
      }
      whole.constant = json::Value(std::move(members));
    } else {
      return node;
    }
    return whole;
  }

  Node compile_text(const std::string& text) {
    Node node;
    node.kind = Node::Kind::text;
    std::string literal;
    std::size_t at = 0;
    const std::size_t before = references_.size();
    while (at < text.size()) {
      const std::size_t open = text.find("${", at);
      if (open == std::string::npos) break;
      if (open > at && text[open - 1] == '$') {
        literal += text.substr(at, open - at) + "{";
        at = open + 2;
        continue;
      }
      literal += text.substr(at, open - at);
      const std::size_t close = text.find('}', open);
      if (close == std::string::npos) {
        fault("'" + text.substr(open) + "' has no end: expected '}'; \"$${\" stands for \"${\"");
        return Node();
      }
      const std::string inside = text.substr(open + 2, close - open - 2);
      const bool whole = open == 0 && close + 1 == text.size();
      at = close + 1;
      if (!add_reference(inside, whole)) continue;
      if (!literal.empty()) node.pieces.push_back({std::exchange(literal, {}), std::nullopt});
      node.pieces.push_back({"", references_.size() - 1});
    }
    literal += text.substr(at);
    if (references_.size() == before) {
      Node constant;
      constant.constant = json::Value(std::move(literal));
      return constant;
    }
    if (!literal.empty()) node.pieces.push_back({std::move(literal), std::nullopt});
    return node;
  }

  bool add_reference(const std::string& inside, bool whole) {
    const std::string shown = "'${" + inside + "}'";
    if (inside.starts_with("env:") || inside.starts_with("file:")) {
      fault(shown + ": secrets belong to a target, in [target.NAME]; definitions are stored");
      return false;
    }
    auto steps = parse_path(inside);
    if (!steps) {
      fault(shown + " is no path: names between dots, such as ${input.items.0.sku}");
      return false;
    }
    const auto found = std::ranges::find(kRootNames, steps->front());
    if (found == kRootNames.end()) {
      fault(shown + " begins with no known root" + suggestion(steps->front(), known_roots()));
      return false;
    }
    Reference reference;
    reference.pointer = at_;
    TRUED_ASSERT(!steps->empty());
    reference.root = static_cast<Root>(found - kRootNames.begin());
    reference.whole = whole;
    steps->erase(steps->begin());
    reference.steps = std::move(*steps);
    const std::string wrong = wrong_with(reference);
    if (!wrong.empty()) {
      fault(shown + " " + wrong);
      return false;
    }
    references_.push_back(std::move(reference));
    return true;
  }

  std::vector<std::string> known_roots() const {
    std::vector<std::string> known;
    if (roots_.input) known.emplace_back("input");
    if (roots_.operation) known.emplace_back("operation");
    if (roots_.result) known.emplace_back("result");
    if (roots_.artifact) known.emplace_back("artifact");
    return known;
  }

  std::string wrong_with(const Reference& reference) const {
    const std::string place = roots_.place;
    switch (reference.root) {
      case Root::input:
        return roots_.input ? "" : "cannot stand " + place;
      case Root::operation:
        return wrong_with_operation(reference);
      case Root::result:
        if (roots_.result) return "";
        return "cannot stand " + place + ": what the effect is answered with is not known there";
      case Root::artifact:
        if (!roots_.artifact) return "cannot stand " + place + ": it is of no one artifact";
        if (reference.steps.size() == 1 &&
            (reference.steps.front() == "name" || reference.steps.front() == "path")) {
          return "";
        }
        return "is not known; an artifact has a name and a path, which are the same";
    }
    return "";
  }

  std::string wrong_with_operation(const Reference& reference) const {
    const std::string place = roots_.place;
    if (!roots_.operation) return "cannot stand " + place + ": the input alone is known there";
    const std::vector<std::string> known{"id", "key", "identity", "scope", "type", "attempt"};
    const std::string step = reference.steps.empty() ? "" : reference.steps.front();
    if (reference.steps.size() != 1 || std::ranges::find(known, step) == known.end()) {
      return "is nothing of an operation" + suggestion(step, known);
    }
    if (step == "id" && !roots_.started) {
      return "cannot stand " + place +
             ": it must be known before the operation is accepted; use operation.identity";
    }
    if (step == "attempt" && !roots_.attempt) {
      return "cannot stand " + place + ": it is not of one attempt";
    }
    return "";
  }

  const Roots& roots_;
  std::string prefix_;
  std::string at_;
  std::vector<Reference>& references_;
  Faults& faults_;
};

// ---- rendering ----------------------------------------------------------------------------------

class Renderer {
 public:
  Renderer(const std::vector<Reference>& references, const Values& values,
           const EncodingAt& encoding)
      : references_(references), values_(values), encoding_(encoding) {}

  bool render(const Node& node, json::Value& out) {
    switch (node.kind) {
      case Node::Kind::constant:
        out = node.constant;
        return true;
      case Node::Kind::text:
        return render_text(node, out);
      case Node::Kind::array: {
        json::Value::Array items(node.below.size());
        for (std::size_t i = 0; i < items.size(); ++i) {
          if (!render(node.below.at(i), items.at(i))) return false;
        }
        out = json::Value(std::move(items));
        return true;
      }
      case Node::Kind::object: {
        json::Value::Object members(node.below.size());
        for (std::size_t i = 0; i < members.size(); ++i) {
          members.at(i).first = node.names.at(i);
          if (!render(node.below.at(i), members.at(i).second)) return false;
        }
        out = json::Value(std::move(members));
        return true;
      }
    }
    return false;
  }

  RenderFault take_fault() { return std::move(fault_); }

 private:
  bool fail(const Reference& reference, std::string detail, bool missing) {
    TRUED_ASSERT(!detail.empty());
    fault_ = {.pointer = reference.pointer,
              .path = reference.path(),
              .detail = std::move(detail),
              .missing = missing};
    return false;
  }

  const json::Value* root_of(Root root) const {
    switch (root) {
      case Root::input:
        return values_.input;
      case Root::operation:
        return values_.operation;
      case Root::result:
        return values_.result;
      case Root::artifact:
        return values_.artifact;
    }
    return nullptr;
  }

  const json::Value* find(const Reference& reference) {
    const std::string path = reference.path();
    const json::Value* root = root_of(reference.root);
    if (root == nullptr) {
      fail(reference,
           reference.root == Root::result
               ? "'" + path + "' is not known: there is no result of the effect (yet)"
               : "'" + path + "' is not known here",
           true);
      return nullptr;
    }
    const json::Value* value = value_at(*root, reference.steps);
    if (value == nullptr) fail(reference, "there is no '" + path + "'", true);
    return value;
  }

  bool render_text(const Node& node, json::Value& out) {
    TRUED_ASSERT(node.kind == Node::Kind::text && !node.pieces.empty());
    const Reference& first = references_.at(reference_of(node));
    const Encoding encoding = encoding_ ? encoding_(first.pointer) : Encoding::none;
    const bool url = encoding == Encoding::url;
    if (first.whole && encoding == Encoding::none) {
      const json::Value* value = find(first);
      if (value == nullptr) return false;
      out = *value;
      return true;
    }
    std::string text;
    std::vector<std::pair<std::size_t, const Reference*>> filled;
    for (const Piece& piece : node.pieces) {
      if (!piece.reference) {
        text += piece.literal;
        continue;
      }
      const Reference& reference = references_.at(*piece.reference);
      const json::Value* value = find(reference);
      if (value == nullptr) return false;
      const auto written = json::scalar_text(*value);
      if (!written) {
        return fail(reference,
                    "'" + reference.path() + "' is " + std::string(kind_of(*value)) +
                        ", which cannot stand within text",
                    false);
      }
      if (encoding == Encoding::header && has_control(*written)) {
        return fail(
            reference,
            "'" + reference.path() + "' holds a control character, which cannot stand in a header",
            false);
      }
      if (encoding == Encoding::argument && text.empty() && written->starts_with('-')) {
        return fail(reference,
                    "'" + reference.path() +
                        "' begins with '-', and would be taken for an option; put its name before "
                        "it in the same argument (--name=${…}), or hand it over on stdin or in env",
                    false);
      }
      filled.emplace_back(text.size(), &reference);
      text += url ? percent_encoded(*written) : *written;
    }
    for (const auto& [at, reference] : filled) {
      if (url && !check_segment(text, at, *reference)) return false;
    }
    out = json::Value(std::move(text));
    return true;
  }

  // The first reference of a text.
  static std::size_t reference_of(const Node& node) {
    const auto found =
        std::ranges::find_if(node.pieces, [](const Piece& p) { return p.reference.has_value(); });
    TRUED_ASSERT(found != node.pieces.end());  // a text without any is a constant
    return *found->reference;
  }

  bool check_segment(const std::string& url, std::size_t at, const Reference& reference) {
    const auto segment = segment_at(url, at);
    if (!segment || !(segment->empty() || *segment == "." || *segment == "..")) return true;
    return fail(reference,
                "'" + reference.path() + "' makes a segment of the URL '" + std::string(*segment) +
                    "', which would lead elsewhere",
                false);
  }

  const std::vector<Reference>& references_;
  const Values& values_;
  const EncodingAt& encoding_;
  RenderFault fault_;
};

}  // namespace

Template::Template() {
  static const auto kNull = std::make_shared<const Compiled>();
  compiled_ = kNull;
}

Template::~Template() = default;

Template Template::compile(const json::Value& tree, const Roots& roots, const std::string& pointer,
                           Faults& faults) {
  auto compiled = std::make_shared<Compiled>();
  compiled->source = tree;
  compiled->root = Compiler(roots, pointer, compiled->references, faults).compile(tree);
  Template result;
  result.compiled_ = std::move(compiled);
  return result;
}

Result<json::Value, RenderFault> Template::render(const Values& values,
                                                  const EncodingAt& encoding) const {
  Renderer renderer(compiled_->references, values, encoding);
  json::Value out;
  if (!renderer.render(compiled_->root, out)) return renderer.take_fault();
  return out;
}

Result<std::string, RenderFault> Template::render_text(const Values& values) const {
  TRUED_TRY(const json::Value value, render(values));
  auto text = json::scalar_text(value);
  if (text) return std::move(*text);
  const auto& references = compiled_->references;
  const std::string path = references.empty() ? "" : references.front().path();
  return RenderFault{.pointer = "",
                     .path = path,
                     .detail = (path.empty() ? "it" : "'" + path + "'") + " is " +
                               std::string(kind_of(value)) + "; a text is needed",
                     .missing = false};
}

const std::vector<Reference>& Template::references() const { return compiled_->references; }

bool Template::names(Root root) const {
  return std::ranges::any_of(references(), [&](const Reference& r) { return r.root == root; });
}

const json::Value& Template::source() const { return compiled_->source; }

}  // namespace trued::define
