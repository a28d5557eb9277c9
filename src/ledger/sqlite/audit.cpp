// The walk as a whole, and the log: the file's structure, the chain, where it begins.
#include <array>
#include <string_view>

#include "ledger/sqlite/audit_walk.h"

namespace trued {
namespace sqlite {
namespace {

constexpr std::uint64_t kProgressEvery = 1'000;

}  // namespace

void AuditWalk::advance() {
  if (progress_ && ++done_ % kProgressEvery == 0) progress_(done_, total_);
}

Result<AuditReport> AuditWalk::run() {
  report_.schema = version_;
  TRUED_TRY_VOID(connection_.run("BEGIN"));
  TRUED_TRY(const std::int64_t batches, connection_.integer("SELECT count(*) FROM batch"));
  TRUED_TRY(const std::int64_t rows, connection_.integer("SELECT count(*) FROM operation"));
  total_ = static_cast<std::uint64_t>(batches + rows);
  if (progress_) progress_(0, total_);
  constexpr std::array kChecks{&AuditWalk::check_file,      &AuditWalk::check_schema,
                               &AuditWalk::check_chain,     &AuditWalk::check_base,
                               &AuditWalk::check_rows,      &AuditWalk::check_strays,
                               &AuditWalk::check_tombstones};
  for (const auto check : kChecks) {
    if (!report_.first) TRUED_TRY_VOID((this->*check)());
  }
  TRUED_TRY_VOID(connection_.run("COMMIT"));
  if (progress_) progress_(total_, total_);
  return report_;
}

// Pages, indexes, types: an index that has lost an entry hides an operation from its key.
Result<void> AuditWalk::check_file() {
  TRUED_TRY(Statement check, connection_.prepare("PRAGMA integrity_check(1)"));
  const int code = check.step();
  if (code != SQLITE_ROW) return connection_.failure("cannot check the file");
  if (check.bytes(0) != "ok") find("file", "its structure", check.text(0));
  return {};
}

Result<void> AuditWalk::check_schema() {
  TRUED_TRY(Statement extra,
            connection_.prepare("SELECT type, name FROM sqlite_master WHERE type IN ('trigger', "
                                "'view') LIMIT 1"));
  if (extra.step() == SQLITE_ROW) {
    find("schema", extra.text(1), "a " + extra.text(0) + " that no ledger has");
  }
  return {};
}

void AuditWalk::take_text(Statement& records, std::string_view body) {
  if (body.starts_with(kMarkPrefix)) {
    // Since the third schema a bare mark has a successor.
    if (version_ < 3 || body != kBareMark) ++marks_;
  } else if (records.integer(1) == 0) {
    base_record_ = body;
  } else {
    ++event_texts_;
  }
}

// Adds the records of one batch to its hash; `code` is what the last step() of `records` said.
bool AuditWalk::add_records(Statement& records, int& code, std::uint64_t batch, BatchHash& hash,
                            std::uint64_t& count) {
  for (; code == SQLITE_ROW && records.unsigned_integer(5) == batch; code = records.step()) {
    ++count;
    ++report_.events;
    if (!records.is_null(3)) {
      hash.add(record_digest(records.unsigned_integer(0), records.unsigned_integer(1),
                             records.moment(2), records.bytes(3)));
      take_text(records, records.bytes(3));
      continue;
    }
    const auto kept = digest_of(records.bytes(4));
    if (!kept) {
      find("event", "record " + std::to_string(records.integer(0)),
           "it has neither its text nor the digest of a retired record");
      return false;
    }
    hash.add(*kept);
  }
  return true;
}

Result<void> AuditWalk::check_chain() {
  auto base = read_base(connection_, version_);
  if (!base.has_value()) {
    if (base.error().code != ErrorCode::corrupt) return base.error();
    find("chain", "base", base.error().message);
    return {};
  }
  base_ = *base;
  Digest previous = base_.hash;
  std::uint64_t expected = base_.batch + 1;
  // One pass over both tables in the order of the log: records of a batch lie together.
  TRUED_TRY(Statement records,
            connection_.prepare("SELECT sequence, operation, at, body, digest, batch FROM record "
                                "ORDER BY sequence"));
  int code = records.step();
  TRUED_TRY(Statement batches,
            connection_.prepare("SELECT no, at, records, hash FROM batch ORDER BY no"));
  while (batches.step() == SQLITE_ROW) {
    const std::uint64_t no = batches.unsigned_integer(0);
    const std::string where = "batch " + std::to_string(no);
    if (no != expected) {
      find("chain", where, "batch " + std::to_string(expected) + " is missing");
      return {};
    }
    BatchHash hash(previous, no, batches.moment(1));
    std::uint64_t count = 0;
    if (!add_records(records, code, no, hash, count)) return {};
    const Digest computed = hash.finish();
    const auto stored = digest_of(batches.bytes(3));
    if (count != batches.unsigned_integer(2) || !stored || *stored != computed) {
      find("chain", where,
           "expected hash " + computed.hex() + " over " + std::to_string(batches.integer(2)) +
               " records, found " + (stored ? stored->hex() : "no hash") + " and " +
               std::to_string(count) + " records: a record or a hash was changed");
      return {};
    }
    previous = computed;
    ++expected;
    ++report_.batches;
    advance();
  }
  report_.head = previous.hex();
  if (code == SQLITE_ROW) {
    find("event", "record " + std::to_string(records.integer(0)), "it belongs to no batch");
  } else if (code != SQLITE_DONE) {
    return connection_.failure("cannot read the log");
  }
  return {};
}

// The log itself says where it begins; so its beginning cannot be cut off and the row be adapted.
Result<void> AuditWalk::check_base() {
  // The first schema did not write it into the log.
  if (version_ < 2) return {};
  const std::string said = base_ == LogBase{} ? "" : encode_base(base_);
  if (said == base_record_) return {};
  find("chain", "base",
       "the log says that it begins with " +
           (base_record_.empty() ? std::string("batch 1") : base_record_) + ", the file with " +
           (said.empty() ? std::string("batch 1") : said));
  return {};
}

}  // namespace sqlite

Result<AuditReport> audit_sqlite(const std::string& path, const Progress& progress) {
  TRUED_TRY(auto open, sqlite::open_read_only(path, sqlite::Older::read));
  return sqlite::AuditWalk(*open.connection, open.version, progress).run();
}

}  // namespace trued
