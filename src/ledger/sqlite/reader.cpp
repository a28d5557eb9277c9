// Snapshot reads on a connection of their own.
#include "ledger/sqlite/reader.h"

#include <algorithm>
#include <sys/stat.h>

#include "base/assert.h"
#include "ledger/codec.h"
#include "ledger/query.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/locate.h"
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/rows.h"
#include "ledger/sqlite/schema.h"
#include "ledger/sqlite/sqlite_ledger.h"

namespace trued {
namespace {

using sqlite::Connection;
using sqlite::Scope;
using sqlite::Statement;

/// One read transaction: what is read in it is of one moment.
class OneSnapshot {
 public:
  explicit OneSnapshot(Connection& connection)
      : connection_(connection), begun_(connection.run("BEGIN")) {}
  ~OneSnapshot() {
    if (begun_.has_value()) (void)connection_.run("COMMIT");
  }
  OneSnapshot(const OneSnapshot&) = delete;
  OneSnapshot& operator=(const OneSnapshot&) = delete;

  [[nodiscard]] Result<LedgerPosition> position() const {
    if (!begun_.has_value()) return begun_.error();
    return sqlite::read_position(connection_);
  }

 private:
  Connection& connection_;
  const Result<void> begun_;
};

class SqliteReader final : public LedgerReader {
 public:
  SqliteReader(std::string path, std::unique_ptr<Connection> connection)
      : path_(std::move(path)), connection_(std::move(connection)) {}

  Result<std::optional<Operation>> find(const OperationId& id) override {
    const OneSnapshot snapshot(*connection_);
    TRUED_TRY(seen_, snapshot.position());
    TRUED_TRY(Statement statement, connection_->prepare("SELECT " + std::string(sqlite::kColumns) +
                                                        " FROM operation WHERE id=?1"));
    const int code = statement.bind_blob(1, id_blob(id)).step();
    if (code == SQLITE_DONE) return std::optional<Operation>();
    if (code != SQLITE_ROW) return connection_->failure("cannot read an operation");
    TRUED_TRY(Operation operation, sqlite::read_operation(statement));
    return std::optional<Operation>(std::move(operation));
  }

  Result<ListPage> list(const ListQuery& query) override;
  Result<DeadLetterPage> dead_letters(const DeadLetterQuery& query) override;
  Result<std::vector<EventRecord>> events(const OperationId& id) override;
  Result<std::optional<std::string>> intent(const OperationId& id) override;
  Result<Counts> counts() override;
  Result<LedgerPosition> position() override { return sqlite::read_position(*connection_); }
  LedgerPosition seen() const override { return seen_; }

 private:
  std::string where(const ListQuery& query) const;

  std::string path_;
  std::unique_ptr<Connection> connection_;
  LedgerPosition seen_;
};

constexpr std::size_t kFirstScope = 9;  // of the parameters of list()

std::string SqliteReader::where(const ListQuery& query) const {
  std::string text = " WHERE id < ?1 AND created_at >= ?2 AND created_at < ?3";
  if (!query.scope.empty()) text += " AND scope = ?4";
  if (!query.type.empty()) text += " AND type = ?5";
  if (!query.key.empty()) text += " AND key = ?6";
  if (!query.target.empty()) text += " AND target = ?7";
  for (std::size_t i = 0; i < query.scopes.size(); ++i) {
    text += (i == 0 ? " AND scope IN (?" : ", ?") + std::to_string(kFirstScope + i);
  }
  if (!query.scopes.empty()) text += ")";
  return text + state_condition(query);
}

Result<ListPage> SqliteReader::list(const ListQuery& query) {
  const OneSnapshot snapshot(*connection_);
  TRUED_TRY(seen_, snapshot.position());
  const std::string sql = "SELECT " + std::string(sqlite::kColumns) + " FROM operation" +
                          where(query) + " ORDER BY id DESC LIMIT ?8";
  TRUED_TRY(Statement s, connection_->prepare(sql));
  const std::string newest(16, '\xff');
  s.bind_blob(1, query.before ? id_blob(*query.before) : std::string_view(newest));
  s.bind(2, query.since.value_or(WallTime{}));
  s.bind(3, query.until.value_or(WallTime::max()));
  if (!query.scope.empty()) s.bind_text(4, query.scope);
  if (!query.type.empty()) s.bind_text(5, query.type);
  if (!query.key.empty()) s.bind_text(6, query.key);
  if (!query.target.empty()) s.bind_text(7, query.target);
  s.bind(8, std::int64_t{query.limit} + 1);
  for (std::size_t i = 0; i < query.scopes.size(); ++i) {
    s.bind_text(static_cast<int>(kFirstScope + i), query.scopes.at(i));
  }
  ListPage page;
  int code = SQLITE_ROW;
  while ((code = s.step()) == SQLITE_ROW) {
    if (page.operations.size() == query.limit) {
      page.more = true;
      return page;
    }
    TRUED_TRY(Operation operation, sqlite::read_operation(s));
    page.operations.push_back(std::move(operation));
  }
  if (code != SQLITE_DONE) return connection_->failure("cannot list operations");
  TRUED_ASSERT(page.operations.size() <= query.limit);
  return page;
}

// Both states come from the index of what needs attention in the order of acceptance, and are
// merged: no page costs more than what it looks at, however many dead letters there are.
std::string dead_letters_sql(const DeadLetterQuery& query) {
  std::string where = " AND " + std::string(kInAttention) + " AND no > ?1";
  if (!query.type.empty()) where += " AND type = ?2";
  if (!query.target.empty()) where += " AND target = ?3";
  const auto of = [&](State state) {
    return "SELECT " + std::string(sqlite::kColumns) +
           " FROM operation WHERE state = " + std::to_string(state_number(state)) + where;
  };
  std::string sql = of(State::needs_action);
  if (!query.undecided) sql += " UNION ALL " + of(State::failed);
  return sql + " ORDER BY no LIMIT ?4";
}

Result<DeadLetterPage> SqliteReader::dead_letters(const DeadLetterQuery& query) {
  TRUED_TRY(Statement s, connection_->prepare(dead_letters_sql(query)));
  s.bind(1, query.after).bind(4, std::int64_t{query.look_max} + 1);
  if (!query.type.empty()) s.bind_text(2, query.type);
  if (!query.target.empty()) s.bind_text(3, query.target);
  DeadLetterPage page;
  std::uint32_t looked = 0;
  std::uint64_t last = query.after;
  int code = SQLITE_ROW;
  while ((code = s.step()) == SQLITE_ROW) {
    if (page.operations.size() == query.limit || looked == query.look_max) {
      page.position = last;
      return page;
    }
    ++looked;
    last = s.unsigned_integer(sqlite::kColumnNo);
    TRUED_TRY(Operation operation, sqlite::read_operation(s));
    if (!matches(query, operation)) continue;
    page.operations.push_back(std::move(operation));
    page.positions.push_back(last);
  }
  if (code != SQLITE_DONE) return connection_->failure("cannot list dead letters");
  TRUED_ASSERT(page.positions.size() == page.operations.size());
  return page;
}

Result<std::vector<EventRecord>> SqliteReader::events(const OperationId& id) {
  const OneSnapshot snapshot(*connection_);
  TRUED_TRY(seen_, snapshot.position());
  std::vector<std::vector<EventRecord>> newest_first;
  TRUED_TRY(Statement last, connection_->prepare("SELECT last FROM operation WHERE id=?1"));
  const int found = last.bind_blob(1, id_blob(id)).step();
  if (found == SQLITE_DONE) return std::vector<EventRecord>();
  if (found != SQLITE_ROW) return connection_->failure("cannot read an operation");
  TRUED_TRY(Statement read, connection_->prepare("SELECT previous, batch, at, body FROM record "
                                                 "WHERE sequence=?1"));
  for (std::uint64_t sequence = last.unsigned_integer(0); sequence != 0;) {
    const Scope scope(read);
    if (read.bind(1, sequence).step() != SQLITE_ROW) {
      return connection_->failure("cannot read the log");
    }
    TRUED_TRY(auto events, decode_events(read.bytes(3)));
    std::vector<EventRecord>& records = newest_first.emplace_back();
    for (std::size_t i = 0; i < events.size(); ++i) {
      records.push_back({.sequence = sequence + i,
                         .batch = read.unsigned_integer(1),
                         .operation = id,
                         .at = read.moment(2),
                         .event = std::move(events.at(i))});
    }
    sequence = read.unsigned_integer(0);
  }
  std::vector<EventRecord> all;
  for (auto group = newest_first.rbegin(); group != newest_first.rend(); ++group) {
    std::ranges::move(*group, std::back_inserter(all));
  }
  return all;
}

Result<std::optional<std::string>> SqliteReader::intent(const OperationId& id) {
  TRUED_TRY(Statement s, connection_->prepare("SELECT body FROM intent WHERE no=(SELECT no FROM "
                                              "operation WHERE id=?1)"));
  const int code = s.bind_blob(1, id_blob(id)).step();
  if (code == SQLITE_DONE) return std::optional<std::string>();
  if (code != SQLITE_ROW) return connection_->failure("cannot read an intent");
  return std::optional<std::string>(s.text(0));
}

Result<Counts> SqliteReader::counts() {
  // Numbers are dense, so ends tell counts without walking a table of millions.
  const std::string sql =
      "SELECT (SELECT count(*) FROM tombstone), (SELECT count(*) FROM operation WHERE " +
      std::string(kIsOpen) + "), (SELECT count(*) FROM operation WHERE state = 9 AND " +
      kInAttention + "), coalesce((SELECT max(no) FROM batch), 0)";
  TRUED_TRY(Statement s, connection_->prepare(sql));
  if (s.step() != SQLITE_ROW) return connection_->failure("cannot count");
  Counts counts;
  counts.tombstones = s.unsigned_integer(0);
  counts.open = s.unsigned_integer(1);
  counts.needs_action = s.unsigned_integer(2);
  counts.batches = s.unsigned_integer(3);
  TRUED_TRY(const Ends ends, sqlite::read_ends(*connection_));
  counts.events = ends.sequence - 1;
  counts.operations = ends.operation - std::min(ends.operation, counts.tombstones);
  struct stat file{};
  if (::stat(path_.c_str(), &file) == 0) counts.bytes = static_cast<std::uint64_t>(file.st_size);
  return counts;
}

}  // namespace

Result<std::unique_ptr<LedgerReader>> sqlite::open_reader(const std::string& path) {
  TRUED_TRY(auto open, open_read_only(path, Older::refuse));
  return std::unique_ptr<LedgerReader>(
      std::make_unique<SqliteReader>(path, std::move(open.connection)));
}

Result<std::unique_ptr<LedgerReader>> open_sqlite_reader(const std::string& path) {
  TRUED_TRY(const std::string real, sqlite::locate(path));
  return sqlite::open_reader(real);
}

}  // namespace trued
