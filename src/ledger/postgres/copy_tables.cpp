#include "ledger/postgres/copy_tables.h"

#include <utility>

#include "base/assert.h"
#include "ledger/postgres/rows.h"
#include "ledger/postgres/values.h"
#include "pg/text.h"

namespace trued::postgres {
namespace {

// The page ends by bytes as well: what is in front of a row is counted without reading it.
std::string page_sql(const CopyTable& table) {
  TRUED_ASSERT(!table.columns.empty() && table.columns.front().kind == CellKind::number);
  const std::string key = table.columns.front().name;
  std::string size = "0";
  for (const CopyColumn& column : table.columns) {
    if (column.kind == CellKind::number) continue;
    size += " + coalesce(octet_length(" + std::string(column.name) + "), 0)";
  }
  const std::string columns = column_list(table);
  return "SELECT " + columns + " FROM (SELECT t.*, sum(size) OVER (ORDER BY " + key +
         ") - size AS ahead FROM (SELECT " + columns + ", " + size + " AS size FROM @" +
         table.name + " WHERE " + key + " > $1::bigint ORDER BY " + key +
         " LIMIT $2::bigint) t) t WHERE ahead < $3::bigint ORDER BY " + key;
}

}  // namespace

Result<pg::Rows> ask(Link& link, std::string_view text, const pg::Parameters& parameters) {
  auto rows = link.ask(text, parameters);
  if (!rows.has_value()) return plain(link.site(), rows.error());
  return std::move(rows).value();
}

Result<std::vector<CopyRow>> read_rows(Link& link, const CopyTable& table, std::uint64_t after,
                                       const CopyPage& page) {
  TRUED_TRY(const pg::Rows rows,
            ask(link, page_sql(table),
                {std::to_string(after), std::to_string(page.rows), std::to_string(page.bytes)}));
  std::vector<CopyRow> read;
  read.reserve(rows.values.size());
  for (const auto& values : rows.values) {
    Fields fields(values);
    CopyRow& row = read.emplace_back(table.columns.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (fields.null()) {
        fields.skip();
      } else if (table.columns[i].kind == CellKind::number) {
        row[i] = fields.integer();
      } else {
        row[i] = fields.bytes();
      }
    }
    TRUED_TRY_VOID(fields.check());
  }
  return read;
}

Result<std::array<std::uint64_t, kCopyTables>> count_rows(Link& link) {
  std::string sql;
  for (const CopyTable& table : copy_tables()) {
    sql += (sql.empty() ? "SELECT (SELECT count(*) FROM @" : ", (SELECT count(*) FROM @") +
           std::string(table.name) + ")";
  }
  TRUED_TRY(const pg::Rows rows, ask(link, sql));
  Fields row(rows.values.front());
  std::array<std::uint64_t, kCopyTables> counts{};
  for (std::uint64_t& count : counts) count = row.number();
  TRUED_TRY_VOID(row.check());
  return counts;
}

Result<LedgerFrame> read_frame(Link& link) {
  TRUED_TRY(const pg::Rows rows,
            ask(link,
                "SELECT h.epoch, h.ledger, h.batch, h.sequence, h.operation, h.hash, b.batch, "
                "b.sequence, b.hash, b.tombs FROM @head h, @base b"));
  if (rows.values.size() != 1) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the ledger at " + link.site().shown() +
                            " does not say where it begins and ends"};
  }
  Fields row(rows.values.front());
  LedgerFrame frame;
  frame.epoch = row.number();
  frame.uuid = row.text();
  TRUED_TRY(frame.ends, read_ends(row));
  TRUED_TRY(frame.base, read_base(row));
  return frame;
}

Result<std::string> read_identity(Link& link) {
  TRUED_TRY(const pg::Rows rows,
            ask(link,
                "SELECT s.system_identifier, d.oid, c.oid FROM pg_control_system() s, "
                "pg_database d, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
                "d.datname = current_database() AND c.relname = 'head' AND n.nspname = " +
                    pg::quoted_literal(link.site().schema)));
  std::string identity = "postgresql";
  for (const auto& values : rows.values) {
    Fields row(values);
    for (int part = 0; part < 3; ++part) identity += " " + row.text();
    TRUED_TRY_VOID(row.check());
  }
  return identity;
}

}  // namespace trued::postgres
