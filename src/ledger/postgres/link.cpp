#include "ledger/postgres/link.h"

#include <utility>

#include "base/assert.h"
#include "pg/text.h"

namespace trued::postgres {
namespace {

constexpr std::size_t kNameMax = 63;  // what PostgreSQL keeps of an identifier

// Nothing was sent: what belongs into a transaction is never sent outside of it.
pg::PgError gone() {
  pg::PgError e;
  e.lost = true;
  e.error = {
      .code = ErrorCode::unavailable, .retryable = true, .message = "the connection is closed"};
  return e;
}

}  // namespace

Result<Site> Site::parse(const PostgresPlace& place) {
  Site site;
  TRUED_TRY(site.info, pg::ConnInfo::parse(place.url, place.password));
  site.schema = place.schema;
  if (site.schema.empty() || site.schema.size() > kNameMax ||
      site.schema.find('\0') != std::string::npos || site.schema.find('@') != std::string::npos) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "a ledger's schema has a name of 1 to 63 bytes, without '@'"};
  }
  site.prefix = pg::quoted_identifier(site.schema) + ".";
  return site;
}

std::string Site::sql(std::string_view text) const {
  return pg::replaced(std::string(text), "@", prefix);
}

std::string Site::shown() const { return info.shown() + ", schema " + schema; }

Result<void, pg::PgError> prepare_session(pg::Session& session, Duration call_max) {
  // A client that was stopped, or cut off, must not hold the head of the ledger for longer than it
  // would wait itself. Compiling statements costs more here than it gains.
  const std::string settings =
      "SET default_transaction_isolation='read committed'; SET default_transaction_read_only=off;"
      "SET client_min_messages=warning; SET bytea_output=hex; SET standard_conforming_strings=on;"
      "SET jit=off; SET statement_timeout=0; SET lock_timeout=0;"
      "SET idle_in_transaction_session_timeout=" +
      std::to_string(call_max.count());
  TRUED_TRY_VOID(session.script(settings, pg::Deadline(call_max)));
  // Not every server can; it only ends sooner what nobody waits for any more.
  auto checked =
      session.script("SET client_connection_check_interval=2000", pg::Deadline(call_max));
  if (!checked.has_value() && checked.error().lost) return std::move(checked).error();
  return {};
}

Result<void, pg::PgError> plan_by_index(pg::Session& session, Duration call_max) {
  TRUED_TRY_VOID(
      session.script("SET enable_seqscan=off; SET enable_hashjoin=off; SET enable_mergejoin=off;"
                     "SET plan_cache_mode=force_generic_plan",
                     pg::Deadline(call_max)));
  return {};
}

Result<void, pg::PgError> Link::connect() {
  if (session_ && session_->healthy()) return {};
  session_.reset();
  const pg::Deadline deadline(call_max_);
  TRUED_TRY(pg::Session opened, pg::Session::open(site_.info, application_, deadline));
  if (auto ready = prepare_session(opened, call_max_); !ready.has_value()) {
    ready.error().error.happened = Happened::no;
    return std::move(ready).error();
  }
  if (plans_ == Plans::by_index) TRUED_TRY_VOID(plan_by_index(opened, call_max_));
  if (flush_ == Flush::always) {
    TRUED_TRY_VOID(
        opened.script("SELECT set_config('synchronous_commit', 'local', false) WHERE "
                      "current_setting('synchronous_commit') = 'off'",
                      deadline));
  }
  TRUED_ASSERT(!session_);
  session_ = std::move(opened);
  return {};
}

Result<pg::Rows, pg::PgError> Link::ask(std::string_view text, const pg::Parameters& parameters) {
  if (!session_) return gone();
  (void)session_->take_notices();
  (void)session_->take_lost_replication();
  auto rows =
      session_->execute_prepared(site_.sql(text), parameters, whole(), pg::Deadline(call_max_));
  if (session_->lost()) session_.reset();
  if (rows.has_value() && rows->truncated) {
    pg::PgError e;
    e.error = {.code = ErrorCode::too_large, .message = "an answer of the ledger was too large"};
    return e;
  }
  return rows;
}

Result<pg::Rows, pg::PgError> Link::script(std::string_view text) {
  if (!session_) return gone();
  auto rows = session_->script(site_.sql(text), pg::Deadline(call_max_));
  if (session_->lost()) session_.reset();
  return rows;
}

Result<pg::Committed, pg::PgError> Link::commit() {
  if (!session_) return gone();
  auto committed = session_->commit(pg::Deadline(call_max_));
  if (session_->lost()) session_.reset();
  return committed;
}

Result<bool, pg::PgError> Link::hear(const pg::Deadline& deadline) {
  if (!session_) return gone();
  auto heard = session_->hear(deadline);
  if (session_->lost()) session_.reset();
  return heard;
}

bool Link::lost_replication() {
  if (!session_) return false;
  return session_->take_lost_replication();
}

const pg::Limits& whole() {
  static constexpr pg::Limits kWhole{.rows_max = 10'000'000, .bytes_max = std::uint64_t{4} << 30};
  return kWhole;
}

Error plain(const Site& site, const pg::PgError& e) {
  Error error = e.error;
  // What a failed connection says begins with where it led.
  const std::string named = site.info.shown() + ": ";
  if (error.message.starts_with(named)) error.message.erase(0, named.size());
  error.message = "the ledger at " + site.shown() + ": " + site.info.without_secrets(error.message);
  return error;
}

}  // namespace trued::postgres
