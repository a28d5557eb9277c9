#include "pg/pg_error.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace trued::pg {

bool is_transient(const PgError& e) {
  // Class 08 connection, 53 resources, 57 operator intervention, 58 system error.
  constexpr std::array<std::string_view, 4> kClasses = {"08", "53", "57", "58"};
  constexpr std::array<std::string_view, 7> kStates = {
      "40001",   // serialization_failure
      "40P01",   // deadlock_detected
      "55P03",   // lock_not_available
      "55006",   // object_in_use
      "25006",   // read_only_sql_transaction: a standby, or a primary that was demoted
      "25P03",   // idle_in_transaction_session_timeout
      "57P05"};  // idle_session_timeout
  if (e.lost) return true;
  return std::ranges::any_of(kClasses, [&](auto c) { return e.sqlstate.starts_with(c); }) ||
         std::ranges::find(kStates, e.sqlstate) != kStates.end();
}

}  // namespace trued::pg
