#include "target/postgres/rows_json.h"

#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/encoding.h"
#include "json/canonical.h"
#include "json/parse.h"

namespace trued {
namespace {

// Types of pg_catalog; their numbers never change.
enum class Oid : std::uint32_t {
  boolean = 16,
  int8 = 20,
  int2 = 21,
  int4 = 23,
  oid = 26,
  json = 114,
  float4 = 700,
  float8 = 701,
  timestamp = 1114,
  timestamptz = 1184,
  numeric = 1700,
  jsonb = 3802,
};

json::Value as_text(const std::string& text) { return json::Value(utf8_repaired(text)); }

json::Value parsed_or_text(const std::string& text) {
  auto value = json::parse(text);
  return value.has_value() ? std::move(value).value() : as_text(text);
}

json::Value floating(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || at != end || !std::isfinite(number)) return as_text(text);
  std::string spelled;
  json::write_number(number, spelled);
  return parsed_or_text(spelled);  // a whole one is the same value as an integer is
}

// "19.90" is 19.9; a double has no room for "0.1000000000000000000001".
json::Value decimal(const std::string& text) {
  std::string shortest = text;
  if (shortest.find('.') != std::string::npos) {
    while (shortest.ends_with('0')) shortest.pop_back();
    if (shortest.ends_with('.')) shortest.pop_back();
  }
  if (shortest == "-0") shortest = "0";
  double number = 0;
  const char* end = shortest.data() + shortest.size();
  const auto [at, failure] = std::from_chars(shortest.data(), end, number);
  if (failure != std::errc{} || at != end || !std::isfinite(number)) return as_text(text);
  std::string spelled;
  json::write_number(number, spelled);
  return spelled == shortest ? parsed_or_text(spelled) : as_text(text);
}

// PostgreSQL writes "2026-11-21 11:00:00.5+00" under the settings of our transactions.
json::Value moment(std::string text, bool zoned) {
  const std::size_t gap = text.find(' ');
  if (gap == std::string::npos || text.ends_with("BC")) return as_text(text);
  text[gap] = 'T';
  if (zoned && text.ends_with("+00")) text += ":00";
  return as_text(text);
}

json::Value value_of(const std::optional<std::string>& text, std::uint32_t type) {
  if (!text) return {};
  switch (static_cast<Oid>(type)) {
    case Oid::boolean:
      return json::Value(*text == "t");
    case Oid::int8:
    case Oid::int2:
    case Oid::int4:
    case Oid::oid:
    case Oid::json:
    case Oid::jsonb:
      return parsed_or_text(*text);
    case Oid::float4:
    case Oid::float8:
      return floating(*text);
    case Oid::numeric:
      return decimal(*text);
    case Oid::timestamp:
    case Oid::timestamptz:
      return moment(*text, static_cast<Oid>(type) == Oid::timestamptz);
  }
  return as_text(*text);
}

std::string spelled(std::uint64_t count, bool truncated, const json::Value::Array& rows) {
  json::Value::Object members;
  members.emplace_back("count", json::Value(static_cast<std::int64_t>(count)));
  if (!rows.empty()) members.emplace_back("row", rows.front());
  members.emplace_back("rows", json::Value(rows));
  if (truncated) members.emplace_back("truncated", json::Value(true));
  return json::canonical(json::Value(std::move(members)));
}

}  // namespace

Result<json::Value::Array> rows_to_json(const pg::Rows& rows) {
  for (std::size_t i = 0; i < rows.columns.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (rows.columns.at(i).name != rows.columns.at(j).name) continue;
      return Error{.code = ErrorCode::invalid_argument,
                   .message = "two columns are called '" + rows.columns.at(i).name +
                              "'; give each a name of its own with AS"};
    }
  }
  json::Value::Array out;
  out.reserve(rows.values.size());
  for (const auto& row : rows.values) {
    json::Value::Object members;
    members.reserve(row.size());
    for (std::size_t c = 0; c < row.size(); ++c) {
      members.emplace_back(rows.columns.at(c).name, value_of(row.at(c), rows.columns.at(c).type));
    }
    out.emplace_back(std::move(members));
  }
  return out;
}

std::string effect_result(std::uint64_t count, bool truncated, json::Value::Array rows,
                          std::size_t bytes_max) {
  while (true) {
    std::string text = spelled(count, truncated, rows);
    if (text.size() <= bytes_max || rows.empty()) return text;
    rows.resize(rows.size() / 2);
    truncated = true;
  }
}

}  // namespace trued
