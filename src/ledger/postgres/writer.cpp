#include "ledger/postgres/writer.h"

#include <cstring>

#include "base/assert.h"

namespace trued::postgres {
namespace {

constexpr std::size_t kPlacesMax = 100'000;
constexpr int kTriesMax = 3;

constexpr const char* kHead =
    "SELECT epoch, holder, settled, batch, sequence, operation, hash FROM @head";
// A commit of ours that is under way is waited for; one that was sent and has not begun can do
// nothing afterwards, as it asks for the count before.
constexpr const char* kHold =
    "UPDATE @head SET settled = settled + 1 WHERE epoch = $1::bigint AND holder = $2::text AND "
    "settled = $3::bigint RETURNING batch, sequence, operation, hash";
constexpr const char* kFate =
    "SELECT (SELECT batch FROM @base), (SELECT hash FROM @batch WHERE no = $1::bigint)";
// Changes nothing, and waits as long as any commit for whatever standbys there are.
constexpr const char* kWaitForStandbys = "UPDATE @holder SET beat = beat";

constexpr const char* kOvertaken = "another node acts on this ledger now";
constexpr const char* kCut =
    "the server stopped waiting for its standbys: the batch stands on its primary alone";

constexpr const char* kPromisesLess =
    "the server is set to promise less of a commit than it did; nothing was written";
constexpr const char* kPromisesOther =
    "the settings of the server that decide on durability change all the time; nothing was written";

bool settled(const Change& change) { return is_settled(change.row.state); }

}  // namespace

std::size_t IdHash::operator()(const OperationId& id) const {
  std::size_t hash = 0;
  std::memcpy(&hash, id.value().bytes.data() + 8, sizeof hash);
  return hash;
}

Result<void> Writer::open() {
  if (auto up = link_.connect(); !up.has_value()) return failure(up.error());
  TRUED_TRY(const Head head, hold_head());
  if (head == Head::ours) {
    TRUED_TRY_VOID(read_promise());
    return {};
  }
  return Error{.code = ErrorCode::conflict,
               .message = "the ledger at " + link_.site().shown() + ": " + kOvertaken};
}

Result<pg::Rows> Writer::read(std::string_view text, const pg::Parameters& parameters) {
  if (auto up = link_.connect(); !up.has_value()) return failure(up.error());
  auto rows = link_.ask(text, parameters);
  if (!rows.has_value()) return failure(rows.error());
  return std::move(rows).value();
}

void Writer::note(const Stored& stored) {
  if (places_.size() > kPlacesMax) places_.clear();
  places_[stored.operation.id] = {stored.no, stored.last};
}

void Writer::apply(const Ends& next) {
  ends_ = next;
  if (places_.size() > kPlacesMax) places_.clear();
  for (const auto& [id, place] : pending_.places) places_[id] = place;
  for (const OperationId& id : pending_.settled) places_.erase(id);
  pending_ = {};
}

// Of what was not read since the start, or long ago.
Result<void> Writer::find_places(const Batch& batch) {
  Blobs missing;
  for (const Change& change : batch.changes) {
    if (!change.insert && !places_.contains(change.row.id)) missing.add(id_blob(change.row.id));
  }
  if (missing.size() == 0) return {};
  TRUED_TRY(const pg::Rows rows,
            read("SELECT id, no, last FROM @operation WHERE id = ANY($1::bytea[])",
                 {missing.parameter()}));
  for (const auto& values : rows.values) {
    Fields row(values);
    const auto id = id_from(row.bytes());
    const Place place{row.number(), row.number()};
    TRUED_TRY_VOID(row.check());
    if (id) places_[*id] = place;
  }
  return {};
}

Result<std::unique_ptr<BatchStatement>> Writer::statement_of(const Batch& batch) {
  TRUED_TRY_VOID(find_places(batch));
  auto statement = std::make_unique<BatchStatement>(ends_, batch.at);
  pending_ = {};
  for (const Change& change : batch.changes) {
    Place place;
    if (change.insert) {
      place.no = statement->next_number();
    } else {
      const auto known = places_.find(change.row.id);
      if (known == places_.end()) {
        return Error{.code = ErrorCode::not_found,
                     .message = "an operation that is changed is not there"};
      }
      place = known->second;
    }
    const std::uint64_t sequence = statement->next().sequence;
    statement->add(change, place);
    if (settled(change)) {
      pending_.settled.push_back(change.row.id);
    } else {
      pending_.places.emplace_back(change.row.id, Place{place.no, sequence});
    }
  }
  TRUED_ASSERT(pending_.places.size() + pending_.settled.size() == batch.changes.size());
  return statement;
}

CommitResult Writer::commit(const Batch& batch) {
  TRUED_ASSERT(!unsettled_);
  if (overtaken_) return {CommitOutcome::fenced, kOvertaken};
  if (auto up = link_.connect(); !up.has_value()) {
    return {CommitOutcome::rolled_back, failure(up.error()).message};
  }
  if (adrift_) {
    const auto head = hold_head();
    if (!head.has_value()) return {CommitOutcome::rolled_back, head.error().message};
    if (*head == Head::overtaken) return {CommitOutcome::fenced, kOvertaken};
  }
  const auto kept = keeps_promise();
  if (!kept.has_value()) return {CommitOutcome::rolled_back, kept.error().message};
  if (!*kept) return {CommitOutcome::conflict, kPromisesLess};
  auto statement = statement_of(batch);
  if (!statement.has_value()) return {CommitOutcome::rolled_back, statement.error().message};
  return send(**statement);
}

CommitResult Writer::send(BatchStatement& statement) {
  TRUED_ASSERT(!overtaken_ && !adrift_);
  pg::Parameters parameters = statement.finish(condition_);
  for (int tries = 1;; ++tries) {
    const auto rows = link_.ask(kCommitBatch, parameters);
    if (!rows.has_value()) {
      const pg::PgError& e = rows.error();
      if (e.lost) return doubt(statement.next(), failure(e).message);
      const bool again = e.sqlstate == "40001" || e.sqlstate == "40P01";
      if (again && tries < kTriesMax) continue;
      return judge(e, statement);
    }
    if (rows->values.size() != 1) {
      return doubt(statement.next(), "the server answered a commit without a row");
    }
    Fields row(rows->values.front());
    const bool written = row.number() != 0;
    row.skip();
    if (!written && row.truth()) return mismatch();
    if (!written) {
      link_.close();
      const auto enough = read_promise();
      if (!enough.has_value()) return {CommitOutcome::rolled_back, enough.error().message};
      if (!*enough) return {CommitOutcome::conflict, kPromisesLess};
      if (tries >= kTriesMax) return {CommitOutcome::conflict, kPromisesOther};
      parameters.back() = condition_.terms;
      continue;
    }
    if (link_.lost_replication()) return doubt(statement.next(), kCut);
    TRUED_ASSERT(statement.next().batch - ends_.batch == 1);
    apply(statement.next());
    return {CommitOutcome::committed, ""};
  }
}

Result<bool> Writer::read_promise() {
  TRUED_TRY(const pg::Rows rows, read(kReadTerms, {}));
  if (rows.values.size() != 1) {
    return Error{.code = ErrorCode::corrupt, .message = "the server does not show its settings"};
  }
  Fields row(rows.values.front());
  TRUED_TRY(const Terms terms, read_terms(row));
  const auto followers = read(kReadStandbys, {});
  const Durability now =
      durability_of(terms, followers.has_value() ? read_standbys(*followers) : std::nullopt);
  const bool less = now.level < level_;
  condition_.terms = terms.text;
  level_ = now.level;
  const bool enough = !found_ || found_(now);
  return enough || !less;
}

void Writer::terms_elsewhere(const std::string& text) {
  const std::scoped_lock lock(elsewhere_mutex_);
  elsewhere_ = text;
}

// What a role or a database is set to counts from the next connection on. Where another one shows
// other terms than this, this one is not what is reported, and gives way.
Result<bool> Writer::keeps_promise() {
  std::optional<std::string> elsewhere;
  {
    const std::scoped_lock lock(elsewhere_mutex_);
    elsewhere = std::exchange(elsewhere_, std::nullopt);
  }
  if (!elsewhere || *elsewhere == condition_.terms) return true;
  link_.close();
  return read_promise();
}

// The server refused the statement and took all of it back.
CommitResult Writer::judge(const pg::PgError& e, const BatchStatement& statement) {
  const std::string why = failure(e).message;
  if (e.sqlstate == "23505" && e.constraint == kIdentityTaken) {
    return {CommitOutcome::conflict, why};
  }
  if (e.sqlstate == kNotAsExpected) {
    const auto taken = buried(statement);
    if (taken.has_value() && *taken) {
      return {CommitOutcome::conflict, "an operation past its retention holds the identity"};
    }
    places_.clear();
    return {CommitOutcome::rolled_back, "an operation that is changed is not where it was"};
  }
  // What a server keeps for the connection may be what it stumbles over.
  link_.close();
  return {CommitOutcome::rolled_back, why};
}

Result<bool> Writer::buried(const BatchStatement& statement) {
  TRUED_TRY(const pg::Rows rows, read("SELECT count(*) FROM @tombstone WHERE identity = "
                                      "ANY($1::bytea[])",
                                      {statement.identities()}));
  Fields row(rows.values.front());
  return row.number() > 0;
}

// Nothing was written: the head is not what this node left it as. Under our own claim that means
// that somebody else wrote to the tables, or that they were set back; what this node holds in
// memory is then as worthless as if it had been overtaken.
CommitResult Writer::mismatch() {
  overtaken_ = true;
  return {CommitOutcome::fenced, kOvertaken};
}

CommitResult Writer::doubt(const Ends& next, std::string why) {
  TRUED_ASSERT(!unsettled_ && !overtaken_ && !adrift_);
  unsettled_ = true;
  pending_.next = next;
  return {CommitOutcome::unknown, std::move(why)};
}

// Makes certain where the log ends: afterwards nothing that was sent before can change it. On
// failure nothing is certain, and it can be asked again.
Result<Writer::Head> Writer::hold_head() {
  for (int tries = 0; tries < kTriesMax; ++tries) {
    auto rows = link_.ask(kHead);
    if (!rows.has_value()) return failure(rows.error());
    if (rows->values.size() != 1) {
      return Error{.code = ErrorCode::corrupt, .message = "the ledger has no head"};
    }
    Fields head(rows->values.front());
    const std::uint64_t epoch = head.number();
    const std::string holder = head.text();
    const std::uint64_t count = head.number();
    TRUED_TRY_VOID(head.check());
    if (epoch != condition_.epoch || holder != condition_.holder) {
      overtaken_ = true;
      return Head::overtaken;
    }
    rows = link_.ask(kHold, {std::to_string(epoch), holder, std::to_string(count)});
    if (!rows.has_value()) return failure(rows.error());
    // An earlier attempt of ours got there first, or somebody took over in between.
    if (rows->values.empty()) continue;
    if (link_.lost_replication()) {
      return Error{.code = ErrorCode::unavailable, .retryable = true, .message = kCut};
    }
    Fields row(rows->values.front());
    TRUED_TRY(const Ends found, read_ends(row));
    condition_.settled = count + 1;
    if (found != ends_) places_.clear();
    ends_ = found;
    adrift_ = false;
    return Head::ours;
  }
  return Error{.code = ErrorCode::conflict,
               .retryable = true,
               .message = "the head of the ledger changes all the time"};
}

CommitResult Writer::settle_unknown() {
  TRUED_ASSERT(unsettled_);
  TRUED_ASSERT(pending_.next.batch - ends_.batch == 1);
  const Ends before = ends_;
  const Ends next = pending_.next;
  // Whatever the old connection is still good for, what it is asked for is not waited for here.
  link_.close();
  if (auto up = link_.connect(); !up.has_value()) {
    return {CommitOutcome::unknown, failure(up.error()).message};
  }
  const auto head = hold_head();
  if (!head.has_value()) {
    ends_ = before;
    return {CommitOutcome::unknown, head.error().message};
  }
  if (*head == Head::overtaken) {
    const auto fate = fate_under_another();
    if (!fate.has_value()) return {CommitOutcome::unknown, fate.error().message};
    return *fate;
  }
  if (ends_ == next) {
    apply(next);
    unsettled_ = false;
    return {CommitOutcome::committed, "found after connecting anew"};
  }
  if (ends_ == before) {
    pending_ = {};
    unsettled_ = false;
    return {CommitOutcome::rolled_back, "not there after connecting anew"};
  }
  // The ledger was set back, or written to past this program.
  overtaken_ = true;
  unsettled_ = false;
  return {CommitOutcome::fenced,
          "the ledger ends neither with the batch nor with the one before: it was set back, or "
          "another program wrote to it; run trued audit"};
}

// The other node's claim was made after our batch, if that is in at all.
Result<CommitResult> Writer::fate_under_another() {
  TRUED_ASSERT(unsettled_ && overtaken_);
  TRUED_TRY(const pg::Rows waited, read(kWaitForStandbys, {}));
  if (waited.count == 0 || link_.lost_replication()) {
    return Error{.code = ErrorCode::unavailable, .retryable = true, .message = kCut};
  }
  TRUED_TRY(const pg::Rows rows, read(kFate, {std::to_string(pending_.next.batch)}));
  Fields row(rows.values.front());
  if (row.number() >= pending_.next.batch) {
    return Error{.code = ErrorCode::not_found,
                 .message = "the log of that time was dropped: nobody can tell any more"};
  }
  const bool there = !row.null() && digest_of(row.bytes()) == pending_.next.hash;
  unsettled_ = false;
  if (there) {
    apply(pending_.next);
    return CommitResult{CommitOutcome::committed, "found under the claim of another node"};
  }
  return CommitResult{CommitOutcome::fenced, kOvertaken};
}

Result<std::uint32_t> Writer::retire(WallTime now, std::uint32_t limit) {
  if (unsettled_ || overtaken_) return std::uint32_t{0};
  if (auto up = link_.connect(); !up.has_value()) return failure(up.error());
  if (adrift_) {
    TRUED_TRY(const Head head, hold_head());
    if (head == Head::overtaken) return std::uint32_t{0};
  }
  {
    TRUED_TRY(const pg::Rows due, read("SELECT EXISTS (SELECT FROM @operation WHERE expires_at IS "
                                       "NOT NULL AND expires_at <= $1::bigint)",
                                       {std::to_string(now.time_since_epoch().count())}));
    Fields row(due.values.front());
    if (!row.truth()) return std::uint32_t{0};
  }
  TRUED_ASSERT(!unsettled_ && !overtaken_ && !adrift_);
  if (auto begun = link_.script("BEGIN"); !begun.has_value()) return failure(begun.error());
  auto locked = link_.ask(
      "SELECT 1 FROM @head WHERE epoch = $1::bigint AND holder = $2::text AND settled = $3::bigint "
      "AND batch = $4::bigint AND hash = $5::bytea FOR UPDATE",
      {std::to_string(condition_.epoch), condition_.holder, std::to_string(condition_.settled),
       std::to_string(ends_.batch), bytea(blob_of(ends_.hash))});
  if (!locked.has_value() || locked->values.empty()) {
    link_.rollback();
    if (!locked.has_value()) return failure(locked.error());
    overtaken_ = true;
    return Error{.code = ErrorCode::conflict, .message = kOvertaken};
  }
  Ends next = ends_;
  auto retired = retire_some(link_, next, now, limit);
  if (!retired.has_value()) {
    link_.rollback();
    return retired;
  }
  const auto committed = link_.commit();
  if (!committed.has_value() || !committed->replicated) {
    adrift_ = true;
    if (committed.has_value()) {
      return Error{.code = ErrorCode::unavailable,
                   .happened = Happened::maybe,
                   .retryable = true,
                   .message = kCut};
    }
    return failure(committed.error());
  }
  ends_ = next;
  return retired;
}

}  // namespace trued::postgres
