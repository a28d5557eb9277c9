#include "ledger/postgres/reader.h"

#include <algorithm>
#include <utility>

#include "ledger/codec.h"
#include "ledger/postgres/rows.h"
#include "ledger/query.h"

namespace trued::postgres {
namespace {

std::string text(std::uint64_t number) { return std::to_string(number); }

// Which ledger it is and how far it has come, in the same statement and so the same snapshot as
// what is read.
constexpr const char* kHead = "h.batch, decode(replace(h.ledger::text, '-', ''), 'hex')";
constexpr const char* kHeadOfReplica =
    "h.batch, decode(replace(h.ledger::text, '-', ''), 'hex'), h.version, h.oldest, "
    "pg_is_in_recovery()";
constexpr std::size_t kHeadColumns = 2;
constexpr std::size_t kHeadOfReplicaColumns = 5;

class Reader final : public SnapshotReader {
 public:
  Reader(std::shared_ptr<Source> source, Of of)
      : source_(std::move(source)),
        of_(of),
        head_(of == Of::replica ? kHeadOfReplica : kHead),
        head_columns_(of == Of::replica ? kHeadOfReplicaColumns : kHeadColumns) {}

  Result<std::optional<Operation>> find(const OperationId& id) override;
  Result<ListPage> list(const ListQuery& query) override;
  Result<DeadLetterPage> dead_letters(const DeadLetterQuery& query) override;
  Result<std::vector<EventRecord>> events(const OperationId& id) override;
  Result<std::optional<std::string>> intent(const OperationId& id) override;
  Result<Counts> counts() override;
  Result<LedgerPosition> position() override;
  LedgerPosition seen() const override { return snapshot_.at; }
  const Snapshot& snapshot() const override { return snapshot_; }

 private:
  /// Rows of `query`, each behind the head; none of it in a row that is null after the head.
  Result<pg::Rows> ask_at(const std::string& query, const std::string& order,
                          const pg::Parameters& parameters);

  const std::shared_ptr<Source> source_;
  const Of of_;
  const std::string head_;
  const std::size_t head_columns_;
  Snapshot snapshot_;
};

Result<Snapshot> read_snapshot(const pg::Rows& rows, Of of) {
  if (rows.values.empty()) {
    return Error{.code = ErrorCode::corrupt, .message = "the ledger has no head"};
  }
  Fields row(rows.values.front());
  Snapshot found;
  found.at.batch = row.number();
  const std::string name = row.bytes();
  if (of == Of::replica) {
    found.version = static_cast<int>(row.integer());
    found.oldest = static_cast<int>(row.integer());
    found.standby = row.truth();
  }
  TRUED_TRY_VOID(row.check());
  if (name.size() != found.at.ledger.bytes.size()) {
    return Error{.code = ErrorCode::corrupt, .message = "the ledger has no name"};
  }
  std::ranges::copy(name, found.at.ledger.bytes.begin());
  return found;
}

Result<pg::Rows> Reader::ask_at(const std::string& query, const std::string& order,
                                const pg::Parameters& parameters) {
  TRUED_TRY(pg::Rows rows, source_->ask("SELECT " + head_ + ", x.* FROM @head h LEFT JOIN (" +
                                            query + ") x ON true" + order,
                                        parameters));
  TRUED_TRY(snapshot_, read_snapshot(rows, of_));
  return rows;
}

Result<LedgerPosition> Reader::position() {
  TRUED_TRY(const pg::Rows rows, source_->ask("SELECT " + head_ + " FROM @head h", {}));
  TRUED_TRY(snapshot_, read_snapshot(rows, of_));
  return snapshot_.at;
}

Result<std::optional<Operation>> Reader::find(const OperationId& id) {
  TRUED_TRY(const pg::Rows rows,
            ask_at("SELECT " + std::string(kColumns) + " FROM @operation o WHERE o.id = $1::bytea",
                   "", {bytea(id_blob(id))}));
  Fields row(rows.values.front());
  row.skip(head_columns_);
  if (row.null()) return std::optional<Operation>();
  TRUED_TRY(Stored stored, read_stored(row));
  return std::optional<Operation>(std::move(stored.operation));
}

/// Adds " AND column = $n" for a value that is asked for.
class Where {
 public:
  explicit Where(pg::Parameters first) : parameters_(std::move(first)) {}
  void equals(const char* column, const std::string& value) {
    if (value.empty()) return;
    parameters_.emplace_back(bytea(value));
    sql_ +=
        " AND o." + std::string(column) + " = $" + std::to_string(parameters_.size()) + "::bytea";
  }
  void any_of(const char* column, const std::vector<std::string>& values) {
    if (values.empty()) return;
    Blobs texts;
    for (const std::string& value : values) texts.add(std::string_view(value));
    parameters_.emplace_back(texts.parameter());
    sql_ += " AND o." + std::string(column) + " = ANY($" + std::to_string(parameters_.size()) +
            "::bytea[])";
  }
  const std::string& sql() const { return sql_; }
  const pg::Parameters& parameters() const { return parameters_; }

 private:
  pg::Parameters parameters_;
  std::string sql_;
};

Result<ListPage> Reader::list(const ListQuery& query) {
  const std::string newest(17, '\xff');
  const auto millis = [](WallTime at) { return std::to_string(at.time_since_epoch().count()); };
  Where where({bytea(query.before ? id_blob(*query.before) : std::string_view(newest)),
               millis(query.since.value_or(WallTime{})),
               millis(query.until.value_or(WallTime::max())),
               text(std::uint64_t{query.limit} + 1)});
  where.equals("scope", query.scope);
  where.equals("type", query.type);
  where.equals("key", query.key);
  where.equals("target", query.target);
  where.any_of("scope", query.scopes);
  TRUED_TRY(
      const pg::Rows rows,
      ask_at("SELECT " + std::string(kColumns) +
                 " FROM @operation o WHERE o.id < $1::bytea AND o.created_at >= "
                 "$2::bigint AND o.created_at < $3::bigint" +
                 where.sql() + state_condition(query) + " ORDER BY o.id DESC LIMIT $4::bigint",
             " ORDER BY x.id DESC", where.parameters()));
  ListPage page;
  for (const auto& values : rows.values) {
    if (page.operations.size() == query.limit) {
      page.more = true;
      break;
    }
    Fields row(values);
    row.skip(head_columns_);
    if (row.null()) break;
    TRUED_TRY(Stored stored, read_stored(row));
    page.operations.push_back(std::move(stored.operation));
  }
  return page;
}

// Both states come from the index of what needs attention in the order of acceptance, and are
// merged: no page costs more than what it looks at, however many dead letters there are.
std::string dead_letters_sql(const DeadLetterQuery& query, const std::string& more) {
  const auto of = [&](State state) {
    return "(SELECT " + std::string(kColumns) +
           " FROM @operation o WHERE o.state = " + std::to_string(state_number(state)) + " AND " +
           kInAttention + " AND o.no > $1::bigint" + more + " ORDER BY o.no LIMIT $2::bigint)";
  };
  std::string sql = of(State::needs_action);
  if (!query.undecided) sql += " UNION ALL " + of(State::failed);
  return "SELECT * FROM (" + sql + ") o ORDER BY o.no LIMIT $2::bigint";
}

Result<DeadLetterPage> Reader::dead_letters(const DeadLetterQuery& query) {
  Where where({text(query.after), text(std::uint64_t{query.look_max} + 1)});
  where.equals("type", query.type);
  where.equals("target", query.target);
  TRUED_TRY(const pg::Rows rows,
            source_->ask(dead_letters_sql(query, where.sql()), where.parameters()));
  DeadLetterPage page;
  std::uint32_t looked = 0;
  std::uint64_t last = query.after;
  for (const auto& values : rows.values) {
    if (page.operations.size() == query.limit || looked == query.look_max) {
      page.position = last;
      return page;
    }
    ++looked;
    Fields row(values);
    TRUED_TRY(Stored stored, read_stored(row));
    last = stored.no;
    if (!matches(query, stored.operation)) continue;
    page.operations.push_back(std::move(stored.operation));
    page.positions.push_back(last);
  }
  return page;
}

Result<std::vector<EventRecord>> Reader::events(const OperationId& id) {
  TRUED_TRY(const pg::Rows rows,
            ask_at("WITH RECURSIVE back AS ("
                   "SELECT r.* FROM @operation o JOIN @record r ON r.sequence = o.last "
                   "WHERE o.id = $1::bytea UNION ALL "
                   "SELECT r.* FROM back b JOIN @record r ON r.sequence = b.previous "
                   "WHERE b.previous < b.sequence AND b.previous > 0) "
                   "SELECT sequence, batch, at, body FROM back",
                   " ORDER BY x.sequence", {bytea(id_blob(id))}));
  std::vector<EventRecord> all;
  for (const auto& values : rows.values) {
    Fields row(values);
    row.skip(head_columns_);
    if (row.null()) break;
    const std::uint64_t sequence = row.number();
    const std::uint64_t batch = row.number();
    const WallTime at = row.moment();
    const std::string body = row.bytes();
    TRUED_TRY_VOID(row.check());
    TRUED_TRY(auto events, decode_events(body));
    for (std::size_t i = 0; i < events.size(); ++i) {
      all.push_back({.sequence = sequence + i,
                     .batch = batch,
                     .operation = id,
                     .at = at,
                     .event = std::move(events.at(i))});
    }
  }
  return all;
}

Result<std::optional<std::string>> Reader::intent(const OperationId& id) {
  TRUED_TRY(const pg::Rows rows,
            source_->ask("SELECT i.body FROM @operation o JOIN @intent i ON i.no = o.no WHERE "
                         "o.id = $1::bytea",
                         {bytea(id_blob(id))}));
  if (rows.values.empty()) return std::optional<std::string>();
  Fields row(rows.values.front());
  std::string body = row.bytes();
  TRUED_TRY_VOID(row.check());
  return std::optional<std::string>(std::move(body));
}

Result<Counts> Reader::counts() {
  const std::string sizes =
      "pg_total_relation_size('@operation') + pg_total_relation_size('@intent') + "
      "pg_total_relation_size('@record') + pg_total_relation_size('@batch') + "
      "pg_total_relation_size('@tombstone')";
  TRUED_TRY(
      const pg::Rows rows,
      source_->ask("SELECT (SELECT count(*) FROM @tombstone), (SELECT count(*) FROM "
                   "@operation WHERE " +
                       std::string(kIsOpen) +
                       "), (SELECT count(*) FROM @operation WHERE state = 9 AND " + kInAttention +
                       "), h.batch, h.sequence, h.operation, " + sizes + " FROM @head h",
                   {}));
  if (rows.values.size() != 1) {
    return Error{.code = ErrorCode::corrupt, .message = "the ledger has no head"};
  }
  Fields row(rows.values.front());
  Counts counts;
  counts.tombstones = row.number();
  counts.open = row.number();
  counts.needs_action = row.number();
  counts.batches = row.number();
  counts.events = row.number() - 1;
  // Numbers are dense, so the newest tells how many there were.
  const std::uint64_t numbered = row.number();
  counts.operations = numbered - std::min(numbered, counts.tombstones);
  counts.bytes = row.number();
  TRUED_TRY_VOID(row.check());
  return counts;
}

}  // namespace

Result<pg::Rows> Source::ask(std::string_view text, const pg::Parameters& parameters) {
  const pg::Deadline deadline(call_max);
  for (bool fresh = false;; fresh = true) {
    auto lease = pool.take(deadline, fresh);
    if (!lease.has_value()) return plain(site, lease.error());
    if (!lease->used_before()) {
      if (auto set = prepare_session(lease->session(), call_max); !set.has_value()) {
        return plain(site, set.error());
      }
    }
    auto rows = lease->session().execute_prepared(site.sql(text), parameters, whole(), deadline);
    if (rows.has_value() && rows->truncated) {
      return Error{.code = ErrorCode::too_large,
                   .message = "an answer of the ledger was too large"};
    }
    if (rows.has_value()) return std::move(rows).value();
    pg::PgError& e = rows.error();
    const bool stale = e.lost && !e.timed_out && lease->used_before() && !fresh;
    if (stale) continue;
    e.error.happened = Happened::no;  // it only reads
    return plain(site, e);
  }
}

std::unique_ptr<SnapshotReader> make_reader(std::shared_ptr<Source> source, Of of) {
  return std::make_unique<Reader>(std::move(source), of);
}

}  // namespace trued::postgres
