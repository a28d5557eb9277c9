#include <memory>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/random.h"
#include "ledger/postgres/audit.h"
#include "ledger/postgres/copy_tables.h"
#include "ledger/postgres/postgres_copy.h"
#include "ledger/postgres/schema.h"
#include "ledger/postgres/unfinished.h"
#include "ledger/postgres/values.h"
#include "pg/text.h"

namespace trued {
namespace postgres {
namespace {

// `run` is drawn by each run: every statement that writes asks for it, so what one that was killed
// or cut off still has on its way does nothing once another goes on.
constexpr const char* kCopying =
    "CREATE TABLE @copying(one boolean PRIMARY KEY DEFAULT true CHECK (one), run text NOT NULL, "
    "pages bigint NOT NULL, oldest integer NOT NULL, source bytea NOT NULL, batch bigint NOT NULL, "
    "hash bytea NOT NULL)";
constexpr const char* kMine =
    "WITH mine AS (UPDATE @copying SET pages = pages + 1 WHERE run = $1::text RETURNING 1 AS one) ";

class Destination final : public CopyDestination {
 public:
  explicit Destination(Site site)
      : site_(std::move(site)), link_(site_, "trued ledger copy", kCopyPatience) {
    SystemRandom random;
    const std::uint64_t word = random.next();
    run_ = hex_encode({reinterpret_cast<const char*>(&word), sizeof word});
    TRUED_ASSERT(!run_.empty());
  }

  std::string name() const override { return site_.shown(); }
  Result<std::string> identity() override { return read_identity(link_); }
  std::string how_to_remove() const override { return dropping(site_); }
  Result<Found> look() override;
  Result<LedgerFrame> frame() override { return read_frame(link_); }
  Result<std::array<std::uint64_t, kCopyTables>> counts() override { return count_rows(link_); }
  Result<std::vector<CopyRow>> rows(const CopyTable& table, std::uint64_t after,
                                    const CopyPage& page) override {
    return read_rows(link_, table, after, page);
  }
  Result<AuditReport> audit(const CopyProgress& progress) override {
    return audit_tables(link_, version_, progress);
  }
  Result<CopyOrigin> origin() override;
  Result<void> resume() override;
  Result<void> begin_anew(const CopyOrigin& origin) override;
  Result<void> create(const CopyOrigin& origin) override;
  Result<std::uint64_t> last(const CopyTable& table) override;
  Result<void> add(const CopyTable& table, const std::vector<CopyRow>& rows) override;
  Result<void> set_frame(const LedgerFrame& frame) override;
  Result<void> finish() override;

 private:
  Result<void> note(const CopyOrigin& origin);
  Result<void> script(std::string_view sql) {
    auto done = link_.script(sql);
    if (!done.has_value()) return plain(site_, done.error());
    return {};
  }
  Result<void> commit();
  /// All of `work` or nothing of it.
  Result<void> at_once(const std::function<Result<void>()>& work);
  Result<void> hold();
  Error overtaken() const;

  const Site site_;
  Link link_;
  std::string run_;
  int version_ = kPostgresSchema;
};

Error Destination::overtaken() const {
  return {.code = ErrorCode::already_exists,
          .retryable = true,
          .message = "another 'trued ledger copy' goes on with the copy at " + name()};
}

Result<CopyDestination::Found> Destination::look() {
  if (auto up = link_.connect(); !up.has_value()) return plain(site_, up.error());
  TRUED_TRY(const pg::Rows rows,
            ask(link_,
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = $1::text",
                {site_.schema}));
  std::set<std::string> there;
  for (const auto& values : rows.values) there.insert(Fields(values).text());
  if (there.contains("head")) {
    if (there.contains("copying")) return Found::unfinished;
    TRUED_TRY(version_, schema_version(link_));
    return Found::ledger;
  }
  if (there.empty()) return Found::nothing;
  return Error{.code = ErrorCode::conflict,
               .message = "the schema " + site_.schema + " at " + site_.info.shown() +
                          " holds something else (" + *there.begin() +
                          "), and a copy needs an empty place: name another with --schema"};
}

Result<CopyOrigin> Destination::origin() {
  TRUED_TRY(const pg::Rows rows,
            ask(link_, "SELECT c.source, c.batch, c.hash, h.version FROM @copying c, @head h"));
  CopyOrigin origin;
  std::optional<Digest> hash;
  int version = 0;
  if (rows.values.size() == 1) {
    Fields row(rows.values.front());
    origin.source = row.bytes();
    origin.batch = row.number();
    hash = digest_of(row.bytes());
    version = static_cast<int>(row.integer());
    TRUED_TRY_VOID(row.check());
  }
  if (!hash || version != kPostgresSchema) {
    return Error{
        .code = hash ? ErrorCode::unsupported : ErrorCode::conflict,
        .message = name() + " is an unfinished copy that " +
                   (hash ? "a program of another version began" : "does not say what it is of") +
                   ": take it away (" + how_to_remove() + ")"};
  }
  origin.hash = *hash;
  return origin;
}

Result<void> Destination::commit() {
  const auto committed = link_.commit();
  if (!committed.has_value()) return plain(site_, committed.error());
  if (committed->replicated) return {};
  return Error{.code = ErrorCode::unavailable,
               .happened = Happened::maybe,
               .retryable = true,
               .message = "the ledger at " + name() +
                          ": the server stopped waiting for its standbys, and what was written "
                          "stands on its primary alone"};
}

Result<void> Destination::at_once(const std::function<Result<void>()>& work) {
  TRUED_ASSERT(work != nullptr);
  TRUED_TRY_VOID(script("BEGIN"));
  auto done = work();
  if (done.has_value()) return commit();
  link_.rollback();
  return done;
}

// Until the end of the transaction.
Result<void> Destination::hold() {
  TRUED_TRY(const pg::Rows mine,
            ask(link_, "UPDATE @copying SET pages = pages + 1 WHERE run = $1::text", {run_}));
  return mine.count == 1 ? Result<void>{} : overtaken();
}

// Waits for what another run has under way; what that sends later finds another run.
Result<void> Destination::resume() {
  TRUED_TRY(const pg::Rows taken, ask(link_, "UPDATE @copying SET run = $1::text", {run_}));
  return taken.count == 1 ? Result<void>{} : overtaken();
}

Result<void> Destination::note(const CopyOrigin& origin) {
  TRUED_TRY(
      const pg::Rows noted,
      ask(link_,
          "INSERT INTO @copying(run, pages, oldest, source, batch, hash) SELECT $1::text, 0, "
          "oldest, $2::bytea, $3::bigint, $4::bytea FROM @head",
          {run_, bytea(origin.source), std::to_string(origin.batch), bytea(blob_of(origin.hash))}));
  TRUED_TRY(const pg::Rows marked,
            ask(link_, "UPDATE @head SET oldest = $1::integer", {std::to_string(kUnfinishedCopy)}));
  return {};
}

Result<void> Destination::begin_anew(const CopyOrigin& origin) {
  TRUED_TRY_VOID(resume());
  return at_once([&]() -> Result<void> {
    TRUED_TRY_VOID(hold());
    for (const CopyTable& table : copy_tables()) {
      TRUED_TRY_VOID(script("TRUNCATE @" + std::string(table.name)));
    }
    TRUED_TRY(
        const pg::Rows noted,
        ask(link_, "UPDATE @copying SET source = $1::bytea, batch = $2::bigint, hash = $3::bytea",
            {bytea(origin.source), std::to_string(origin.batch), bytea(blob_of(origin.hash))}));
    return {};
  });
}

Result<void> Destination::create(const CopyOrigin& origin) {
  version_ = kPostgresSchema;
  return create_schema(link_, [&]() -> Result<void> {
    TRUED_TRY_VOID(script(kCopying));
    return note(origin);
  });
}

Result<std::uint64_t> Destination::last(const CopyTable& table) {
  TRUED_TRY(const pg::Rows rows,
            ask(link_, "SELECT coalesce(max(" + std::string(table.columns.front().name) +
                           "), 0) FROM @" + table.name));
  Fields row(rows.values.front());
  const std::uint64_t key = row.number();
  TRUED_TRY_VOID(row.check());
  return key;
}

void add_cell(Column& column, const CopyCell& cell) {
  if (const auto* number = std::get_if<std::int64_t>(&cell)) {
    column.add(*number);
  } else if (const auto* bytes = std::get_if<std::string>(&cell)) {
    column.add(std::string_view(*bytes));
  } else {
    column.add_null();
  }
}

Result<void> Destination::add(const CopyTable& table, const std::vector<CopyRow>& rows) {
  std::string arrays;
  pg::Parameters parameters{run_};
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const bool number = table.columns[i].kind == CellKind::number;
    arrays += (arrays.empty() ? "$" : ", $") + std::to_string(i + 2) +
              (number ? "::bigint[]" : "::bytea[]");
    Column column(number ? Column::Element::number : Column::Element::bytes);
    for (const CopyRow& row : rows) add_cell(column, row.at(i));
    parameters.emplace_back(column.parameter());
  }
  TRUED_ASSERT(!rows.empty() && parameters.size() == table.columns.size() + 1);
  const std::string columns = column_list(table);
  TRUED_TRY(
      const pg::Rows added,
      ask(link_,
          kMine + ("INSERT INTO @" + std::string(table.name)) + "(" + columns + ") SELECT " +
              column_list(table, "u.") + " FROM mine, unnest(" + arrays + ") AS u(" + columns + ")",
          parameters));
  return added.count == rows.size() ? Result<void>{} : overtaken();
}

// Nobody has held it; an epoch goes on where the source's was.
Result<void> Destination::set_frame(const LedgerFrame& frame) {
  const auto text = [](std::uint64_t number) { return std::to_string(number); };
  TRUED_TRY(const pg::Rows set,
            ask(link_,
                std::string(kMine) +
                    ", begins AS (UPDATE @base SET batch = $2::bigint, sequence = $3::bigint, "
                    "hash = $4::bytea, tombs = $5::bytea FROM mine), "
                    "held AS (UPDATE @holder SET epoch = $6::bigint FROM mine) "
                    "UPDATE @head SET epoch = $6::bigint, batch = $7::bigint, sequence = "
                    "$8::bigint, operation = $9::bigint, hash = $10::bytea, ledger = "
                    "coalesce(nullif($11::text, '')::uuid, ledger) FROM mine",
                {run_, text(frame.base.batch), text(frame.base.sequence),
                 bytea(blob_of(frame.base.hash)), bytea(blob_of(frame.base.tombs)),
                 text(frame.epoch), text(frame.ends.batch), text(frame.ends.sequence),
                 text(frame.ends.operation), bytea(blob_of(frame.ends.hash)), frame.uuid}));
  if (set.count != 1) return overtaken();
  // What was planned for empty tables would walk through full ones.
  for (const CopyTable& table : copy_tables()) {
    TRUED_TRY_VOID(script("ANALYZE @" + std::string(table.name)));
  }
  return {};
}

Result<void> Destination::finish() {
  auto done = at_once([&]() -> Result<void> {
    TRUED_TRY_VOID(hold());
    TRUED_TRY_VOID(script("UPDATE @head SET oldest = (SELECT oldest FROM @copying)"));
    return script("DROP TABLE @copying");
  });
  if (!done.has_value() && done.error().code != ErrorCode::already_exists) {
    done.error().happened = Happened::maybe;
  }
  return done;
}

}  // namespace
}  // namespace postgres

Result<std::unique_ptr<CopyDestination>> open_postgres_destination(const PostgresPlace& place) {
  TRUED_TRY(postgres::Site site, postgres::Site::parse(place));
  return std::make_unique<postgres::Destination>(std::move(site));
}

}  // namespace trued
