// writer.h: writes JSON straight onto a string, without a tree.
//
// Commas and nesting are its business; misuse (a value without a key, an end without a begin) is a
// programmer's error. Members are written in the order given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json/canonical.h"

namespace trued::json {

class Writer {
 public:
  /// Appends to `out`, which outlives the writer.
  explicit Writer(std::string& out) : out_(out) {}

  Writer& begin_object();
  Writer& end_object();
  Writer& begin_array();
  Writer& end_array();
  Writer& key(std::string_view name);

  /// Repaired where it is no UTF-8 (write_string()).
  Writer& string(std::string_view text);
  /// Of what identifies something (write_exact()). REQUIRES: `text` is valid UTF-8.
  Writer& exact(std::string_view text);
  Writer& integer(std::int64_t number);
  Writer& unsigned_integer(std::uint64_t number);
  Writer& real(double number);
  Writer& boolean(bool value);
  Writer& null();
  /// `text` is a JSON value already.
  Writer& raw(std::string_view text);

  // A member in one call.
  Writer& member(std::string_view name, std::string_view text) { return key(name).string(text); }
  Writer& member(std::string_view name, const char* text) { return key(name).string(text); }
  Writer& member(std::string_view name, std::int64_t value) { return key(name).integer(value); }
  Writer& member(std::string_view name, std::uint64_t value) {
    return key(name).unsigned_integer(value);
  }
  Writer& member(std::string_view name, std::uint32_t value) {
    return key(name).unsigned_integer(value);
  }
  Writer& member(std::string_view name, int value) { return key(name).integer(value); }
  Writer& member(std::string_view name, double value) { return key(name).real(value); }
  Writer& member(std::string_view name, bool value) { return key(name).boolean(value); }

 private:
  void before_value();

  struct Level {
    bool object = false;
    bool empty = true;
    bool keyed = false;
  };
  std::string& out_;
  std::vector<Level> levels_;
};

}  // namespace trued::json
