#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "base/clock.h"
#include "base/time.h"
#include "ledger/postgres/copy_tables.h"
#include "ledger/postgres/postgres_copy.h"
#include "ledger/postgres/postgres_ledger.h"
#include "ledger/postgres/rows.h"
#include "ledger/postgres/schema.h"
#include "ledger/postgres/values.h"

namespace trued {
namespace postgres {
namespace {

using Mono = std::chrono::nanoseconds;

constexpr int kLooksALease = 8;
constexpr int kMarginShare = 10;  // as who stands by has it
constexpr Duration kMarginMin{200};

/// Who has the ledger, and how far it is: any difference is somebody at work.
struct Hold {
  std::uint64_t epoch = 0;
  std::uint64_t beat = 0;
  Duration lease{};
  bool released = false;
  std::string node;
  Ends ends;

  [[nodiscard]] bool same(const Hold& other) const {
    return epoch == other.epoch && beat == other.beat && released == other.released &&
           ends == other.ends;
  }
};

Result<Hold> look(Link& link) {
  TRUED_TRY(const pg::Rows rows,
            ask(link,
                "SELECT o.epoch, o.beat, o.lease, o.released, o.node, h.batch, "
                "h.sequence, h.operation, h.hash FROM @holder o, @head h"));
  if (rows.values.size() != 1) {
    return Error{.code = ErrorCode::corrupt,
                 .message = "the ledger at " + link.site().shown() + " does not say who holds it"};
  }
  Fields row(rows.values.front());
  Hold hold;
  hold.epoch = row.number();
  hold.beat = row.number();
  hold.lease = Duration{row.integer()};
  hold.released = row.truth();
  hold.node = row.text();
  TRUED_TRY(hold.ends, read_ends(row));
  return hold;
}

class Source final : public CopySource {
 public:
  Source(Site site, PostgresPlace place)
      : site_(std::move(site)),
        place_(std::move(place)),
        link_(site_, "trued ledger copy", kCopyPatience) {}

  Result<void> open(const std::function<void(const std::string&)>& notice);

  std::string name() const override { return site_.shown(); }
  Result<std::string> identity() override { return read_identity(link_); }
  Result<LedgerFrame> frame() override {
    TRUED_TRY_VOID(take_snapshot());
    return read_frame(link_);
  }
  Result<std::array<std::uint64_t, kCopyTables>> counts() override {
    TRUED_TRY_VOID(take_snapshot());
    return count_rows(link_);
  }
  Result<std::vector<CopyRow>> rows(const CopyTable& table, std::uint64_t after,
                                    const CopyPage& page) override {
    TRUED_TRY_VOID(take_snapshot());
    return read_rows(link_, table, after, page);
  }
  Result<AuditReport> audit(const CopyProgress& progress) override {
    return audit_postgres(place_, progress);
  }
  Result<std::optional<Digest>> hash_of(std::uint64_t batch) override;
  Result<void> check_unchanged() override;

 private:
  Result<void> take_snapshot();
  Result<void> wait_for_silence(const std::function<void(const std::string&)>& notice);
  Error in_use(const Hold& hold) const;

  const Site site_;
  const PostgresPlace place_;
  Link link_;
  bool snapshot_ = false;
  Hold hold_;  ///< as it was opened
};

Error Source::in_use(const Hold& hold) const {
  return {.code = ErrorCode::already_exists,
          .retryable = true,
          .message = "the ledger at " + name() + " is in use: " +
                     (hold.node.empty() ? std::string("a node") : "the node " + hold.node) +
                     " acts on it. A ledger is copied while nothing acts on it: stop every server "
                     "of it first"};
}

Result<void> Source::open(const std::function<void(const std::string&)>& notice) {
  TRUED_TRY(const int version, schema_version(link_));
  // Every version so far holds the same (audit.cpp, kContent).
  (void)version;
  TRUED_TRY(hold_, look(link_));
  if (hold_.released) return {};
  return wait_for_silence(notice);
}

// As a candidate for the ledger does: who says nothing for a lease is not there any more.
Result<void> Source::wait_for_silence(const std::function<void(const std::string&)>& notice) {
  TRUED_ASSERT(!snapshot_);  // in one nothing would ever be seen to move
  const Duration silence = hold_.lease + std::max(hold_.lease / kMarginShare, kMarginMin);
  if (notice) {
    notice("the node " + hold_.node + " has not given back the ledger at " + name() + ": waiting " +
           format_duration(silence) + " to see that it is gone");
  }
  const Mono begin = SystemClock().monotonic();
  while (SystemClock().monotonic() - begin < Mono(silence)) {
    // tidy: allow sleep because the silence of a while is what is waited for.
    std::this_thread::sleep_for(silence / kLooksALease);
    TRUED_TRY(const Hold now, look(link_));
    if (!now.same(hold_)) return in_use(now);
  }
  return {};
}

// What else is done meanwhile (an audit) may take long.
Result<void> Source::take_snapshot() {
  if (snapshot_) return {};
  auto begun = link_.script(
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
      "SET LOCAL idle_in_transaction_session_timeout = 0");
  if (!begun.has_value()) return plain(site_, begun.error());
  snapshot_ = true;
  return {};
}

Result<std::optional<Digest>> Source::hash_of(std::uint64_t batch) {
  TRUED_TRY(const pg::Rows rows,
            ask(link_, "SELECT hash FROM @batch WHERE no = $1::bigint", {std::to_string(batch)}));
  if (rows.values.empty()) return std::optional<Digest>();
  Fields row(rows.values.front());
  return digest_of(row.bytes());
}

Result<void> Source::check_unchanged() {
  link_.rollback();
  snapshot_ = false;
  if (auto up = link_.connect(); !up.has_value()) return plain(site_, up.error());
  TRUED_TRY(const Hold now, look(link_));
  if (now.same(hold_)) return {};
  return Error{.code = ErrorCode::already_exists,
               .retryable = true,
               .message = "the source " + name() + " was taken by " +
                          (now.node.empty() ? std::string("a node") : "the node " + now.node) +
                          " while it was copied: stop every server of it, and run this again"};
}

}  // namespace
}  // namespace postgres

Result<std::unique_ptr<CopySource>> open_postgres_source(
    const PostgresPlace& place, const std::function<void(const std::string&)>& notice) {
  TRUED_TRY(postgres::Site site, postgres::Site::parse(place));
  auto source = std::make_unique<postgres::Source>(std::move(site), place);
  TRUED_TRY_VOID(source->open(notice));
  return source;
}

}  // namespace trued
