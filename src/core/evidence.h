// evidence.h: what was meant, what was seen, and what one read of it means.
//
// Content is compared where it was read (see target/compare.h); the core sees sizes and digests,
// so that deciding costs O(artifacts), never O(bytes).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/time.h"

namespace trued {

/// Where a read was made: `store` is the authoritative store, `serving` what a consumer is handed.
enum class Level : std::uint8_t { store, serving };

/// What one read-back says about one artifact. `unreadable` is not a kind of mismatch: nothing is
/// ever written because of it.
enum class Verdict : std::uint8_t { match, mismatch, unreadable };

/// The signature of a lie in a mismatch; `overwritten` is none. Rules and precedence: tells.h.
enum class Tell : std::uint8_t {
  swallowed_race,
  self_agreeing_noop,
  empty_write,
  partial_landing,
  clever_dedup,
  truncated,
  stale_replica,
  overwritten,
  unexplained,
};

/// Identifies content without holding it.
struct ContentId {
  Digest sha256;
  std::uint64_t bytes = 0;

  friend bool operator==(const ContentId&, const ContentId&) = default;
};

/// How content found is compared with the content meant.
enum class Comparison : std::uint8_t {
  bytes,        ///< byte for byte, or by digest where only that was declared
  json_subset,  ///< every member meant is there and equal; others may be there too
};

/// One thing the operation should change. `absent` means that it should not exist afterwards; then
/// `content` is empty and `id` is of no meaning.
struct ArtifactIntent {
  std::string name;  ///< locator within the target: a relative path with '/' separators
  bool absent = false;
  ContentId id;         ///< of `content`
  std::string content;  ///< the bytes meant; dropped from the ledger's row, kept in its intent
  /// json_subset: `content` is canonical JSON; what is found counts as that part of it that was
  /// meant, in canonical form.
  Comparison comparison = Comparison::bytes;
};

/// What the caller means to change, decoded once at the border. Immutable after that; shared.
struct Intent {
  std::string target;
  std::string message;              ///< for people: commit message; may be empty
  std::optional<std::string> base;  ///< version the change was based on: a changed base is refused
  bool verify = true;               ///< the caller's choice; false is recorded
  std::string input;  ///< of a defined operation: its input as canonical JSON; else empty
  std::vector<ArtifactIntent> artifacts;  ///< a write has at least one; names are distinct
};

/// Whether a read found something.
enum class Seen : std::uint8_t { found, absent, unreadable };

/// One read of one artifact at one level, compared where it was read.
struct Observation {
  std::uint32_t artifact = 0;  ///< index into Intent::artifacts
  Level level = Level::store;
  Seen seen = Seen::unreadable;
  ContentId id;                ///< when found
  bool proper_prefix = false;  ///< found, and a proper prefix of the content meant
  std::string version;         ///< commit, ETag, … as the reader reports it; may be empty
  std::string served_by;       ///< replica or reader that answered; may be empty
  std::string detail;          ///< unreadable: why; found: an excerpt of what differs
  WallTime read_at{};
  Duration latency{};
};

/// The verdict of one observation against what was meant. Pure comparison of identities.
[[nodiscard]] Verdict judge(const ArtifactIntent& meant, const Observation& seen);

/// What the target's own history says about one artifact of ours.
struct ArtifactHistory {
  bool landed = false;      ///< our change is in the history and held the content meant
  std::string replaced_by;  ///< later change by another writer ("<version> <who>"), or empty
};

/// The target's own account of an operation. `known` false: it could not be asked, or has none.
struct History {
  bool known = false;
  bool ours_present = false;  ///< a change that carries our operation id is in the history
  bool reported_present =
      false;  ///< the version that the target acknowledged with is in the history
  std::string our_version;
  std::string result;  ///< what ours was answered with, as JSON text, where the target keeps that
  std::vector<ArtifactHistory> artifacts;  ///< one each of Intent::artifacts when known
};

[[nodiscard]] std::string_view to_string(Level level);
[[nodiscard]] std::string_view to_string(Verdict verdict);
[[nodiscard]] std::string_view to_string(Tell tell);
[[nodiscard]] std::string_view to_string(Seen seen);
[[nodiscard]] std::optional<Level> parse_level(std::string_view text);
[[nodiscard]] std::optional<Verdict> parse_verdict(std::string_view text);
[[nodiscard]] std::optional<Tell> parse_tell(std::string_view text);
[[nodiscard]] std::optional<Seen> parse_seen(std::string_view text);

}  // namespace trued
