#include "ledger/sqlite/shape.h"

#include <utility>

namespace trued::sqlite {
namespace {

// "a table", "an index".
std::string one(const std::string& type) { return (type == "index" ? "an " : "a ") + type; }

}  // namespace

Result<Shape> read_shape(Connection& connection) {
  TRUED_TRY(Statement rows,
            connection.prepare("SELECT name, type, tbl_name, sql FROM sqlite_schema WHERE "
                               "substr(name, 1, 7) <> 'sqlite_'"));
  Shape shape;
  int code = SQLITE_ROW;
  while ((code = rows.step()) == SQLITE_ROW) {
    shape.insert_or_assign(
        rows.text(0), Definition{.type = rows.text(1), .table = rows.text(2), .sql = rows.text(3)});
  }
  if (code != SQLITE_DONE) return connection.failure("cannot read the schema");
  return shape;
}

std::optional<ShapeDifference> difference(const Shape& expected, const Shape& found) {
  for (const auto& [name, definition] : expected) {
    const auto there = found.find(name);
    if (there == found.end()) {
      return ShapeDifference{
          name, one(definition.type) + " of every ledger of that version: it is missing"};
    }
    if (there->second != definition) {
      return ShapeDifference{name, one(there->second.type) +
                                       " that is defined otherwise than in a ledger of that "
                                       "version"};
    }
  }
  for (const auto& [name, definition] : found) {
    const bool ours = definition.type != "table" &&
                      (definition.type != "index" || expected.contains(definition.table));
    if (ours && !expected.contains(name)) {
      return ShapeDifference{name, one(definition.type) + " that no ledger has"};
    }
  }
  return std::nullopt;
}

Result<bool> has_ledger_tables(Connection& connection) {
  TRUED_TRY(const std::int64_t tables,
            connection.integer("SELECT count(*) FROM sqlite_schema WHERE type='table' AND name IN "
                               "('operation', 'intent', 'record', 'batch', 'tombstone', 'base')"));
  return tables > 0;
}

}  // namespace trued::sqlite
