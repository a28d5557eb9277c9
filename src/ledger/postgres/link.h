// link.h: one connection to the server of a ledger, opened by connect() and by nothing else: what
// belongs to a transaction cannot come to be sent outside of it. Private.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/postgres/postgres_place.h"
#include "pg/session.h"

namespace trued::postgres {

/// Where a ledger is: parsed, and with its schema's name as it stands in statements.
struct Site {
  pg::ConnInfo info;
  std::string schema;  ///< as it was given
  std::string prefix;  ///< "\"trued\"."

  [[nodiscard]] static Result<Site> parse(const PostgresPlace& place);
  /// `text` with every '@' replaced by the prefix: "SELECT … FROM @head".
  [[nodiscard]] std::string sql(std::string_view text) const;
  /// "postgresql://host/db, schema trued", for people.
  [[nodiscard]] std::string shown() const;
};

class Link {
 public:
  /// `always`: a commit waits for the disk even where synchronous_commit is off.
  enum class Flush : std::uint8_t { as_set, always };

  /// `by_index`: for statements that look up few rows of many. What was planned while the tables
  /// were empty would otherwise walk through them when they no longer are.
  enum class Plans : std::uint8_t { free, by_index };

  Link(const Site& site, std::string application, Duration call_max, Flush flush = Flush::as_set,
       Plans plans = Plans::free)
      : site_(site),
        application_(std::move(application)),
        call_max_(call_max),
        flush_(flush),
        plans_(plans) {}

  /// Connects unless a connection stands. What fails is `happened = no`.
  [[nodiscard]] Result<void, pg::PgError> connect();
  /// One statement, parsed once a connection, in call_max at most. `text` as for Site::sql().
  [[nodiscard]] Result<pg::Rows, pg::PgError> ask(std::string_view text,
                                                  const pg::Parameters& parameters = {});
  [[nodiscard]] Result<pg::Rows, pg::PgError> script(std::string_view text);
  [[nodiscard]] Result<pg::Committed, pg::PgError> commit();
  void rollback() {
    if (session_) session_->rollback();
  }
  void close() { session_.reset(); }
  [[nodiscard]] bool is_closed() const { return !session_ || session_->lost(); }
  /// Session::hear() on the connection that stands.
  [[nodiscard]] Result<bool, pg::PgError> hear(const pg::Deadline& deadline);
  /// True if the server said, since the last call of this, that it stopped waiting for standbys.
  [[nodiscard]] bool lost_replication();
  [[nodiscard]] const Site& site() const { return site_; }
  [[nodiscard]] Duration call_max() const { return call_max_; }

 private:
  const Site& site_;
  const std::string application_;
  const Duration call_max_;
  const Flush flush_;
  const Plans plans_;
  std::optional<pg::Session> session_;
};

/// What a ledger's connections rely on, whatever a role or a database is set to. Not what decides
/// on durability: that is the engine's and its operator's.
[[nodiscard]] Result<void, pg::PgError> prepare_session(pg::Session& session, Duration call_max);

/// See Link::Plans::by_index.
[[nodiscard]] Result<void, pg::PgError> plan_by_index(pg::Session& session, Duration call_max);

/// Of an answer whose rows are all needed. `too_large` if it was cut.
[[nodiscard]] const pg::Limits& whole();
[[nodiscard]] Error plain(const Site& site, const pg::PgError& e);

}  // namespace trued::postgres
