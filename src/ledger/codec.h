// codec.h: how events and rows are written to a ledger. On disk: nothing is changed or reused.
//
//   record    = 1, event, …                     the events of one operation in one batch
//   event     = number in Event; accepted: the id; its members
//   row       = 1, the operation's fold without what stands in columns (id, identity, target,
//               state, created_at)
//   members   packed (packed.h), in the order that packed_shapes.h gives them
//   mark      = [{"e":"retired", id, identity, fp, state, settled, at}]   what its tombstone is
//   base      = [{"e":"base", batch, sequence, hash, tombs}]   under operation 0: where the log
//               begins since retention dropped its beginning; tombs = a hash over the marks that
//               were dropped with it, in order: SHA-256(tombs before ‖ record digest of the mark)
//
// Marks and bases are JSON: times are integer milliseconds, digests base64 of 32 bytes. So were,
// before the third schema, events and rows, which are still read:
//
//   record    = [{"e": NAME, …}, …]     members that hold their default are left out; unknown ones
//                                       are ignored; enums are the words of the API
//     accepted        id, scope, type, key, fp, def, target, actor, prio, verify, serving,
//                     not_before, deadline, retention, on_failure, artifacts: [meant, …]
//     attempt_started n, by       baseline_read  reads       effect_ended  n, kind, changed,
//     version, before, result, reason            read_back  n, reads, history
//     wait_scheduled  for, at, reason            lie_caught  n, tell, detail
//     settled  state, reason, tell, by           person_acted  action, who, why, deadline
//     repeated decision, count                   late_evidence  n, kind, detail
//     recovered n
//   meant     = {"p": name, "x": absent, "h": sha256, "n": bytes}
//   read      = {"a": artifact, "l": level, "s": seen, "h", "n", "pre": proper prefix,
//               "v": version, "by": served by, "d": detail, "t": read at, "ms": latency}
//   history   = {"ours", "rep", "v", "a": [{"l": landed, "by"}, …]}     present only if known
//
// Chain:  record digest = SHA-256(sequence ‖ operation number ‖ at ‖ record as it is stored)
//         batch hash    = SHA-256(previous hash ‖ batch number ‖ at ‖ record digests)
// with 64-bit big-endian integers. The first batch follows 32 zero bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/identity.h"
#include "core/operation.h"

namespace trued {

[[nodiscard]] std::string encode_events(const OperationId& id, const std::vector<Event>& events);
[[nodiscard]] Result<std::vector<Event>> decode_events(std::string_view record);
/// The id that an `accepted` record carries; `corrupt` if the record does not begin with one.
[[nodiscard]] Result<OperationId> decode_accepted_id(std::string_view record);

[[nodiscard]] std::string encode_row(const Operation& operation);
/// Fills in everything that encode_row() wrote; the columns' members are the caller's.
[[nodiscard]] Result<void> decode_row(std::string_view row, Operation& operation);
/// The row as JSON: as it was stored before it was packed, and for people.
[[nodiscard]] std::string text_of_row(const Operation& operation);

/// How the records begin that retention writes.
inline constexpr std::string_view kMarkPrefix = R"([{"e":"retired")";
inline constexpr std::string_view kBasePrefix = R"([{"e":"base")";
/// A mark of the first schema, which says nothing of its tombstone.
inline constexpr std::string_view kBareMark = R"([{"e":"retired"}])";

/// The mark that a retired operation leaves in the log; `identity` as the store keeps it.
[[nodiscard]] std::string encode_mark(const Tombstone& tombstone, std::string_view identity);

/// Where a log begins.
struct LogBase {
  std::uint64_t batch = 0;     ///< the newest one dropped
  std::uint64_t sequence = 1;  ///< of the first event kept
  Digest hash{};               ///< of the newest batch dropped
  Digest tombs{};              ///< over the marks that were dropped
  bool operator==(const LogBase&) const = default;
};
[[nodiscard]] std::string encode_base(const LogBase& base);
/// Adds a dropped mark to LogBase::tombs, by the digest of its record.
[[nodiscard]] Digest bury(const Digest& tombs, const Digest& mark);
/// The same as the second schema did it: by the mark's text alone.
[[nodiscard]] Digest bury_text(const Digest& tombs, std::string_view mark);

[[nodiscard]] Digest record_digest(std::uint64_t sequence, std::uint64_t operation, WallTime at,
                                   std::string_view record);

/// Collects the digests of one batch.
class BatchHash {
 public:
  BatchHash(const Digest& previous, std::uint64_t batch, WallTime at);
  void add(const Digest& record);
  [[nodiscard]] Digest finish();

 private:
  Sha256 hash_;
};

/// What fingerprint an intent of a type has: SHA-256 of {"input": …, "type": …} in canonical form.
[[nodiscard]] Fingerprint fingerprint_of(std::string_view canonical_input, std::string_view type);

}  // namespace trued
