#include "ledger/sqlite/sqlite_ledger.h"

#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "ledger/codec.h"
#include "ledger/sqlite/checkpointer.h"
#include "ledger/sqlite/connection.h"
#include "ledger/sqlite/locate.h"
#include "ledger/sqlite/log_base.h"
#include "ledger/sqlite/owner_lock.h"
#include "ledger/sqlite/reader.h"
#include "ledger/sqlite/retention.h"
#include "ledger/sqlite/rows.h"
#include "ledger/sqlite/schema.h"
#include "ledger/sqlite/wal.h"

namespace trued {
namespace {

using sqlite::Connection;
using sqlite::Scope;
using sqlite::Statement;

struct IdHash {
  std::size_t operator()(const OperationId& id) const {
    std::size_t hash = 0;
    std::memcpy(&hash, id.value().bytes.data() + 8, sizeof hash);
    return hash;
  }
};

/// Where an operation stands in the file.
struct Place {
  std::uint64_t no = 0;
  std::uint64_t last = 0;
};

/// One read transaction for many reads: taking a snapshot costs two locks each time.
class OneSnapshot {
 public:
  explicit OneSnapshot(Connection& connection)
      : connection_(connection), begun_(connection.run("BEGIN").has_value()) {}
  ~OneSnapshot() {
    if (begun_) (void)connection_.run("COMMIT");
  }
  OneSnapshot(const OneSnapshot&) = delete;
  OneSnapshot& operator=(const OneSnapshot&) = delete;

 private:
  Connection& connection_;
  bool begun_;
};

constexpr std::size_t kPlacesMax = 100'000;
constexpr Duration kCheckpointPatience{1'000};

}  // namespace

class SqliteLedger::Impl {
 public:
  Impl(SqliteOptions options, sqlite::OwnerLock lock)
      : options_(std::move(options)), lock_(std::move(lock)) {}

  /// For the first time. What cannot be made certain yet is made certain before the first commit.
  Result<void> open();
  Result<std::vector<Known>> load(const std::vector<Identity>& identities);
  Result<std::vector<std::optional<Operation>>> load(const std::vector<OperationId>& ids);
  Result<void> each_open(const std::function<void(Operation&&)>& visit);
  CommitResult commit(const Batch& batch);
  CommitResult settle_unknown();
  Result<std::uint32_t> retire(WallTime now, std::uint32_t limit);
  Result<void> set_pages_max(std::uint64_t pages);
  const std::string& path() const { return options_.path; }
  LedgerPosition newest() const {
    const std::scoped_lock lock(newest_mutex_);
    return newest_;
  }
  /// What was certain before is told to whoever asks for the newest().
  void tell();

 private:
  struct Statements {
    Statement by_identity, by_id, tombstone, place, insert, update, intent, record, batch;
  };

  Result<void> prepare();
  Result<void> reopen();
  Result<void> ready();
  Result<void> make_certain();
  void close();
  void assert_invariants() const;
  int write(const Change& change, BatchHash& hash);
  int insert(const Change& change, const std::string& body, Place& place);
  int update(const Change& change, const std::string& body, const Place& place);
  int find_place(const OperationId& id, Place& place);
  CommitResult give_up(int code, const char* what);
  CommitResult end(const Batch& batch);
  CommitResult doubt(const char* what);
  Result<Known> load_one(const Identity& identity);

  SqliteOptions options_;
  sqlite::OwnerLock lock_;
  Statements statements_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<sqlite::Checkpointer> checkpointer_;
  std::unordered_map<OperationId, Place, IdHash> places_;  ///< of open operations
  Ends ends_;                                              ///< as committed
  Ends next_;                                              ///< of the batch being written
  Ends before_;                                            ///< of the batch in doubt: ends_ then
  bool unsettled_ = false;
  bool doubtful_ = false;  ///< a sync may have failed since the log last began afresh
  mutable std::mutex newest_mutex_;
  LedgerPosition newest_;  ///< under newest_mutex_
  bool certain_ = false;   ///< what the file says is what a crash would leave; see make_certain()
};

void SqliteLedger::Impl::tell() {
  if (unsettled_ || connection_ == nullptr) return;
  LedgerPosition now = newest();
  now.batch = ends_.batch;
  if (now.ledger == Uuid{} && ends_.operation > 0) {
    if (const auto found = sqlite::read_position(*connection_); found.has_value()) {
      now.ledger = found->ledger;
    }
  }
  const std::scoped_lock lock(newest_mutex_);
  newest_ = now;
}

void SqliteLedger::Impl::close() {
  checkpointer_.reset();
  statements_ = {};
  places_.clear();
  connection_.reset();
  certain_ = false;
  assert_invariants();
}

void SqliteLedger::Impl::assert_invariants() const {
  TRUED_ASSERT((connection_ != nullptr) == (checkpointer_ != nullptr));
  TRUED_ASSERT(!certain_ || connection_ != nullptr);
  TRUED_ASSERT(!certain_ || !doubtful_);
  TRUED_ASSERT(!unsettled_ || !certain_);
  TRUED_ASSERT(places_.size() <= kPlacesMax + 1);
}

Result<void> SqliteLedger::Impl::reopen() {
  close();
  const auto all = [this]() -> Result<void> {
    TRUED_TRY(connection_, Connection::open(options_.path, true));
    TRUED_TRY_VOID(sqlite::migrate(*connection_, options_.path, options_.notice));
    if (options_.pages_max > 0) TRUED_TRY_VOID(set_pages_max(options_.pages_max));
    TRUED_TRY_VOID(prepare());
    TRUED_TRY(ends_, sqlite::read_ends(*connection_));
    TRUED_TRY(checkpointer_, sqlite::Checkpointer::start(options_.path, *connection_));
    return {};
  };
  auto opened = all();
  if (!opened.has_value()) close();
  return opened;
}

// After a sync that failed, the log may hold frames that are readable and not on the disk, or on
// the disk and not readable (the index in shared memory knows nothing of them, recovery after a
// crash would). A later sync does not make up for it: the kernel has dropped the pages' dirty mark.
// So everything readable is written anew, into the database, and the log begins afresh: frames of
// before can never come back. Needs a moment without readers of old snapshots; fails with `io`. A
// process that begins and knows of no failed sync goes on without that moment.
Result<void> SqliteLedger::Impl::make_certain() {
  if (certain_) return {};
  {
    TRUED_TRY(Statement checkpoint, connection_->prepare("PRAGMA wal_checkpoint(TRUNCATE)"));
    connection_->set_patience(kCheckpointPatience);
    const int code = checkpoint.step();
    connection_->set_patience(Connection::kPatience);
    if (code != SQLITE_ROW) return connection_->failure("cannot move the log");
    if (checkpoint.integer(0) != 0 && doubtful_) {
      return Error{.code = ErrorCode::io,
                   .retryable = true,
                   .message =
                       "the log cannot begin afresh while a reader (an audit, a backup) "
                       "holds an old snapshot"};
    }
  }
  TRUED_TRY_VOID(connection_->run("UPDATE base SET opened = opened + 1"));
  certain_ = true;
  doubtful_ = false;
  TRUED_ASSERT(connection_ != nullptr && checkpointer_ != nullptr);
  return {};
}

// For reading and writing; nothing is told from a file in which a sync is known to have failed.
Result<void> SqliteLedger::Impl::ready() {
  if (connection_ == nullptr) TRUED_TRY_VOID(reopen());
  return doubtful_ ? make_certain() : Result<void>{};
}

Result<void> SqliteLedger::Impl::open() {
  TRUED_TRY_VOID(reopen());
  (void)make_certain();
  tell();
  return {};
}

Result<void> SqliteLedger::Impl::set_pages_max(std::uint64_t pages) {
  options_.pages_max = pages;
  if (connection_ == nullptr) return {};
  return connection_->run(("PRAGMA max_page_count=" + std::to_string(pages)).c_str());
}

Result<void> SqliteLedger::Impl::prepare() {
  const std::string columns = sqlite::kColumns;
  Connection& c = *connection_;
  Statements& s = statements_;
  TRUED_TRY(s.by_identity, c.prepare("SELECT " + columns + " FROM operation WHERE identity=?1"));
  TRUED_TRY(s.by_id, c.prepare("SELECT " + columns + " FROM operation WHERE id=?1"));
  TRUED_TRY(s.tombstone, c.prepare(std::string(sqlite::kGraves) + " WHERE identity=?1"));
  TRUED_TRY(s.place, c.prepare("SELECT no, last FROM operation WHERE id=?1"));
  TRUED_TRY(s.insert, c.prepare("INSERT INTO operation SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,"
                                "?11,?12 WHERE NOT EXISTS(SELECT 1 FROM tombstone WHERE "
                                "identity=?3)"));
  TRUED_TRY(s.update, c.prepare("UPDATE operation SET state=?2, expires_at=?3, last=?4, body=?5 "
                                "WHERE no=?1"));
  TRUED_TRY(s.intent, c.prepare("INSERT INTO intent VALUES(?1,?2)"));
  TRUED_TRY(s.record, c.prepare("INSERT INTO record VALUES(?1,?2,?3,?4,?5,?6,NULL)"));
  TRUED_TRY(s.batch, c.prepare("INSERT INTO batch VALUES(?1,?2,?3,?4)"));
  return {};
}

Result<Known> SqliteLedger::Impl::load_one(const Identity& identity) {
  Known known;
  const std::string blob = identity_blob(identity);
  Statement& row = statements_.by_identity;
  const Scope row_scope(row);
  int code = row.bind_blob(1, blob).step();
  if (code == SQLITE_ROW) {
    TRUED_TRY(known.operation, sqlite::read_operation(row));
    return known;
  }
  if (code != SQLITE_DONE) return connection_->failure("cannot read an operation");
  Statement& dead = statements_.tombstone;
  const Scope dead_scope(dead);
  code = dead.bind_blob(1, blob).step();
  if (code == SQLITE_DONE) return known;
  if (code != SQLITE_ROW) return connection_->failure("cannot read a tombstone");
  TRUED_TRY(Grave grave, sqlite::read_grave(dead));
  known.tombstone = grave.tombstone;
  return known;
}

Result<std::vector<Known>> SqliteLedger::Impl::load(const std::vector<Identity>& identities) {
  TRUED_TRY_VOID(ready());
  const OneSnapshot snapshot(*connection_);
  std::vector<Known> known;
  known.reserve(identities.size());
  for (const Identity& identity : identities) {
    TRUED_TRY(Known one, load_one(identity));
    TRUED_ASSERT(!one.operation || !one.tombstone);
    known.push_back(std::move(one));
  }
  TRUED_ASSERT(known.size() == identities.size());
  return known;
}

Result<std::vector<std::optional<Operation>>> SqliteLedger::Impl::load(
    const std::vector<OperationId>& ids) {
  TRUED_TRY_VOID(ready());
  const OneSnapshot snapshot(*connection_);
  std::vector<std::optional<Operation>> rows(ids.size());
  Statement& statement = statements_.by_id;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Scope scope(statement);
    const int code = statement.bind_blob(1, id_blob(ids.at(i))).step();
    if (code == SQLITE_DONE) continue;
    if (code != SQLITE_ROW) return connection_->failure("cannot read an operation");
    TRUED_TRY(rows.at(i), sqlite::read_operation(statement));
  }
  return rows;
}

Result<void> SqliteLedger::Impl::each_open(const std::function<void(Operation&&)>& visit) {
  TRUED_TRY_VOID(ready());
  const std::string sql = "SELECT " + std::string(sqlite::kColumns) + " FROM operation WHERE " +
                          kIsOpen + " ORDER BY no";
  TRUED_TRY(Statement statement, connection_->prepare(sql));
  int code = SQLITE_ROW;
  while ((code = statement.step()) == SQLITE_ROW) {
    TRUED_TRY(Operation operation, sqlite::read_operation(statement));
    visit(std::move(operation));
  }
  if (code != SQLITE_DONE) return connection_->failure("cannot read the open operations");
  return {};
}

int SqliteLedger::Impl::find_place(const OperationId& id, Place& place) {
  if (const auto known = places_.find(id); known != places_.end()) {
    place = known->second;
    return SQLITE_OK;
  }
  Statement& statement = statements_.place;
  const Scope scope(statement);
  const int code = statement.bind_blob(1, id_blob(id)).step();
  if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_NOTFOUND : code;
  place = {statement.unsigned_integer(0), statement.unsigned_integer(1)};
  return SQLITE_OK;
}

int SqliteLedger::Impl::insert(const Change& change, const std::string& body, Place& place) {
  TRUED_ASSERT(change.insert && place.no == 0 && place.last == 0);
  place.no = ++next_.operation;
  const Operation& row = change.row;
  const std::string identity = identity_blob(row.identity);
  Statement& s = statements_.insert;
  const Scope scope(s);
  s.bind(1, place.no).bind_blob(2, id_blob(row.id)).bind_blob(3, identity);
  s.bind(4, std::int64_t{state_number(row.state)}).bind(5, row.created_at);
  const auto expiry = expiry_of(row);
  expiry ? s.bind(6, *expiry) : s.bind_null(6);
  s.bind(7, next_.sequence).bind_text(8, row.identity.scope).bind_text(9, row.identity.type);
  s.bind_text(10, row.identity.key).bind_text(11, row.target).bind_blob(12, body);
  const int code = s.step();
  if (code != SQLITE_DONE) return code;
  if (sqlite3_changes(connection_->handle()) == 0) return SQLITE_CONSTRAINT_UNIQUE;
  Statement& intent = statements_.intent;
  const Scope intent_scope(intent);
  return intent.bind(1, place.no).bind_text(2, change.intent).step();
}

int SqliteLedger::Impl::update(const Change& change, const std::string& body, const Place& place) {
  TRUED_ASSERT(!change.insert);
  Statement& s = statements_.update;
  const Scope scope(s);
  s.bind(1, place.no).bind(2, std::int64_t{state_number(change.row.state)});
  const auto expiry = expiry_of(change.row);
  expiry ? s.bind(3, *expiry) : s.bind_null(3);
  return s.bind(4, next_.sequence).bind_blob(5, body).step();
}

int SqliteLedger::Impl::write(const Change& change, BatchHash& hash) {
  TRUED_ASSERT(!change.events.empty());
  const std::string body = encode_row(change.row);
  Place place;
  int code = SQLITE_DONE;
  if (change.insert) {
    code = insert(change, body, place);
  } else {
    code = find_place(change.row.id, place);
    if (code == SQLITE_OK) code = update(change, body, place);
  }
  if (code != SQLITE_DONE) return code;
  const std::string record = encode_events(change.row.id, change.events);
  const std::uint64_t sequence = next_.sequence;
  Statement& s = statements_.record;
  const Scope scope(s);
  s.bind(1, sequence).bind(2, next_.batch).bind(3, place.no).bind(4, place.last);
  code = s.bind(5, change.at).bind_blob(6, record).step();
  if (code != SQLITE_DONE) return code;
  hash.add(record_digest(sequence, place.no, change.at, record));
  next_.sequence += change.events.size();
  if (places_.size() > kPlacesMax) places_.clear();
  places_[change.row.id] = {place.no, sequence};
  return SQLITE_DONE;
}

CommitResult SqliteLedger::Impl::commit(const Batch& batch) {
  TRUED_ASSERT(!unsettled_);
  auto can = ready();
  if (can.has_value()) can = make_certain();
  if (!can.has_value()) return {CommitOutcome::rolled_back, can.error().message};
  assert_invariants();
  TRUED_ASSERT(certain_);
  next_ = ends_;
  ++next_.batch;
  if (!connection_->run("BEGIN IMMEDIATE").has_value()) {
    return {CommitOutcome::rolled_back, connection_->failure("cannot begin").message};
  }
  BatchHash hash(ends_.hash, next_.batch, batch.at);
  for (const Change& change : batch.changes) {
    const int code = write(change, hash);
    if (code == SQLITE_NOTFOUND) return give_up(code, "an operation that is changed is not there");
    if (code != SQLITE_DONE) return give_up(code, "cannot write an operation");
  }
  next_.hash = hash.finish();
  // Numbers go on where the batch before ended; every change has an event at least.
  TRUED_ASSERT(next_.batch - ends_.batch == 1);
  TRUED_ASSERT(next_.sequence - ends_.sequence >= batch.changes.size());
  TRUED_ASSERT(next_.operation - ends_.operation <= batch.changes.size());
  return end(batch);
}

CommitResult SqliteLedger::Impl::end(const Batch& batch) {
  {
    Statement& s = statements_.batch;
    const Scope scope(s);
    s.bind(1, next_.batch).bind(2, batch.at).bind(3, std::uint64_t{batch.changes.size()});
    const int code = s.bind_blob(4, blob_of(next_.hash)).step();
    if (code != SQLITE_DONE) return give_up(code, "cannot write a batch");
  }
  if (!connection_->run("COMMIT").has_value()) return doubt("the commit failed");
  for (const Change& change : batch.changes) {
    if (is_settled(change.row.state)) places_.erase(change.row.id);
  }
  ends_ = next_;
  assert_invariants();
  return {CommitOutcome::committed, ""};
}

// The commit may have reached the disk all the same: only settle_unknown() tells.
CommitResult SqliteLedger::Impl::doubt(const char* what) {
  CommitResult result{CommitOutcome::unknown, connection_->failure(what).message};
  TRUED_ASSERT(!unsettled_);
  unsettled_ = true;
  doubtful_ = true;
  before_ = ends_;
  close();
  return result;
}

CommitResult SqliteLedger::Impl::give_up(int code, const char* what) {
  const std::string message = connection_->failure(what).message;
  places_.clear();
  if (connection_->in_transaction() && !connection_->run("ROLLBACK").has_value()) {
    return doubt(what);
  }
  const bool taken = code == SQLITE_CONSTRAINT_UNIQUE;
  return {taken ? CommitOutcome::conflict : CommitOutcome::rolled_back, message};
}

CommitResult SqliteLedger::Impl::settle_unknown() {
  TRUED_ASSERT(unsettled_);
  TRUED_ASSERT(next_.batch - before_.batch == 1);
  auto opened = reopen();
  if (opened.has_value()) opened = make_certain();
  if (!opened.has_value()) {
    close();
    return {CommitOutcome::unknown, opened.error().message};
  }
  if (ends_.batch == next_.batch && ends_.hash == next_.hash) {
    unsettled_ = false;
    return {CommitOutcome::committed, "found after reopening"};
  }
  if (ends_.batch == before_.batch && ends_.hash == before_.hash) {
    unsettled_ = false;
    return {CommitOutcome::rolled_back, "not there after reopening"};
  }
  close();
  return {CommitOutcome::unknown,
          "the ledger ends neither with the batch nor with the one before: "
          "another program changed the file; run trued audit"};
}

Result<std::uint32_t> SqliteLedger::Impl::retire(WallTime now, std::uint32_t limit) {
  if (unsettled_) return std::uint32_t{0};
  TRUED_TRY_VOID(ready());
  TRUED_TRY_VOID(make_certain());
  auto retired = sqlite::retire(*connection_, ends_, now, limit);
  if (retired.has_value()) return retired;
  // Whether it came about does not matter: what did not is looked for again. But if that is not
  // known, the ends must be read afresh, and what a failed sync left must be made certain.
  bool known = retired.error().happened == Happened::no;
  if (known && connection_->in_transaction()) known = connection_->run("ROLLBACK").has_value();
  if (!known) {
    doubtful_ = true;
    close();
  }
  return retired;
}

SqliteLedger::SqliteLedger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteLedger::~SqliteLedger() = default;

Result<std::unique_ptr<SqliteLedger>> SqliteLedger::open(const SqliteOptions& options) {
  SqliteOptions located = options;
  TRUED_TRY(located.path, sqlite::locate(options.path));
  TRUED_TRY(auto lock, sqlite::OwnerLock::take(located.path));
  TRUED_TRY_VOID(sqlite::refuse_wal_damage(located.path));
  auto impl = std::make_unique<Impl>(std::move(located), std::move(lock));
  TRUED_TRY_VOID(impl->open());
  return std::unique_ptr<SqliteLedger>(new SqliteLedger(std::move(impl)));
}

Result<std::vector<Known>> SqliteLedger::load(const std::vector<Identity>& identities) {
  return impl_->load(identities);
}
Result<std::vector<std::optional<Operation>>> SqliteLedger::load(
    const std::vector<OperationId>& ids) {
  return impl_->load(ids);
}
Result<void> SqliteLedger::each_open(const std::function<void(Operation&&)>& visit) {
  return impl_->each_open(visit);
}
CommitResult SqliteLedger::commit(const Batch& batch) {
  CommitResult result = impl_->commit(batch);
  impl_->tell();
  return result;
}
CommitResult SqliteLedger::settle_unknown() {
  CommitResult result = impl_->settle_unknown();
  impl_->tell();
  return result;
}
Result<std::uint32_t> SqliteLedger::retire(WallTime now, std::uint32_t limit) {
  auto retired = impl_->retire(now, limit);
  impl_->tell();
  return retired;
}
LedgerPosition SqliteLedger::newest() const { return impl_->newest(); }
Result<std::unique_ptr<LedgerReader>> SqliteLedger::open_reader() {
  return sqlite::open_reader(impl_->path());
}
Result<void> SqliteLedger::set_pages_max(std::uint64_t pages) {
  return impl_->set_pages_max(pages);
}

}  // namespace trued
