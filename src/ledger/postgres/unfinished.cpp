#include "ledger/postgres/unfinished.h"

#include "ledger/postgres/values.h"
#include "pg/text.h"

namespace trued::postgres {

std::string dropping(const Site& site) {
  return "DROP SCHEMA " + pg::quoted_identifier(site.schema) + " CASCADE";
}

Error unfinished(Link& link) {
  auto rows = link.script("SELECT source FROM @copying");
  if (!rows.has_value()) return plain(link.site(), rows.error());
  std::string source = "another";
  if (rows->values.size() == 1) {
    Fields row(rows->values.front());
    source = row.bytes();
  }
  return {
      .code = ErrorCode::invalid_argument,
      .message = "the ledger at " + link.site().shown() + " is an unfinished copy of " + source +
                 ": the same 'trued ledger copy' again goes on where it was; or take it away (" +
                 dropping(link.site()) + ")"};
}

}  // namespace trued::postgres
