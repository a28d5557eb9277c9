// durability.h: what settings of a server make of a commit. Private. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/durability.h"
#include "ledger/postgres/values.h"
#include "pg/session.h"

namespace trued::postgres {

/// The settings that decide, as the server shows them to a session.
struct Terms {
  std::string fsync;
  std::string full_page_writes;
  std::string synchronous_commit;
  std::string synchronous_standby_names;
  std::string text = {};  ///< all of them in one, as kCommitBatch compares them
  bool in_recovery = false;
};

/// One row for read_terms().
extern const char* const kReadTerms;
[[nodiscard]] Result<Terms> read_terms(Fields& row);

/// For read_standbys(). Who may not look at others' replication sees rows without their state.
extern const char* const kReadStandbys;
/// Nothing if this role may not see them.
[[nodiscard]] std::optional<std::vector<Standby>> read_standbys(const pg::Rows& rows);

/// `standbys`: those that follow now; nothing if that cannot be seen.
[[nodiscard]] Durability durability_of(const Terms& terms,
                                       std::optional<std::vector<Standby>> standbys);

struct Promise {
  Terms terms;
  Durability durability;
};
using Ask = std::function<Result<pg::Rows>(std::string_view text)>;
/// Asks for both. `unavailable` where a standby answers: what a primary promises is not known
/// there.
[[nodiscard]] Result<Promise> ask_promise(const Ask& ask);

}  // namespace trued::postgres
