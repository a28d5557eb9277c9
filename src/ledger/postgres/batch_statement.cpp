#include "ledger/postgres/batch_statement.h"

#include "base/assert.h"
#include "ledger/codec.h"

namespace trued::postgres {

// Everything hangs on `ended`: where the head is not what it must be, or the server is set to
// promise something else than was last read (`terms`, as in kReadTerms), there is no row to join
// with. The parts run on one snapshot and in any order; the last line alone tells whether all of it
// fits, and an error there takes back all of it.
const char* const kCommitBatch = R"sql(
WITH terms AS (
  SELECT concat_ws(' ', current_setting('fsync', true), current_setting('full_page_writes', true),
    current_setting('synchronous_commit', true),
    current_setting('synchronous_standby_names', true)) = $36::text AS same
), ended AS (
  UPDATE @head SET batch = $6::bigint, sequence = $7::bigint, operation = $8::bigint,
    hash = $9::bytea
  WHERE epoch = $1::bigint AND holder = $2::text AND settled = $3::bigint
    AND batch = $4::bigint AND hash = $5::bytea
    AND (SELECT same FROM terms)
  RETURNING 1 AS one
), link AS (
  INSERT INTO @batch(no, at, records, hash)
  SELECT $6::bigint, $10::bigint, $11::bigint, $9::bytea FROM ended
), log AS (
  INSERT INTO @record(sequence, batch, operation, previous, at, body)
  SELECT u.sequence, $6::bigint, u.operation, u.previous, u.at, u.body
  FROM ended, unnest($12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bytea[])
    AS u(sequence, operation, previous, at, body)
), fresh AS (
  INSERT INTO @operation(no, id, identity, state, created_at, expires_at, last, scope, type, key,
    target, body)
  SELECT u.no, u.id, u.identity, u.state, u.created_at, u.expires_at, u.last, u.scope, u.type,
    u.key, u.target, u.body
  FROM ended, unnest($17::bigint[], $18::bytea[], $19::bytea[], $20::bigint[], $21::bigint[],
    $22::bigint[], $23::bigint[], $24::bytea[], $25::bytea[], $26::bytea[], $27::bytea[],
    $28::bytea[])
    AS u(no, id, identity, state, created_at, expires_at, last, scope, type, key, target, body)
  WHERE NOT EXISTS (SELECT FROM @tombstone t WHERE t.identity = u.identity)
  RETURNING 1
), meant AS (
  INSERT INTO @intent(no, body)
  SELECT u.no, u.body FROM ended, unnest($17::bigint[], $29::bytea[]) AS u(no, body)
), moved AS (
  UPDATE @operation o SET state = u.state, expires_at = u.expires_at, last = u.last, body = u.body
  FROM ended, unnest($30::bigint[], $31::bigint[], $32::bigint[], $33::bigint[], $34::bigint[],
    $35::bytea[]) AS u(no, previous, state, expires_at, last, body)
  WHERE o.no = u.no AND o.last = u.previous
  RETURNING 1
)
SELECT (SELECT count(*) FROM ended), 1 / (CASE
  WHEN NOT EXISTS (SELECT FROM ended) THEN 1
  WHEN (SELECT count(*) FROM fresh) = cardinality($17::bigint[])
   AND (SELECT count(*) FROM moved) = cardinality($30::bigint[]) THEN 1
  ELSE 0 END), (SELECT same FROM terms)
)sql";

namespace {

Ends following(const Ends& before) {
  Ends next = before;
  ++next.batch;
  return next;
}

}  // namespace

BatchStatement::BatchStatement(const Ends& before, WallTime at)
    : before_(before), next_(following(before)), at_(at), hash_(before.hash, next_.batch, at) {}

void BatchStatement::add(const Change& change, const Place& place) {
  TRUED_ASSERT(!change.events.empty());
  const Operation& row = change.row;
  const std::uint64_t sequence = next_.sequence;
  if (change.insert) {
    fresh_.no.add(place.no);
    fresh_.id.add(id_blob(row.id));
    fresh_.identity.add(identity_blob(row.identity));
    fresh_.state.add(state_number(row.state));
    fresh_.created.add(row.created_at);
    fresh_.expires.add(expiry_of(row));
    fresh_.last.add(sequence);
    fresh_.scope.add(row.identity.scope);
    fresh_.type.add(row.identity.type);
    fresh_.key.add(row.identity.key);
    fresh_.target.add(row.target);
    fresh_.body.add(encode_row(row));
    fresh_.intent.add(change.intent);
  } else {
    moved_.no.add(place.no);
    moved_.previous.add(place.last);
    moved_.state.add(state_number(row.state));
    moved_.expires.add(expiry_of(row));
    moved_.last.add(sequence);
    moved_.body.add(encode_row(row));
  }
  const std::string record = encode_events(row.id, change.events);
  records_.sequence.add(sequence);
  records_.operation.add(place.no);
  records_.previous.add(change.insert ? 0 : place.last);
  records_.at.add(change.at);
  records_.body.add(record);
  hash_.add(record_digest(sequence, place.no, change.at, record));
  next_.sequence += change.events.size();
  TRUED_ASSERT(records_.sequence.size() == fresh_.no.size() + moved_.no.size());
}

// unnest() would fill what is too short with NULL.
void BatchStatement::assert_even() const {
  const Records& r = records_;
  const std::size_t records = r.sequence.size();
  TRUED_ASSERT(r.operation.size() == records && r.previous.size() == records);
  TRUED_ASSERT(r.at.size() == records && r.body.size() == records);
  const Fresh& f = fresh_;
  const std::size_t fresh = f.no.size();
  TRUED_ASSERT(f.id.size() == fresh && f.identity.size() == fresh && f.state.size() == fresh);
  TRUED_ASSERT(f.created.size() == fresh && f.expires.size() == fresh && f.last.size() == fresh);
  TRUED_ASSERT(f.scope.size() == fresh && f.type.size() == fresh && f.key.size() == fresh);
  TRUED_ASSERT(f.target.size() == fresh && f.body.size() == fresh && f.intent.size() == fresh);
  const Moved& m = moved_;
  const std::size_t moved = m.no.size();
  TRUED_ASSERT(m.previous.size() == moved && m.state.size() == moved && m.last.size() == moved);
  TRUED_ASSERT(m.expires.size() == moved && m.body.size() == moved);
  TRUED_ASSERT(records == fresh + moved);
  TRUED_ASSERT(next_.batch - before_.batch == 1);
  TRUED_ASSERT(next_.sequence - before_.sequence >= records);
}

pg::Parameters BatchStatement::finish(const Condition& condition) {
  assert_even();
  next_.hash = hash_.finish();
  return {std::to_string(condition.epoch),
          condition.holder,
          std::to_string(condition.settled),
          std::to_string(before_.batch),
          bytea(blob_of(before_.hash)),
          std::to_string(next_.batch),
          std::to_string(next_.sequence),
          std::to_string(next_.operation),
          bytea(blob_of(next_.hash)),
          std::to_string(at_.time_since_epoch().count()),
          std::to_string(records_.sequence.size()),
          records_.sequence.parameter(),
          records_.operation.parameter(),
          records_.previous.parameter(),
          records_.at.parameter(),
          records_.body.parameter(),
          fresh_.no.parameter(),
          fresh_.id.parameter(),
          fresh_.identity.parameter(),
          fresh_.state.parameter(),
          fresh_.created.parameter(),
          fresh_.expires.parameter(),
          fresh_.last.parameter(),
          fresh_.scope.parameter(),
          fresh_.type.parameter(),
          fresh_.key.parameter(),
          fresh_.target.parameter(),
          fresh_.body.parameter(),
          fresh_.intent.parameter(),
          moved_.no.parameter(),
          moved_.previous.parameter(),
          moved_.state.parameter(),
          moved_.expires.parameter(),
          moved_.last.parameter(),
          moved_.body.parameter(),
          condition.terms};
}

}  // namespace trued::postgres
