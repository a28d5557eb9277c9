// canonical.h: the JSON Canonicalization Scheme, RFC 8785. Pure.
#pragma once

#include <string>

#include "json/value.h"

namespace trued::json {

/// Appends the canonical form: no white space, names in UTF-16 order, numbers as ECMAScript writes
/// them. REQUIRES: every text in it is valid UTF-8, as what parse() gives is.
void write_canonical(const Value& value, std::string& out);
[[nodiscard]] std::string canonical(const Value& value);

/// Appends a finite double as ECMAScript's Number::toString does.
void write_number(double number, std::string& out);

/// Appends `text` as a JSON string with the fewest escapes (RFC 8785, section 3.2.2.2). What is not
/// UTF-8 is repaired (utf8_repaired()), so that whatever we write can be read: for evidence,
/// reasons and messages. What identifies something goes through write_exact().
void write_string(std::string_view text, std::string& out);

/// The same for what something is known or found by: names, keys, content. Repaired, it would be
/// another one. REQUIRES: `text` is valid UTF-8; whoever takes it from outside has refused it
/// otherwise.
void write_exact(std::string_view text, std::string& out);

/// For people: two spaces of indentation, the same order. REQUIRES: as write_canonical().
void write_pretty(const Value& value, std::string& out);

}  // namespace trued::json
