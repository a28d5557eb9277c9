// stored.h: what every ledger that keeps rows in tables has in common: where the log ends, how
// identities and states stand in columns, what a tombstone's row says. Private to src/ledger.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"
#include "base/time.h"
#include "core/identity.h"
#include "core/operation.h"
#include "ledger/codec.h"
#include "ledger/ledger.h"

namespace trued {

/// The newest of each number that is in the ledger, and the hash the next batch follows.
struct Ends {
  std::uint64_t operation = 0;
  std::uint64_t sequence = 1;  ///< of the next event
  std::uint64_t batch = 0;
  Digest hash{};
  bool operator==(const Ends&) const = default;
};

/// A tombstone as its row has it.
struct Grave {
  Tombstone tombstone;
  std::uint64_t operation = 0;
  std::uint64_t record = 0;  ///< the sequence of its mark
  std::string identity;

  [[nodiscard]] std::string mark() const { return encode_mark(tombstone, identity); }
  /// Adds this one to LogBase::tombs, by all that the record of its mark is, its number and its
  /// operation's among it.
  [[nodiscard]] Digest bury_in(const Digest& tombs) const;
};

/// Which rows are in the index of what needs attention. A query that says so in these words uses
/// it.
inline constexpr const char* kInAttention = "(state < 4 OR state BETWEEN 8 AND 10)";
inline constexpr const char* kIsOpen =
    "state IN (0, 1, 2, 3, 10) AND (state < 4 OR state BETWEEN 8 AND 10)";

/// " AND state IN (…)", so that the index is used where it can be; empty for any state.
[[nodiscard]] std::string state_condition(const ListQuery& query);

[[nodiscard]] std::string_view id_blob(const OperationId& id);
[[nodiscard]] std::optional<OperationId> id_from(std::string_view blob);
/// The first 16 bytes of the identity's digest.
[[nodiscard]] std::string identity_blob(const Identity& identity);
/// When it may be retired; nothing while it is open or undecided.
[[nodiscard]] std::optional<WallTime> expiry_of(const Operation& operation);
[[nodiscard]] int state_number(State state);
[[nodiscard]] Result<State> state_from(std::int64_t number);
[[nodiscard]] std::string_view blob_of(const Digest& digest);
[[nodiscard]] std::optional<Digest> digest_of(std::string_view blob);

}  // namespace trued
