// registry.h: every version of every definition that this server knows, and which is current.
//
//   the ledger ──(at start)──┐
//                            ├──► add("charge", 3) ──► current("charge"), target("charge@3"), …
//   an operation on the ──────┘
//   built-in target trued.definitions
//
// A definition is itself something that is written, read back and only then called confirmed: an
// operation of the built-in type "definition" with the key "charge@3", at the built-in target
// `trued.definitions`, whose one artifact is the definition's canonical text. So who applied which
// version when, and the proof that it stands, is in the ledger like everything else.
//
// Invariants
//   (1) A version never changes once it is known, and is never forgotten: what began with it goes
//       on with it.
//   (2) Numbers of a name only grow. The newest one that is known is current, unless it retired the
//       name.
//   (3) Pointers that were handed out stay valid as long as the registry.
//
// Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "define/check.h"
#include "define/connector.h"
#include "define/definition.h"
#include "target/types.h"

namespace trued::define {

/// The type of the operations that definitions are applied by, and how they are carried out.
inline constexpr std::string_view kDefinitionType = "definition";
inline constexpr std::string_view kDefinitionDefinition = "definition@1";
/// The target that they go to, and the scope of their keys.
inline constexpr std::string_view kRegistryTarget = "trued.definitions";
inline constexpr std::string_view kRegistryScope = "trued";

/// "charge@3".
struct VersionId {
  std::string name;
  std::uint32_t number = 0;

  friend auto operator<=>(const VersionId&, const VersionId&) = default;
};
[[nodiscard]] std::string to_string(const VersionId& id);
/// Nothing if it is none.
[[nodiscard]] std::optional<VersionId> parse_version_id(std::string_view text);

/// A version as submissions meet it.
struct CurrentVersion {
  VersionId id;
  std::shared_ptr<const Definition> definition;
  const Target* target = nullptr;  ///< null if a target that it names is not configured
  std::string wrong = {};          ///< then: which
};

class Registry final : public OperationTypes {
 public:
  /// `targets` outlives the registry and holds make_registry_target() before anything is submitted.
  Registry(const Targets& targets, StatusOf status_of, Remembers remembers = {});

  [[nodiscard]] const Target* target(std::string_view definition) const override;
  [[nodiscard]] std::shared_ptr<const Intent> restore(std::string_view definition,
                                                      const json::Value& input,
                                                      const Identity& who) const override;
  [[nodiscard]] std::vector<std::string> turns(std::string_view definition, const Intent& intent,
                                               const Identity& who) const override;

  [[nodiscard]] Result<UndoInput> undo(std::string_view definition, const Intent& intent,
                                       const Identity& who, const OperationId& id,
                                       std::string_view result) const override;
  [[nodiscard]] Result<Begun> begin(std::string_view type, const json::Value& input,
                                    const std::string& scope,
                                    const std::string& key) const override;

  /// Makes a version known, and current if no newer one is. A null definition retires the name.
  /// `conflict` if that number is known as something else.
  [[nodiscard]] Result<void> add(const VersionId& id, std::shared_ptr<const Definition> definition);
  /// That number is used up, whatever came of it.
  void reserve(const VersionId& id);

  /// What a new operation of that type begins with; nothing if there is no such type (any more).
  [[nodiscard]] std::optional<CurrentVersion> current(std::string_view type) const;
  /// What a definition is checked in, if `all` were current.
  [[nodiscard]] Surroundings around(const Definitions& all) const {
    return {.targets = targets_, .definitions = all, .remembers = remembers_};
  }
  /// The definition of a version ("charge@3"); null if it is not known, or retired the name.
  [[nodiscard]] std::shared_ptr<const Definition> known(std::string_view version) const;
  /// All that are current.
  [[nodiscard]] Definitions definitions() const;
  /// Every version of one name, oldest first; a null definition is a retirement.
  [[nodiscard]] std::vector<CurrentVersion> versions(std::string_view name) const;
  [[nodiscard]] bool knows(const VersionId& id) const;
  /// Where one name stands: what is current, if anything is, and the number that comes next.
  struct Head {
    std::optional<CurrentVersion> current = {};
    std::uint32_t next = 1;
  };
  /// All names that were ever known, as they stand at one moment.
  [[nodiscard]] std::map<std::string, Head> heads() const;

 private:
  struct Version {
    std::shared_ptr<const Definition> definition;
    std::unique_ptr<Target> target;  ///< null if a target that it names is not configured
    std::string wrong;               ///< then: which
  };
  struct History {
    std::map<std::uint32_t, Version> versions;
    std::uint32_t reserved = 0;
  };
  const Version* find(const VersionId& id) const;  ///< REQUIRES: the lock
  static CurrentVersion shown(const std::string& name, std::uint32_t number,
                              const Version& version);

  const Targets& targets_;
  StatusOf status_of_;
  Remembers remembers_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, History, std::less<>> histories_;
};

/// The built-in target at which definitions are applied.
[[nodiscard]] Target make_registry_target(Registry& registry);

/// The submission that applies a version, or retires the name: canonical JSON and its intent.
struct ApplyInput {
  std::string canonical;
  std::shared_ptr<const Intent> intent;
};
[[nodiscard]] ApplyInput apply_input(const std::string& name, const Definition* definition);

// ---- Plans --------------------------------------------------------------------------------------

enum class ChangeKind : std::uint8_t { added, changed, same, kept, retired };

/// What applying would do to one name. `kept`: current, and not among what was given.
struct PlannedChange {
  std::string name;
  ChangeKind kind = ChangeKind::same;
  std::uint32_t from = 0;  ///< the current version; 0: none
  std::uint32_t to = 0;    ///< the version afterwards; `from` where nothing changes
  std::shared_ptr<const Definition> definition;  ///< null: retired or kept
  std::vector<std::string> lines;                ///< how they differ
};

/// By name. What is not given is kept, or retired if `prune`.
[[nodiscard]] std::vector<PlannedChange> plan_changes(const Registry& registry,
                                                      const Definitions& given, bool prune);
/// The definitions that would be current afterwards, for check_definition().
[[nodiscard]] Definitions after_changes(const Registry& registry, const Definitions& given,
                                        bool prune);
[[nodiscard]] std::string_view to_string(ChangeKind kind);

}  // namespace trued::define
