// marker.h: the row by which a database tells whether an operation's effect has happened.
//
// One row for an identity, written in the very transaction of the effect:
//
//   attempt  NULL: no attempt has happened; else the one that did, with its result
//   refused  attempts up to this number can no longer happen
//
//   attempt N   begin; CLAIM: insert the row, or take it over where attempt IS NULL and
//               refused < N; statements; RECORD the result; commit
//   probe of N  begin; REFUSE: insert the row with refused = N, or raise refused to N; commit;
//               then attempt says yes, or no for good
//
// Invariants
//   (1) At most one attempt of an identity ever commits. CLAIM holds the row, or its place in the
//       primary key, until the transaction ends; who comes second waits there and then finds it.
//   (2) After a probe of N said no, no attempt up to N commits. If its CLAIM comes later, it finds
//       refused >= N. If it came before, REFUSE waits for its end (and ends it after a while, by
//       pg_terminate_backend) and then finds its row or none.
//   (3) An attempt after N is free to run: a refusal is a number, not a gravestone.
//
// Both hold under READ COMMITTED, where ON CONFLICT DO UPDATE judges the newest version of the row.
// Under stricter levels CLAIM fails with 40001 instead of waiting to see it, which is no harm.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/operation.h"
#include "pg/session.h"
#include "target/call.h"

namespace trued {

/// "trued_marker" or "audit.trued_marker" quoted for SQL. REQUIRES: valid_marker_table(name).
[[nodiscard]] std::string quoted_table(const std::string& name);
/// One or two names of at most 63 characters of [A-Za-z0-9_], not beginning with a digit.
[[nodiscard]] bool valid_marker_table(const std::string& name);

/// What a transaction of ours is called in pg_stat_activity: by this a hung one is found again.
[[nodiscard]] std::string application_of(const CallContext& context);
/// The same without the attempt, and with the ':' before it.
[[nodiscard]] std::string application_prefix(const std::string& identity);

/// What the row says.
struct Marker {
  std::optional<std::int64_t> attempt;
  std::int64_t refused = 0;
  std::string operation;
  std::string fingerprint;
  std::string xid;
  std::string result;
};

class MarkerTable {
 public:
  explicit MarkerTable(const std::string& name) : table_(quoted_table(name)), name_(name) {}

  /// True if the row is ours now; false: look() says why not.
  [[nodiscard]] Result<bool, pg::PgError> claim(pg::Session& session, const CallContext& context,
                                                const std::string& fingerprint,
                                                const pg::Deadline& deadline) const;
  [[nodiscard]] Result<std::optional<Marker>, pg::PgError> look(pg::Session& session,
                                                                const std::string& identity,
                                                                const pg::Deadline& deadline) const;
  /// Stores the result with the claim; the transaction's id.
  [[nodiscard]] Result<std::string, pg::PgError> record(pg::Session& session,
                                                        const CallContext& context,
                                                        const std::string& result,
                                                        const pg::Deadline& deadline) const;
  [[nodiscard]] Result<Marker, pg::PgError> refuse(pg::Session& session, const CallContext& context,
                                                   const pg::Deadline& deadline) const;
  /// Ends what attempts up to the context's own still have open. How many there were.
  [[nodiscard]] static Result<std::uint64_t, pg::PgError> end_attempts(
      pg::Session& session, const CallContext& context, const pg::Deadline& deadline);

  /// True if `e` says that the table is not there.
  [[nodiscard]] bool is_missing(const pg::PgError& e) const;
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::string table_;
  std::string name_;
};

}  // namespace trued
