// definition.h: an operation type as it is declared: what it takes, does, leaves behind and how
// that is checked.
//
// A definition is parsed from a JSON tree (the configuration makes one of [operation.NAME]) and
// checked in itself here, against its targets in check.h. It never changes: another tree is
// another version, told by its digest. An operation keeps to the version that it began with.
//
//   input ──► schema ──► scope, key ──► Identity ──► artifacts: name, expected content ──► Intent
//
// Everything that can go wrong with an input goes wrong in intend(), before anything is accepted:
// the effect, the reads and the preconditions are filled in there once for the faults, with a
// stand-in for what is not known yet (operation.id, the result).
//
// Invariants
//   (1) intend() and restore() of one input and identity give the same intent.
//   (2) An identity is never guessed: a field that is missing or null is refused.
//   (3) The digest covers the name and the whole tree, in canonical form, and nothing else.
//
// Pure; immutable; shared between threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "core/evidence.h"
#include "core/ids.h"
#include "core/operation.h"
#include "core/policy.h"
#include "define/fault.h"
#include "define/schema.h"
#include "define/template.h"
#include "json/value.h"

namespace trued::define {

/// A call as the target's kind defines it, or { path } of an artifact of a store.
struct CallSpec {
  std::string target;
  Template call;
  std::string pointer;  ///< where it stands in the definition
};

/// What a read should find.
struct Expect {
  enum class Kind : std::uint8_t { json, text, sha256, absent };
  Kind kind = Kind::json;
  Template value;       ///< json: any tree; text: a text; sha256: 64 hexadecimal digits
  bool base64 = false;  ///< text: the content is what the text decodes to
  std::string pointer;
};

struct ArtifactSpec {
  Template name;
  std::optional<CallSpec> read;     ///< none: an artifact of the store that the effect writes to
  std::optional<CallSpec> serving;  ///< what a consumer is handed
  Expect expect;
};

/// "Did it happen?", for when an attempt ended without an answer.
struct ProbeSpec {
  CallSpec read;
  Expect happened;
  std::optional<Expect> did_not;  ///< none: the probe can only say yes
};

/// Something that must hold when the effect is sent.
struct Requirement {
  std::optional<CallSpec> read;  ///< a fact at a target, with `expect`
  Expect expect;
  // Or the state of another operation: by id, or by type, key and scope.
  Template id;
  std::string type;
  Template key;
  Template scope;
  std::vector<Status> statuses;
  std::string pointer;
};

struct CompensateSpec {
  std::string operation;  ///< its type
  Template input;
};

/// The steps of resolving an outcome that is not known, always in this order.
enum class OnUnknown : std::uint8_t { read_back, probe, repeat, person };

/// What the definition says about bounds; what it leaves open is its target's.
struct Bounds {
  std::optional<std::uint32_t> attempts_max;
  std::optional<Duration> retry_first;
  std::optional<std::uint32_t> retry_factor;
  std::optional<Duration> retry_cap;
  struct Settle {
    std::optional<Duration> within;
    std::optional<std::uint32_t> reads_max;
    std::optional<Duration> first;
    std::optional<Duration> cap;
  };
  Settle settle;          ///< a mismatch at the store
  Settle serving_settle;  ///< a mismatch at the serving level
  Settle unreadable;      ///< could not be read, at either
  std::optional<Duration> timeout;
  std::optional<Duration> deadline;
  std::optional<Duration> retention;
  std::optional<OnFailure> on_failure;
  bool verify = true;

  /// `target`'s policy with what is said here in its place.
  [[nodiscard]] Policy over(Policy target) const;
};

/// What is wrong with a submission. Nothing happened, nothing was accepted.
struct Objection {
  enum class About : std::uint8_t { input, key, scope };
  About about = About::input;
  std::string pointer;  ///< into the input
  std::string detail;
};

/// What a caller sends beside the input.
struct Submitted {
  std::string scope;               ///< empty: none given
  std::optional<std::string> key;  ///< nothing: none given
};

/// A submission, ready for the ledger.
struct Intended {
  Identity identity;
  Fingerprint fingerprint;
  std::shared_ptr<const Intent> intent;
  std::string input;  ///< canonical JSON: what the ledger keeps
};

inline constexpr std::string_view kDefaultScope = "default";

struct Definition {
  std::string name;       ///< the type
  std::string canonical;  ///< {"definition": …, "name": …}, RFC 8785
  Digest digest;          ///< SHA-256 of `canonical`
  json::Value tree;       ///< as it was written

  Schema input;
  std::vector<std::pair<std::string, std::vector<std::string>>> identity;  ///< path, its steps
  std::optional<Template> scope;

  std::string target;     ///< of the effect
  bool on_store = false;  ///< the effect puts artifacts into a store; else it is a call
  CallSpec effect;        ///< of a call
  Template message;       ///< of an effect on a store; null for none
  std::vector<ArtifactSpec> artifacts;
  std::optional<ProbeSpec> probe;
  std::vector<Requirement> requirements;
  std::optional<CompensateSpec> compensate;
  std::vector<OnUnknown> on_unknown;

  Bounds bounds;
  Priority priority = Priority::normal;
  std::optional<bool> idempotent;  ///< nothing: by what the effect is
  bool irreversible = false;
  std::string owner;                      ///< who decides what went wrong; empty: the target's
  std::optional<Duration> decide_within;  ///< nothing: the target's

  /// True if `step` is among `on_unknown`.
  [[nodiscard]] bool resolves_by(OnUnknown step) const;
  /// True if artifacts are read at the serving level by calls of the definition's own.
  [[nodiscard]] bool reads_serving() const;
  /// True if there are artifacts, and every one is read at another target than the effect's.
  [[nodiscard]] bool reads_elsewhere() const;
  /// The targets it names, each once: the effect's first.
  [[nodiscard]] std::vector<std::string> targets() const;

  /// The submission as an intent, or everything that is wrong with it.
  [[nodiscard]] Result<Intended, std::vector<Objection>> intend(const json::Value& input_value,
                                                                const Submitted& submitted) const;
  /// The intent of what was accepted before, for recovery: not held to the schema again.
  [[nodiscard]] Result<std::shared_ptr<const Intent>, Objection> restore(
      const json::Value& input_value, const Identity& who) const;
  /// What each artifact is to be taken turns at: two operations that touch one thing have a name in
  /// common. Of a store that is the artifact's name; of a call it is what reads it back, filled in,
  /// so that a name like "charge" does not make every operation wait for every other.
  [[nodiscard]] std::vector<std::string> turns(const Intent& intent, const Identity& who) const;
  /// The input of the compensating operation. REQUIRES: compensate.
  [[nodiscard]] Result<json::Value, RenderFault> compensation(const Values& values) const;
};

/// The definition, or null and everything that is wrong with `tree` in itself.
[[nodiscard]] std::shared_ptr<const Definition> parse_definition(const std::string& name,
                                                                 const json::Value& tree,
                                                                 Faults& faults);

/// The same from what the ledger kept (`canonical`); `corrupt` or `invalid_argument` otherwise.
[[nodiscard]] Result<std::shared_ptr<const Definition>> load_definition(std::string_view canonical);

/// How two versions differ, one line each: "retry.attempts_max: 5 -> 8". Empty if they do not.
[[nodiscard]] std::vector<std::string> diff(const Definition& before, const Definition& after);

/// `operation` as templates see it. An id or attempt that is not known yet is left out.
[[nodiscard]] json::Value operation_value(const Identity& identity,
                                          const std::optional<OperationId>& id,
                                          const std::optional<AttemptNo>& attempt);

/// The key derived from identity fields: "sha256:" and 64 hexadecimal digits.
[[nodiscard]] std::string derived_key(const json::Value& fields);

[[nodiscard]] std::string_view to_string(OnUnknown step);

}  // namespace trued::define
