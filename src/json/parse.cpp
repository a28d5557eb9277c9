#include "json/parse.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <simdjson.h>
#include <string>
#include <utility>

#include "base/assert.h"
#include "json/locate.h"

namespace trued::json {
namespace {

namespace dom = simdjson::dom;

constexpr std::int64_t kExactMax = std::int64_t{1} << 53;
constexpr double kExponentFrom =
    1e21;  // ECMA-262: from here on a number is written with an exponent

Error refused(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = std::move(message)};
}

// Builds our tree from simdjson's; remembers where it is for messages.
class Builder {
 public:
  explicit Builder(const ParseLimits& limits)
      : depth_max_(limits.depth_max), exact_(limits.exact) {}

  bool build(dom::element element, std::size_t depth, Value& out) {
    if (depth > depth_max_) {
      pointer_.clear();
      return fail("is nested deeper than " + std::to_string(depth_max_));
    }
    switch (element.type()) {
      case dom::element_type::NULL_VALUE:
        out = Value();
        return true;
      case dom::element_type::BOOL:
        out = Value(bool(element));
        return true;
      case dom::element_type::INT64:
        return build_int(std::int64_t(element), out);
      case dom::element_type::UINT64:
        if (!exact_) return build_near(static_cast<double>(std::uint64_t(element)), out);
        return fail("is an integer beyond 2^53, which JSON cannot carry exactly; use a string");
      case dom::element_type::DOUBLE:
        return build_double(double(element), out);
      case dom::element_type::STRING:
        out = Value(std::string(std::string_view(element)));
        return true;
      case dom::element_type::ARRAY:
        return build_array(dom::array(element), depth, out);
      case dom::element_type::OBJECT:
        return build_object(dom::object(element), depth, out);
    }
    return fail("is of an unknown kind");
  }

  const std::string& message() const { return message_; }
  /// Of what is at fault.
  const std::string& pointer() const { return pointer_; }

 private:
  bool fail(const std::string& what) {
    message_ = (pointer_.empty() ? "the document" : "'" + pointer_ + "'") + " " + what;
    return false;
  }

  // Never rounded down to what an exact integer may be.
  bool build_near(double number, Value& out) {
    constexpr double kBeyond = static_cast<double>(kExactMax) + 2;
    out = Value(number > 0 ? std::max(number, kBeyond) : std::min(number, -kBeyond));
    return true;
  }

  bool build_int(std::int64_t number, Value& out) {
    if (number > kExactMax || number < -kExactMax) {
      if (!exact_) return build_near(static_cast<double>(number), out);
      return fail("is an integer beyond 2^53, which JSON cannot carry exactly; use a string");
    }
    out = Value(number);
    return true;
  }

  bool build_double(double number, Value& out) {
    if (!std::isfinite(number)) return fail("is a number too large for a double");
    // 1.0 and 1 are one number; the canonical form writes both as 1.
    // ECMAScript writes these as integers, which are refused: equal numbers are treated alike.
    const double size = std::fabs(number);
    if (size > static_cast<double>(kExactMax) && size < kExponentFrom) {
      if (!exact_) return build_near(number, out);
      return fail("is an integer beyond 2^53, which JSON cannot carry exactly; use a string");
    }
    if (std::trunc(number) == number && std::fabs(number) <= static_cast<double>(kExactMax)) {
      out = Value(static_cast<std::int64_t>(number));
    } else {
      out = Value(number);
    }
    return true;
  }

  // RFC 6901.
  void enter(std::string_view name) {
    pointer_ += '/';
    for (const char c : name) {
      if (c == '~' || c == '/') {
        pointer_ += c == '~' ? "~0" : "~1";
      } else {
        pointer_ += c;
      }
    }
  }

  bool build_array(dom::array array, std::size_t depth, Value& out) {
    TRUED_ASSERT(depth <= depth_max_);
    Value::Array items;
    items.reserve(array.size());
    const std::size_t base = pointer_.size();
    for (const dom::element element : array) {
      pointer_ += '/' + std::to_string(items.size());
      if (!build(element, depth + 1, items.emplace_back())) return false;
      pointer_.resize(base);
    }
    out = Value(std::move(items));
    return true;
  }

  bool build_object(dom::object object, std::size_t depth, Value& out) {
    TRUED_ASSERT(depth <= depth_max_);
    Value::Object members;
    members.reserve(object.size());
    const std::size_t base = pointer_.size();
    for (const dom::key_value_pair field : object) {
      enter(field.key);
      members.emplace_back(std::string(field.key), Value());
      if (!build(field.value, depth + 1, members.back().second)) return false;
      pointer_.resize(base);
    }
    Value value(std::move(members));
    const auto& sorted = value.members();
    const auto twin = std::ranges::adjacent_find(
        sorted, [](const auto& a, const auto& b) { return a.first == b.first; });
    if (twin != sorted.end()) {
      fail("has the name \"" + twin->first + "\" twice");
      enter(twin->first);
      return false;
    }
    out = std::move(value);
    return true;
  }

  std::size_t depth_max_;
  bool exact_;
  std::string pointer_;
  std::string message_;
};

// What simdjson refused without saying where.
Error unreadable(std::string_view text, const ParseLimits& limits, const char* why) {
  const auto flaw = find_flaw(text, limits.depth_max);
  if (!flaw) return refused(std::string("the document is not valid JSON: ") + why);
  if (flaw->depth) {
    return refused("the document is nested deeper than " + std::to_string(limits.depth_max) +
                   " at " + place_of(text, flaw->offset));
  }
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return refused("the document is empty; a JSON value was expected");
  }
  return refused("the document is not valid JSON at " + place_of(text, flaw->offset) + ": " +
                 flaw->what);
}

}  // namespace

Result<Value> parse(std::string_view text, const ParseLimits& limits, std::string* pointer) {
  if (text.size() > limits.bytes_max) {
    return Error{.code = ErrorCode::too_large,
                 .message = "the document has " + std::to_string(text.size()) + " bytes; at most " +
                            std::to_string(limits.bytes_max) + " are read"};
  }
  if (text.starts_with("\xef\xbb\xbf")) return refused("the document begins with a BOM; send none");
  // A parser keeps its memory from document to document; a huge one's is given back.
  thread_local dom::parser parser;
  constexpr std::size_t kKeepBytes = std::size_t{1} << 20;
  dom::element root;
  const auto failure = parser.parse(text.data(), text.size(), true).get(root);
  Value value;
  Builder builder(limits);
  bool built = false;
  if (failure == simdjson::SUCCESS) built = builder.build(root, 1, value);
  if (text.size() > kKeepBytes) parser = dom::parser();
  if (failure != simdjson::SUCCESS) {
    return unreadable(text, limits, simdjson::error_message(failure));
  }
  if (!built) {
    TRUED_ASSERT(!builder.message().empty());
    if (pointer != nullptr) *pointer = builder.pointer();
    return refused(builder.message());
  }
  TRUED_ASSERT(builder.pointer().empty());
  return value;
}

}  // namespace trued::json
