// durability.h: what a commit survives, as far as anybody knows, and the floor under it.
//
// A ledger is asked again and again (durability_watch.h), because what an engine guarantees can be
// set otherwise while it runs. What nobody has confirmed for a while is `unknown`, and passes no
// floor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace trued {

/// Each promises more than the one before.
enum class DurabilityLevel : std::uint8_t {
  unknown,  ///< nobody has confirmed it for too long
  memory,   ///< the end of the process takes it away
  none,     ///< a crash of the machine, or of the engine, can take it back
  fsync,    ///< on the disk of one machine
  standby,  ///< on that and on another machine
  quorum,   ///< on the disks of a majority of the machines
};
inline constexpr std::size_t kDurabilityLevels = 6;
[[nodiscard]] std::string_view to_string(DurabilityLevel level);
[[nodiscard]] std::optional<DurabilityLevel> durability_level(std::string_view word);

/// A follower that the engine feeds, as the engine shows it.
struct Standby {
  std::string name;
  std::string state;  ///< "streaming", "catchup", …
  std::string sync;   ///< "quorum", "sync", "potential", "async"

  friend bool operator==(const Standby&, const Standby&) = default;
};

/// What a ledger promises of what is committed now.
struct Durability {
  DurabilityLevel level = DurabilityLevel::unknown;
  std::string sentence;  ///< why, for people
  /// Who follows; nothing: it cannot be seen from here.
  std::optional<std::vector<Standby>> standbys = std::vector<Standby>();
  bool commits_wait = false;             ///< for standbys that are not there now
  std::vector<std::string> unseen = {};  ///< what cannot be told from here, and what would help

  friend bool operator==(const Durability&, const Durability&) = default;
};

/// Of a ledger whose promise never changes, by what it calls it.
[[nodiscard]] Durability fixed_durability(std::string_view word);

/// What is known, as of when, and what it is held to.
struct DurabilityReport {
  Durability now;
  std::optional<WallTime> seen_at;  ///< when it was last confirmed; nothing: never
  Duration age{};                   ///< since then, or since anybody began to ask
  DurabilityLevel floor = DurabilityLevel::none;
  bool below = false;  ///< less than the floor
};

/// The port through which the engine keeps to a floor. Threads: any.
class DurabilityFloor {
 public:
  virtual ~DurabilityFloor() = default;
  /// Why nothing new may be taken on or begun now; empty: it may.
  [[nodiscard]] virtual std::string below() const = 0;
  /// A commit did not end as commits do: what is known may be out of date.
  virtual void look_again() = 0;
};

}  // namespace trued
