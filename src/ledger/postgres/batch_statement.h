// batch_statement.h: a batch as one statement with its parameters. Private. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/ledger.h"
#include "ledger/postgres/values.h"
#include "ledger/stored.h"
#include "pg/session.h"

namespace trued::postgres {

/// Where an operation stands in the log.
struct Place {
  std::uint64_t no = 0;
  std::uint64_t last = 0;
};

/// What the head must be for a statement to do anything.
struct Condition {
  std::uint64_t epoch = 0;
  std::string holder;
  std::uint64_t settled = 0;
  std::string terms;  ///< Terms::text; the last of the parameters
};

/// The statement's one row: whether head and terms were as expected (1 or 0), 1, and whether the
/// terms were. It fails with division_by_zero if both were, and an operation is not: a tombstone
/// holds the identity of a new one, or one that is changed is not where it was. Either way nothing
/// is written then.
extern const char* const kCommitBatch;
inline constexpr const char* kNotAsExpected = "22012";
/// The constraint that decides who was first.
inline constexpr const char* kIdentityTaken = "operation_identity";

class BatchStatement {
 public:
  /// For a batch that follows `before`.
  BatchStatement(const Ends& before, WallTime at);

  /// `place`: where the operation stands; for a new one its number only.
  void add(const Change& change, const Place& place);
  /// The number of the next new operation.
  [[nodiscard]] std::uint64_t next_number() { return ++next_.operation; }
  /// After the last add().
  [[nodiscard]] pg::Parameters finish(const Condition& condition);
  [[nodiscard]] const Ends& next() const { return next_; }
  /// The identities of new operations, as a parameter.
  [[nodiscard]] pg::Parameter identities() const { return fresh_.identity.parameter(); }

 private:
  void assert_even() const;

  struct Records {
    Numbers sequence, operation, previous, at;
    Blobs body;
  };
  struct Fresh {
    Numbers no, state, created, expires, last;
    Blobs id, identity, scope, type, key, target, body, intent;
  };
  struct Moved {
    Numbers no, previous, state, expires, last;
    Blobs body;
  };

  const Ends before_;
  Ends next_;
  const WallTime at_;
  BatchHash hash_;
  Records records_;
  Fresh fresh_;
  Moved moved_;
};

}  // namespace trued::postgres
