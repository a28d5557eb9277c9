#include "ledger/postgres/schema.h"

#include <array>
#include <string>

#include "ledger/postgres/unfinished.h"
#include "ledger/postgres/values.h"
#include "pg/text.h"

namespace trued::postgres {
namespace {

// Step n brings version n to n + 1. Never edited once released: a change is a new entry. One that
// only adds leaves `oldest` as it is.
constexpr const char* kFirst = R"sql(
CREATE TABLE @head(
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  ledger uuid NOT NULL DEFAULT gen_random_uuid(),
  version integer NOT NULL,
  oldest integer NOT NULL,
  epoch bigint NOT NULL,
  holder text NOT NULL,
  settled bigint NOT NULL,
  batch bigint NOT NULL,
  sequence bigint NOT NULL,
  operation bigint NOT NULL,
  hash bytea NOT NULL
);
CREATE TABLE @holder(
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch bigint NOT NULL,
  holder text NOT NULL,
  node text NOT NULL,
  beat bigint NOT NULL,
  lease bigint NOT NULL,
  released boolean NOT NULL
);
CREATE TABLE @operation(
  no bigint PRIMARY KEY,
  id bytea NOT NULL,
  identity bytea NOT NULL,
  state integer NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint,
  last bigint NOT NULL,
  scope bytea NOT NULL,
  type bytea NOT NULL,
  key bytea NOT NULL,
  target bytea NOT NULL,
  body bytea NOT NULL,
  CONSTRAINT operation_id UNIQUE (id),
  CONSTRAINT operation_identity UNIQUE (identity)
);
CREATE INDEX operation_attention ON @operation(state, no)
  WHERE (state < 4 OR state BETWEEN 8 AND 10);
CREATE INDEX operation_expiry ON @operation(expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE @intent(no bigint PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE @record(
  sequence bigint PRIMARY KEY,
  batch bigint NOT NULL,
  operation bigint NOT NULL,
  previous bigint NOT NULL,
  at bigint NOT NULL,
  body bytea,
  digest bytea
);
CREATE TABLE @batch(
  no bigint PRIMARY KEY,
  at bigint NOT NULL,
  records bigint NOT NULL,
  hash bytea NOT NULL
);
CREATE TABLE @tombstone(
  operation bigint PRIMARY KEY,
  identity bytea NOT NULL,
  id bytea NOT NULL,
  fingerprint bytea NOT NULL,
  state integer NOT NULL,
  settled_at bigint NOT NULL,
  retired_at bigint NOT NULL,
  record bigint NOT NULL,
  CONSTRAINT tombstone_identity UNIQUE (identity)
);
CREATE INDEX tombstone_record ON @tombstone(record);
CREATE TABLE @base(
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  batch bigint NOT NULL,
  sequence bigint NOT NULL,
  hash bytea NOT NULL,
  tombs bytea NOT NULL
);
INSERT INTO @base(batch, sequence, hash, tombs)
  VALUES (0, 1, decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'));
INSERT INTO @holder(epoch, holder, node, beat, lease, released) VALUES (0, '', '', 0, 0, true);
INSERT INTO @head(version, oldest, epoch, holder, settled, batch, sequence, operation, hash)
  VALUES (0, 1, 0, '', 0, 0, 1, 0, decode(repeat('00', 32), 'hex'));
)sql";

// Who can be spoken to, and where. An older program that takes the ledger leaves the URL of whoever
// had it before: it counts only with the epoch that it was written for.
constexpr const char* kNodes = R"sql(
ALTER TABLE @holder ADD COLUMN url text NOT NULL DEFAULT '';
ALTER TABLE @holder ADD COLUMN url_epoch bigint NOT NULL DEFAULT 0;
CREATE TABLE @node(
  instance text PRIMARY KEY,
  name text NOT NULL,
  url text NOT NULL,
  version text NOT NULL,
  role text NOT NULL,
  epoch bigint NOT NULL,
  detail text NOT NULL,
  beat bigint NOT NULL,
  began timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen timestamptz NOT NULL DEFAULT clock_timestamp()
);
)sql";

// Who took the ledger when, and where its chain stood then. Written by the statement that raises
// the epoch; an older program leaves a gap among the epochs, and nobody is named for it.
constexpr const char* kTenures = R"sql(
CREATE TABLE @tenure(
  epoch bigint PRIMARY KEY,
  node text NOT NULL,
  holder text NOT NULL,
  batch bigint NOT NULL,
  hash bytea NOT NULL,
  began timestamptz NOT NULL DEFAULT clock_timestamp()
);
)sql";

struct Step {
  const char* sql;
  int oldest;  ///< program that may use the tables afterwards
};
constexpr std::array<Step, kPostgresSchema> kSteps{Step{kFirst, 1}, Step{kNodes, 1},
                                                   Step{kTenures, 1}};

// "Trued" in ASCII; together with the schema's name what the lock of the creation is about.
constexpr const char* kLock = "1416786276";

Error newer(const Site& site, int version, int oldest) {
  return {.code = ErrorCode::unsupported,
          .message = "the ledger at " + site.shown() + " has schema version " +
                     std::to_string(version) + " and can be used by programs from version " +
                     std::to_string(oldest) + " on; this program knows up to " +
                     std::to_string(kPostgresSchema) + ": use the newer program that wrote it"};
}

// Whether there is a ledger, without an error that would end a transaction. Not by to_regclass():
// it answers from what the connection remembers, also when somebody created it meanwhile.
Result<bool> is_there(Link& link) {
  auto rows = link.script(
      "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = "
      "c.relnamespace WHERE c.relname = 'head' AND n.nspname = " +
      pg::quoted_literal(link.site().schema) + ")");
  if (!rows.has_value()) return plain(link.site(), rows.error());
  if (rows->values.size() != 1) return false;
  Fields row(rows->values.front());
  return row.truth();
}

Result<int> version_of(Link& link) {
  auto rows = link.script("SELECT version, oldest FROM @head");
  if (!rows.has_value()) return plain(link.site(), rows.error());
  if (rows->values.size() != 1) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the ledger at " + link.site().shown() +
                            " has no head: see what 'trued audit' says of it"};
  }
  Fields row(rows->values.front());
  const auto version = static_cast<int>(row.integer());
  const auto oldest = static_cast<int>(row.integer());
  TRUED_TRY_VOID(row.check());
  if (oldest == kUnfinishedCopy) return unfinished(link);
  if (oldest > kPostgresSchema) return newer(link.site(), version, oldest);
  return version;
}

// Up to the newest version that `older` allows for. What a newer program only added to stays as it
// is: version_of() has asked who may use it.
int goal_of(int version, Bring older) {
  if (version >= kPostgresSchema) return version;
  if (older == Bring::forward) return kPostgresSchema;
  const int oldest = version == 0 ? kPostgresSchema : kSteps.at(std::size_t(version) - 1).oldest;
  int goal = version;
  while (goal < kPostgresSchema && kSteps.at(std::size_t(goal)).oldest <= oldest) ++goal;
  return goal;
}

Result<void> bring_forward(Link& link, int version, int goal) {
  for (; version < goal; ++version) {
    const Step& step = kSteps.at(std::size_t(version));
    auto done = link.script(step.sql);
    if (!done.has_value()) return plain(link.site(), done.error());
    auto stamped = link.script("UPDATE @head SET version=" + std::to_string(version + 1) +
                               ", oldest=" + std::to_string(step.oldest));
    if (!stamped.has_value()) return plain(link.site(), stamped.error());
  }
  return {};
}

// In a transaction that holds the lock. `more` belongs to a creation, and asks for one.
Result<void> create_or_bring(Link& link, Bring older,
                             const std::function<Result<void>()>& more = {}) {
  const std::string schema = pg::quoted_identifier(link.site().schema);
  auto begun = link.script("BEGIN; SELECT pg_advisory_xact_lock(" + std::string(kLock) +
                           ", hashtext(" + pg::quoted_literal(link.site().schema) + "))");
  if (!begun.has_value()) return plain(link.site(), begun.error());
  TRUED_TRY(const bool there, is_there(link));
  int version = 0;
  if (there && more) {
    return Error{.code = ErrorCode::conflict,
                 .message = "somebody made a ledger at " + link.site().shown() + " meanwhile"};
  }
  if (there) {
    TRUED_TRY(version, version_of(link));
  } else {
    // Not IF NOT EXISTS alone: that asks for the right to create schemas where one was prepared.
    auto made = link.script("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname=" +
                            pg::quoted_literal(link.site().schema) + ")");
    if (!made.has_value()) return plain(link.site(), made.error());
    Fields row(made->values.front());
    if (!row.truth()) {
      made = link.script("CREATE SCHEMA " + schema);
      if (!made.has_value()) return plain(link.site(), made.error());
    }
  }
  TRUED_TRY_VOID(bring_forward(link, version, goal_of(version, older)));
  if (more) TRUED_TRY_VOID(more());
  auto committed = link.commit();
  if (!committed.has_value()) return plain(link.site(), committed.error());
  return {};
}

}  // namespace

Result<void> create_schema(Link& link, const std::function<Result<void>()>& more) {
  if (auto up = link.connect(); !up.has_value()) return plain(link.site(), up.error());
  auto done = create_or_bring(link, Bring::additions, more);
  if (!done.has_value()) link.rollback();
  return done;
}

Result<int> schema_version(Link& link) {
  if (auto up = link.connect(); !up.has_value()) return plain(link.site(), up.error());
  TRUED_TRY(const bool there, is_there(link));
  if (!there) {
    return Error{
        .code = ErrorCode::not_found,
        .message = "there is no ledger at " + link.site().shown() + ": 'trued serve' creates one"};
  }
  return version_of(link);
}

Result<void> ensure_schema(Link& link, Bring older) {
  if (auto up = link.connect(); !up.has_value()) return plain(link.site(), up.error());
  TRUED_TRY(const bool there, is_there(link));
  if (there) {
    TRUED_TRY(const int version, version_of(link));
    if (version >= goal_of(version, older)) return {};
  }
  auto done = create_or_bring(link, older);
  if (!done.has_value()) link.rollback();
  return done;
}

}  // namespace trued::postgres
