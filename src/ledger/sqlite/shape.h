// shape.h: the tables, indexes and so on that a file has, against those of a schema. Private.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "ledger/sqlite/connection.h"

namespace trued::sqlite {

/// A table, index, trigger or view, as it was defined.
struct Definition {
  std::string type;
  std::string table;  ///< the one that it belongs to
  std::string sql;
  bool operator==(const Definition&) const = default;
};
/// By name, without what SQLite makes for itself.
using Shape = std::map<std::string, Definition>;

[[nodiscard]] Result<Shape> read_shape(Connection& connection);

struct ShapeDifference {
  std::string where;
  std::string detail;
};
/// The first thing in which `found` is not as a ledger of that shape. Tables that no ledger has,
/// and their indexes, do nothing to it and are left out (tools for replication keep such).
[[nodiscard]] std::optional<ShapeDifference> difference(const Shape& expected, const Shape& found);

/// Whether it has any table of a ledger.
[[nodiscard]] Result<bool> has_ledger_tables(Connection& connection);

}  // namespace trued::sqlite
