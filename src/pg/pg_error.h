// pg_error.h: what PostgreSQL, or the way to it, answered instead of a result.
#pragma once

#include <string>

#include "base/error.h"

namespace trued::pg {

/// `error.happened` is about the statement alone: `no` if the server refused it (its transaction is
/// then aborted), `maybe` if no answer came.
struct PgError {
  Error error;
  std::string sqlstate;    ///< five characters; empty where the server said nothing
  std::string constraint;  ///< the constraint that was violated, where the server names one
  bool lost = false;       ///< the connection is closed, or good for nothing more
  bool timed_out = false;  ///< our deadline passed; implies `lost`
};

/// True for the class of a SQLSTATE: in_class(e, "23") for a constraint violation.
[[nodiscard]] inline bool in_class(const PgError& e, const char* two) {
  return e.sqlstate.compare(0, 2, two) == 0;
}

/// True if an identical transaction may go differently later: a serialization failure, a deadlock,
/// a timeout, a server that stops, lacks resources or is a standby. Pure.
[[nodiscard]] bool is_transient(const PgError& e);

}  // namespace trued::pg
