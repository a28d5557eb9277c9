// postgres_target.h: effects as statements in one transaction with a marker row of ours.
//
// Exactly once: the marker (marker.h) commits with the statements or not at all, so a repeat finds
// it and does nothing, and a probe can tell for good whether the effect happened.
//
//   perform   begin ─► claim the marker ─► statements ─► record the result ─► COMMIT
//                │            └ it is there: acknowledged, changed = false, the stored result
//                └ any failure before COMMIT was sent: rolled back, `rejected_*`
//             COMMIT sent: refused = `rejected_*`; answered = acknowledged; no answer, or committed
//             here but perhaps nowhere else = unknown
//
// Where the server replicates synchronously (synchronous_standby_names), what is read, found by a
// probe or already there counts only once a commit of ours after it was replicated too: what a
// cancelled wait has left on one server alone is never taken for done.
//
// Only what is transactional is covered: a statement that calls out of the database (dblink, a
// foreign table, an untrusted language) is not undone with it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pg/pool.h"
#include "target/call.h"
#include "target/postgres/call_shape.h"
#include "target/postgres/marker.h"
#include "target/spec.h"

namespace trued {

/// What of the specification cannot work; empty when nothing. Contacts nobody.
[[nodiscard]] std::vector<SpecFault> wrong_with(const PostgresSpec& spec);

class PostgresTarget final : public CallTarget {
 public:
  /// `invalid_argument` says what wrong_with() does. Contacts nobody.
  [[nodiscard]] static Result<std::unique_ptr<PostgresTarget>> open(const PostgresSpec& spec);

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] EffectResult perform(const Call& call) override;
  [[nodiscard]] RawRead read(const Call& call) override;
  /// Leaves a refusal of the attempt behind where it says `no`, and ends the attempt if it still
  /// holds a transaction open. `context.attempt` is the newest one that was started: a `no` covers
  /// that one and those before it, and nothing after it.
  [[nodiscard]] Probed probe(const CallContext& context) override;
  [[nodiscard]] std::vector<CallFault> check_effect(const json::Value& call) const override;
  [[nodiscard]] std::vector<CallFault> check_read(const json::Value& call) const override;

 private:
  PostgresTarget(pg::ConnInfo info, const PostgresSpec& spec);

  /// A connection with a transaction begun on it.
  struct Begun {
    pg::Pool::Lease lease;
    bool replicates = false;  ///< synchronously: see not_replicated()
  };
  struct Begin {
    std::string mode;         ///< "ISOLATION LEVEL READ COMMITTED READ WRITE"
    std::string application;  ///< shown in pg_stat_activity
    Duration lock_timeout{};  ///< 0: no other bound than the statement's
  };
  /// What fails is only the beginning: nothing of a call has been sent then.
  [[nodiscard]] Result<Begun, pg::PgError> begin(const Begin& how, const pg::Deadline& deadline);
  /// True if the server replicates synchronously.
  [[nodiscard]] Result<bool, pg::PgError> begin_on(pg::Session& session, const Begin& how,
                                                   const pg::Deadline& deadline) const;
  [[nodiscard]] EffectResult run(const Call& call, const PostgresEffect& effect,
                                 const pg::Deadline& deadline);
  /// The statements; the result as JSON, or how it ended.
  [[nodiscard]] Result<std::string, EffectResult> carry_out(pg::Session& session,
                                                            const PostgresEffect& effect,
                                                            const pg::Deadline& deadline) const;
  [[nodiscard]] EffectResult finish(pg::Session& session, const std::string& xid,
                                    std::string result, const pg::Deadline& deadline) const;
  [[nodiscard]] EffectResult already(Begun& begun, const CallContext& context,
                                     const std::string& fingerprint,
                                     const pg::Deadline& deadline) const;
  [[nodiscard]] Probed ask(const CallContext& context, const pg::Deadline& deadline);
  /// The same once more, after ending whatever attempts still hold the marker.
  [[nodiscard]] Result<Marker, pg::PgError> refuse_by_force(pg::Session& session,
                                                            const CallContext& context,
                                                            const pg::Deadline& deadline) const;
  [[nodiscard]] RawRead fetch(const PostgresRead& read, const pg::Deadline& deadline);
  /// Of the marker table: what it needs, where it is not there.
  [[nodiscard]] std::string explained(const pg::PgError& e) const;

  const Duration statement_timeout_;
  const MarkerTable marker_;
  pg::Pool pool_;
};

}  // namespace trued
