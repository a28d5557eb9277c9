#include "ledger/postgres/postgres_ledger.h"

#include <mutex>
#include <utility>

#include "ledger/postgres/durability.h"
#include "ledger/postgres/link.h"
#include "ledger/postgres/reader.h"
#include "ledger/postgres/rows.h"
#include "ledger/postgres/schema.h"
#include "ledger/postgres/writer.h"

namespace trued {

using postgres::Column;
using postgres::Fields;
using postgres::Site;
using postgres::Source;
using postgres::Stored;
using postgres::Writer;

class PostgresLedger::Impl {
 public:
  Impl(Site site, const PostgresOptions& options)
      : options_(options),
        // One more than there are readers: what is promised is asked for however busy those are.
        source_(
            std::make_shared<Source>(std::move(site), options.readers_max + 1, options.call_max)),
        writer_(source_->site, options.claim, options.call_max) {}

  Result<void> open() {
    postgres::Link link(source_->site, "trued", options_.call_max);
    TRUED_TRY_VOID(postgres::ensure_schema(link, postgres::Bring::forward));
    TRUED_TRY_VOID(writer_.open());
    TRUED_TRY(newest_, reader()->position());
    tell();
    (void)durability();
    return {};
  }
  Result<std::vector<Known>> load(const std::vector<Identity>& identities);
  Result<std::vector<std::optional<Operation>>> load(const std::vector<OperationId>& ids);
  Result<void> each_open(const std::function<void(Operation&&)>& visit);
  Writer& writer() { return writer_; }
  std::unique_ptr<LedgerReader> reader() { return postgres::make_reader(source_); }
  Result<Durability> durability();
  std::string level() {
    const std::lock_guard lock(mutex_);
    return level_;
  }
  /// What the writer knows to be committed, for whoever asks for the newest().
  void tell() {
    const std::lock_guard lock(mutex_);
    newest_.batch = writer_.batch();
  }
  LedgerPosition newest() {
    const std::lock_guard lock(mutex_);
    return newest_;
  }

 private:
  const PostgresOptions options_;
  const std::shared_ptr<Source> source_;
  Writer writer_;
  std::mutex mutex_;
  std::string level_ = "none";  ///< under mutex_; as last read
  LedgerPosition newest_;       ///< under mutex_
};

Result<std::vector<Known>> PostgresLedger::Impl::load(const std::vector<Identity>& identities) {
  std::vector<Known> known(identities.size());
  if (identities.empty()) return known;
  postgres::Blobs blobs;
  for (const Identity& identity : identities) blobs.add(identity_blob(identity));
  const std::string sql = "SELECT u.n, " + std::string(postgres::kColumns) + ", " +
                          postgres::kGraveColumns +
                          " FROM unnest($1::bytea[]) WITH ORDINALITY AS u(identity, n) "
                          "LEFT JOIN @operation o ON o.identity = u.identity "
                          "LEFT JOIN @tombstone t ON t.identity = u.identity "
                          "WHERE o.no IS NOT NULL OR t.operation IS NOT NULL";
  TRUED_TRY(const pg::Rows rows, writer_.read(sql, {blobs.parameter()}));
  for (const auto& values : rows.values) {
    Fields row(values);
    const std::uint64_t n = row.number();
    TRUED_TRY_VOID(row.check());
    if (n == 0 || n > known.size()) continue;
    if (row.null()) {
      row.skip(postgres::kColumnCount);
      TRUED_TRY(const Grave grave, postgres::read_grave(row));
      known.at(n - 1).tombstone = grave.tombstone;
      continue;
    }
    TRUED_TRY(Stored stored, postgres::read_stored(row));
    writer_.note(stored);
    known.at(n - 1).operation = std::move(stored.operation);
  }
  return known;
}

Result<std::vector<std::optional<Operation>>> PostgresLedger::Impl::load(
    const std::vector<OperationId>& ids) {
  std::vector<std::optional<Operation>> found(ids.size());
  if (ids.empty()) return found;
  postgres::Blobs blobs;
  for (const OperationId& id : ids) blobs.add(id_blob(id));
  TRUED_TRY(const pg::Rows rows,
            writer_.read("SELECT u.n, " + std::string(postgres::kColumns) +
                             " FROM unnest($1::bytea[]) WITH ORDINALITY AS u(id, n) "
                             "JOIN @operation o ON o.id = u.id",
                         {blobs.parameter()}));
  for (const auto& values : rows.values) {
    Fields row(values);
    const std::uint64_t n = row.number();
    TRUED_TRY(Stored stored, postgres::read_stored(row));
    if (n == 0 || n > found.size()) continue;
    writer_.note(stored);
    found.at(n - 1) = std::move(stored.operation);
  }
  return found;
}

// In pages: nothing but this node changes what is open.
Result<void> PostgresLedger::Impl::each_open(const std::function<void(Operation&&)>& visit) {
  const std::string sql = "SELECT " + std::string(postgres::kColumns) +
                          " FROM @operation o WHERE " + kIsOpen +
                          " AND o.no > $1::bigint ORDER BY o.no LIMIT $2::bigint";
  std::uint64_t after = 0;
  while (true) {
    TRUED_TRY(const pg::Rows rows,
              writer_.read(sql, {std::to_string(after), std::to_string(options_.page_rows)}));
    for (const auto& values : rows.values) {
      Fields row(values);
      TRUED_TRY(Stored stored, postgres::read_stored(row));
      after = stored.no;
      writer_.note(stored);
      visit(std::move(stored.operation));
    }
    if (rows.values.size() < options_.page_rows) return {};
  }
}

// Two questions, since not every engine that is asked the first can answer the second.
Result<Durability> PostgresLedger::Impl::durability() {
  TRUED_TRY(const pg::Rows terms, source_->ask(postgres::kReadTerms, {}));
  if (terms.values.size() != 1) {
    return Error{.code = ErrorCode::corrupt, .message = "the server does not show its settings"};
  }
  Fields row(terms.values.front());
  TRUED_TRY(const postgres::Terms now, postgres::read_terms(row));
  if (now.in_recovery) {
    return Error{.code = ErrorCode::unavailable,
                 .retryable = true,
                 .message = "a standby answered: what the primary promises is not known"};
  }
  writer_.terms_elsewhere(now.text);
  const auto followers = source_->ask(postgres::kReadStandbys, {});
  Durability found = postgres::durability_of(
      now, followers.has_value() ? postgres::read_standbys(*followers) : std::nullopt);
  const std::lock_guard lock(mutex_);
  level_ = std::string(to_string(found.level));
  return found;
}

PostgresLedger::PostgresLedger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PostgresLedger::~PostgresLedger() = default;

Result<std::unique_ptr<PostgresLedger>> PostgresLedger::open(const PostgresOptions& options) {
  TRUED_TRY(Site site, Site::parse(options.place));
  auto impl = std::make_unique<Impl>(std::move(site), options);
  TRUED_TRY_VOID(impl->open());
  return std::unique_ptr<PostgresLedger>(new PostgresLedger(std::move(impl)));
}

Result<std::vector<Known>> PostgresLedger::load(const std::vector<Identity>& identities) {
  return impl_->load(identities);
}
Result<std::vector<std::optional<Operation>>> PostgresLedger::load(
    const std::vector<OperationId>& ids) {
  return impl_->load(ids);
}
Result<void> PostgresLedger::each_open(const std::function<void(Operation&&)>& visit) {
  return impl_->each_open(visit);
}
CommitResult PostgresLedger::commit(const Batch& batch) {
  CommitResult result = impl_->writer().commit(batch);
  impl_->tell();
  return result;
}
CommitResult PostgresLedger::settle_unknown() {
  CommitResult result = impl_->writer().settle_unknown();
  impl_->tell();
  return result;
}
Result<std::uint32_t> PostgresLedger::retire(WallTime now, std::uint32_t limit) {
  auto retired = impl_->writer().retire(now, limit);
  impl_->tell();
  return retired;
}
LedgerPosition PostgresLedger::newest() const { return impl_->newest(); }
Result<std::unique_ptr<LedgerReader>> PostgresLedger::open_reader() { return impl_->reader(); }
std::string PostgresLedger::durability() const {
  (void)impl_->durability();
  return impl_->level();
}
Result<Durability> PostgresLedger::durability_now() { return impl_->durability(); }
void PostgresLedger::on_durability(std::function<bool(const Durability&)> found) {
  impl_->writer().on_durability(std::move(found));
}

}  // namespace trued
