#include "target/postgres/postgres_target.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/assert.h"
#include "base/digest.h"
#include "json/canonical.h"
#include "pg/text.h"
#include "target/outcome.h"
#include "target/postgres/rows_json.h"

namespace trued {
namespace {

using pg::Deadline;
using pg::PgError;

constexpr const char* kReadWrite = "ISOLATION LEVEL READ COMMITTED READ WRITE";
constexpr const char* kReadOnly = "ISOLATION LEVEL READ COMMITTED READ ONLY";
constexpr const char* kApplication = "trued";
constexpr std::size_t kResultBytesMax = std::size_t{64} << 10U;
constexpr pg::Limits kEffectLimits{.rows_max = 1'000, .bytes_max = kResultBytesMax};

/// Kept for COMMIT: what is begun without it would only become unknown.
Duration commit_share(Duration left) { return std::clamp(left / 5, Duration{10}, Duration{1'000}); }

// What failed before COMMIT was sent: the server rolls back, also if it never answers.
EffectResult undone(const PgError& e, const std::string& where, bool retryable) {
  std::string reason = where + ": " + e.error.message;
  if (!e.constraint.empty()) reason += ", constraint '" + e.constraint + "'";
  if (e.lost) reason += "; COMMIT was not sent, so nothing happened";
  return effect_ended(retryable ? EffectKind::rejected_retryable : EffectKind::rejected_final,
                      std::move(reason));
}

std::string statement_name(const PostgresEffect& effect, std::size_t index) {
  TRUED_ASSERT(index < effect.statements.size());
  return effect.statements.size() == 1 ? "the statement"
                                       : "statement " + std::to_string(index + 1) + " of " +
                                             std::to_string(effect.statements.size());
}

// Why what is seen on this server might be lost with it; empty if it is on its standbys too. A
// commit of ours waits for all that was written before it.
std::string not_replicated(pg::Session& session, const Deadline& deadline) {
  session.rollback();
  const auto begun =
      session.script("BEGIN; SELECT pg_logical_emit_message(true, 'trued', '')", deadline);
  if (!begun.has_value()) return begun.error().error.message;
  const auto committed = session.commit(deadline);
  if (!committed.has_value()) return committed.error().error.message;
  if (committed->replicated) return "";
  return "the wait for synchronous replication was cancelled";
}

constexpr const char* kNotReplicated =
    "it stands on this server, and synchronous replication has not confirmed it: ";

Probed maybe(std::string detail) {
  Probed probed;
  probed.detail = std::move(detail);
  return probed;
}

}  // namespace

std::vector<SpecFault> wrong_with(const PostgresSpec& spec) {
  std::vector<SpecFault> faults;
  if (spec.url.empty()) {
    faults.push_back({"url", "is missing: postgresql://USER@HOST:PORT/DATABASE"});
  } else if (const auto info = pg::ConnInfo::parse(spec.url); !info.has_value()) {
    faults.push_back({"url", info.error().message});
  }
  if (!valid_marker_table(spec.marker_table)) {
    faults.push_back({"marker_table", "'" + spec.marker_table +
                                          "' is no name of a table: expected NAME or SCHEMA.NAME "
                                          "of [A-Za-z0-9_]"});
  }
  if (spec.pool_max == 0) faults.push_back({"pool_max", "expected at least 1"});
  if (spec.statement_timeout <= Duration{0}) {
    faults.push_back({"statement_timeout", "expected more than 0"});
  }
  return faults;
}

Result<std::unique_ptr<PostgresTarget>> PostgresTarget::open(const PostgresSpec& spec) {
  for (const SpecFault& fault : wrong_with(spec)) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = fault.setting + ": " + fault.detail};
  }
  TRUED_TRY(pg::ConnInfo info, pg::ConnInfo::parse(spec.url, spec.password));
  return std::unique_ptr<PostgresTarget>(new PostgresTarget(std::move(info), spec));
}

PostgresTarget::PostgresTarget(pg::ConnInfo info, const PostgresSpec& spec)
    : statement_timeout_(spec.statement_timeout),
      marker_(spec.marker_table),
      pool_(std::move(info), {.size_max = spec.pool_max, .application = kApplication}) {
  TRUED_ASSERT(spec.pool_max > 0 && statement_timeout_ > Duration{0});
}

Capabilities PostgresTarget::capabilities() const {
  return {.idempotent = false, .deduplicates = true, .history = false, .probes = true};
}

std::vector<CallFault> PostgresTarget::check_effect(const json::Value& call) const {
  return check_postgres_effect(call);
}

std::vector<CallFault> PostgresTarget::check_read(const json::Value& call) const {
  return check_postgres_read(call);
}

std::string PostgresTarget::explained(const PgError& e) const {
  if (!marker_.is_missing(e)) return e.error.message;
  return "the marker table " + marker_.name() + " is not there; create it with: trued target " +
         "install NAME --config FILE (" + e.sqlstate + ")";
}

// ---- transactions -------------------------------------------------------------------------------

Result<bool, PgError> PostgresTarget::begin_on(pg::Session& session, const Begin& how,
                                               const Deadline& deadline) const {
  const Duration left = deadline.left();
  const Duration statement = std::clamp(left - commit_share(left), Duration{1}, statement_timeout_);
  const auto milliseconds = [](Duration d) { return std::to_string(d.count()); };
  // Local, so that a pooled connection, also one behind a pooler, comes back as it was. A hung
  // client is ended by the server itself a while after it has given up.
  std::string script =
      "BEGIN " + how.mode +
      "; SET LOCAL standard_conforming_strings = on; SET LOCAL DateStyle = 'ISO, YMD'; "
      "SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL TimeZone = 'UTC'; "
      "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; "
      "SET LOCAL application_name = " +
      pg::quoted_literal(how.application) +
      "; SET LOCAL statement_timeout = " + milliseconds(statement) +
      "; SET LOCAL lock_timeout = " + milliseconds(how.lock_timeout) +
      "; SET LOCAL idle_in_transaction_session_timeout = " + milliseconds(left + Duration{5'000}) +
      "; ";
  constexpr int kChecksConnection = 140'000;
  if (session.server_version() >= kChecksConnection) {
    script += "SET LOCAL client_connection_check_interval = 1000; ";
  }
  script += std::string(pg::kDurable) +
            " SELECT current_setting('synchronous_standby_names') <> ''"
            " AND current_setting('synchronous_commit') NOT IN ('off', 'local')";
  TRUED_TRY(pg::Rows rows, session.script(script, deadline));
  return !rows.values.empty() && rows.values.front().at(0) == "t";
}

Result<PostgresTarget::Begun, PgError> PostgresTarget::begin(const Begin& how,
                                                             const Deadline& deadline) {
  {
    TRUED_TRY(pg::Pool::Lease lease, pool_.take(deadline));
    auto begun = begin_on(lease.session(), how, deadline);
    if (begun.has_value()) return Begun{std::move(lease), *begun};
    // One that died in the pool: BEGIN does nothing, so it may be said again, elsewhere.
    if (!lease.used_before() || !begun.error().lost || deadline.over()) {
      lease.session().rollback();
      return std::move(begun).error();
    }
  }
  TRUED_TRY(pg::Pool::Lease lease, pool_.take(deadline, true));
  auto begun = begin_on(lease.session(), how, deadline);
  if (begun.has_value()) return Begun{std::move(lease), *begun};
  lease.session().rollback();
  return std::move(begun).error();
}

// ---- effects ------------------------------------------------------------------------------------

EffectResult PostgresTarget::perform(const Call& call) {
  try {
    const auto effect = parse_postgres_effect(call.request);
    if (!effect.has_value()) {
      return effect_ended(EffectKind::rejected_final, effect.error().message);
    }
    if (call.context.timeout <= Duration{0}) {
      return effect_ended(EffectKind::not_sent, "no time left to send anything");
    }
    return run(call, *effect, Deadline(call.context.timeout));
  } catch (const std::exception& e) {
    return effect_ended(EffectKind::unknown, std::string("a fault of this program: ") + e.what());
  }
}

EffectResult PostgresTarget::run(const Call& call, const PostgresEffect& effect,
                                 const Deadline& deadline) {
  auto begun = begin({.mode = "ISOLATION LEVEL " + effect.isolation + " READ WRITE",
                      .application = application_of(call.context)},
                     deadline);
  if (!begun.has_value()) {
    return effect_ended(EffectKind::not_sent,
                        begun.error().error.message + "; nothing but BEGIN was sent");
  }
  pg::Session& session = begun->lease.session();
  const std::string fingerprint = sha256(json::canonical(call.request)).hex();
  const auto claimed = marker_.claim(session, call.context, fingerprint, deadline);
  if (!claimed.has_value()) {
    EffectResult result = undone(claimed.error(), explained(claimed.error()), true);
    session.rollback();
    return result;
  }
  if (!*claimed) return already(*begun, call.context, fingerprint, deadline);
  auto carried = carry_out(session, effect, deadline);
  if (!carried.has_value()) {
    session.rollback();
    return std::move(carried).error();
  }
  const auto xid = marker_.record(session, call.context, *carried, deadline);
  if (!xid.has_value()) {
    EffectResult result = undone(xid.error(), "the marker", pg::is_transient(xid.error()));
    session.rollback();
    return result;
  }
  return finish(session, *xid, std::move(carried).value(), deadline);
}

Result<std::string, EffectResult> PostgresTarget::carry_out(pg::Session& session,
                                                            const PostgresEffect& effect,
                                                            const Deadline& deadline) const {
  TRUED_ASSERT(!effect.statements.empty());
  pg::Rows last;
  for (std::size_t i = 0; i < effect.statements.size(); ++i) {
    const PostgresStatement& statement = effect.statements.at(i);
    auto rows = session.execute(statement.sql, statement.parameters, kEffectLimits, deadline);
    if (!rows.has_value()) {
      return undone(rows.error(), statement_name(effect, i), pg::is_transient(rows.error()));
    }
    if (statement.expect_rows && *statement.expect_rows != rows->count) {
      return effect_ended(EffectKind::rejected_final,
                          statement_name(effect, i) + ": expected " +
                              std::to_string(*statement.expect_rows) + " row(s), seen " +
                              std::to_string(rows->count) + "; rolled back");
    }
    last = std::move(rows).value();
  }
  auto json = rows_to_json(last);
  if (!json.has_value()) {
    return effect_ended(EffectKind::rejected_final, json.error().message + "; rolled back");
  }
  return effect_result(last.count, last.truncated, std::move(json).value(), kResultBytesMax);
}

EffectResult PostgresTarget::finish(pg::Session& session, const std::string& xid,
                                    std::string result, const Deadline& deadline) const {
  if (deadline.over()) {
    session.rollback();
    return effect_ended(EffectKind::rejected_retryable,
                        "no time was left for COMMIT, so it was rolled back");
  }
  const auto committed = session.commit(deadline);
  if (!committed.has_value()) {
    const PgError& e = committed.error();
    if (e.error.happened == Happened::no) {
      EffectResult refused = undone(e, "COMMIT", e.sqlstate.empty() || pg::is_transient(e));
      session.rollback();
      return refused;
    }
    return effect_ended(
        EffectKind::unknown,
        "COMMIT was sent, and whether it was carried out was not heard: " + e.error.message);
  }
  if (!committed->replicated) {
    return effect_ended(EffectKind::unknown,
                        std::string("committed, but ") + kNotReplicated +
                            "the wait for it was cancelled; a failover now would undo it");
  }
  EffectResult done = effect_acknowledged(true, xid);
  done.ended.result = std::move(result);
  return done;
}

// The claim found a row that it may not take over.
EffectResult PostgresTarget::already(Begun& begun, const CallContext& context,
                                     const std::string& fingerprint,
                                     const Deadline& deadline) const {
  pg::Session& session = begun.lease.session();
  auto looked = marker_.look(session, context.identity, deadline);
  session.rollback();
  if (!looked.has_value()) return undone(looked.error(), explained(looked.error()), true);
  const std::optional<Marker>& marker = *looked;
  if (!marker) {
    return effect_ended(EffectKind::rejected_retryable,
                        "the marker row was there and is gone; nothing was executed");
  }
  if (!marker->attempt) {
    return effect_ended(EffectKind::rejected_retryable,
                        "attempt " + std::to_string(context.attempt.value()) +
                            " was given up: a probe has refused all up to number " +
                            std::to_string(marker->refused) + "; nothing was executed");
  }
  // Another operation of the same identity: a ledger that was lost, or a key used again later.
  if (marker->operation != to_string(context.operation) && marker->fingerprint != fingerprint) {
    return effect_ended(EffectKind::rejected_final,
                        "operation " + marker->operation +
                            " has executed another effect under this identity (marker " +
                            marker_.name() + ", transaction " + marker->xid +
                            "); nothing was executed now");
  }
  if (begun.replicates) {
    const std::string why = not_replicated(session, deadline);
    if (!why.empty()) {
      return effect_ended(EffectKind::unknown,
                          "it happened before, but " + std::string(kNotReplicated) + why);
    }
  }
  EffectResult done = effect_acknowledged(false, marker->xid);
  done.ended.result = marker->result;
  return done;
}

// ---- probes -------------------------------------------------------------------------------------

Probed PostgresTarget::probe(const CallContext& context) {
  try {
    if (context.timeout <= Duration{0}) return maybe("no time left to ask");
    return ask(context, Deadline(context.timeout));
  } catch (const std::exception& e) {
    return maybe(std::string("a fault of this program: ") + e.what());
  }
}

Result<Marker, PgError> PostgresTarget::refuse_by_force(pg::Session& session,
                                                        const CallContext& context,
                                                        const Deadline& deadline) const {
  session.rollback();
  const Begin how{.mode = kReadWrite, .application = kApplication};
  auto begun = begin_on(session, how, deadline);
  if (!begun.has_value()) return std::move(begun).error();
  auto ended = MarkerTable::end_attempts(session, context, deadline);
  // Whether they could be ended shows in what follows; what they did, too.
  session.rollback();
  const Duration left = deadline.left();
  begun = begin_on(session,
                   {.mode = kReadWrite,
                    .application = kApplication,
                    .lock_timeout = std::max(left - commit_share(left), Duration{1})},
                   deadline);
  if (!begun.has_value()) return std::move(begun).error();
  auto marker = marker_.refuse(session, context, deadline);
  if (marker.has_value() || ended.has_value()) return marker;
  PgError e = std::move(marker).error();
  e.error.message += "; the attempt could not be ended: " + ended.error().error.message;
  return e;
}

Probed PostgresTarget::ask(const CallContext& context, const Deadline& deadline) {
  // An attempt that is about to end gets a moment to do so by itself.
  const Duration grace = std::clamp(deadline.left() / 4, Duration{10}, Duration{2'000});
  auto begun =
      begin({.mode = kReadWrite, .application = kApplication, .lock_timeout = grace}, deadline);
  if (!begun.has_value()) return maybe(begun.error().error.message);
  pg::Session& session = begun->lease.session();
  auto marker = marker_.refuse(session, context, deadline);
  constexpr const char* kLockNotAvailable = "55P03";
  if (!marker.has_value() && marker.error().sqlstate == kLockNotAvailable) {
    marker = refuse_by_force(session, context, deadline);
  }
  if (!marker.has_value()) {
    const PgError& e = marker.error();
    session.rollback();
    return maybe(e.sqlstate == kLockNotAvailable
                     ? "an attempt still holds the marker row, and could not be ended: " +
                           e.error.message
                     : explained(e));
  }
  const auto committed = session.commit(deadline);
  if (!committed.has_value()) return maybe("the refusal: " + committed.error().error.message);
  if (!committed->replicated) {
    return maybe(std::string("what was found is not final: ") + kNotReplicated +
                 "the wait for it was cancelled");
  }
  Probed probed;
  probed.happened = marker->attempt ? Happened::yes : Happened::no;
  if (marker->attempt) {
    probed.version = marker->xid;
    probed.result = marker->result;
  }
  return probed;
}

// ---- reads --------------------------------------------------------------------------------------

RawRead PostgresTarget::read(const Call& call) {
  Stopwatch watch;
  RawRead out;
  try {
    const auto read = parse_postgres_read(call.request);
    if (!read.has_value()) {
      out = read_unreadable(read.error().message);
    } else if (call.context.timeout <= Duration{0}) {
      out = read_unreadable("no time left to read");
    } else {
      out = fetch(*read, Deadline(call.context.timeout));
    }
  } catch (const std::exception& e) {
    out = read_unreadable(std::string("a fault of this program: ") + e.what());
  }
  out.latency = watch.elapsed();
  return out;
}

RawRead PostgresTarget::fetch(const PostgresRead& read, const Deadline& deadline) {
  auto begun = begin({.mode = kReadOnly, .application = kApplication}, deadline);
  if (!begun.has_value()) return read_unreadable(begun.error().error.message);
  pg::Session& session = begun->lease.session();
  const pg::Limits limits;
  auto rows = session.execute(read.statement.sql, read.statement.parameters, limits, deadline);
  session.rollback();
  if (!rows.has_value()) return read_unreadable(rows.error().error.message);
  if (rows->truncated) {
    return read_unreadable("more than " + std::to_string(limits.rows_max) + " rows or " +
                           std::to_string(limits.bytes_max) + " bytes; ask for less");
  }
  if (read.single && rows->count > 1) {
    return read_unreadable(std::to_string(rows->count) +
                           " rows, where 'single' asks for one; narrow the WHERE");
  }
  auto json = rows_to_json(*rows);
  if (!json.has_value()) return read_unreadable(json.error().message);
  const std::string server = session.server();
  if (begun->replicates) {
    const std::string why = not_replicated(session, deadline);
    if (!why.empty()) return read_unreadable(kNotReplicated + why);
  }
  RawRead out;
  if (!read.single) {
    out = read_found(json::canonical(json::Value(std::move(json).value())), "");
  } else if (json->empty()) {
    out = read_absent("");
  } else {
    out = read_found(json::canonical(json->front()), "");
  }
  out.served_by = server;
  return out;
}

}  // namespace trued
