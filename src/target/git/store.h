// store.h: one branch of one repository, wherever it is. Private to this folder.
//
// Two kinds: a local repository, whose reference is moved under its lock, and a remote one over
// HTTP, which is fetched from and pushed to. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "core/operation.h"
#include "target/git/handles.h"

namespace trued {
struct GitOptions;
}

namespace trued::git {

/// A repository with all objects of the branch's head of the moment. One thread at a time.
struct Snapshot {
  Handle<git_repository> repository;
  std::optional<git_oid> head;  ///< nothing: the branch is unborn
  std::string branch;           ///< whose head it is
};

enum class Moved : std::uint8_t {
  done,
  race,      ///< somebody else moved the branch; nothing of ours happened
  rejected,  ///< ends the attempt with `kind` and `reason`
};

struct Move {
  Moved moved = Moved::done;
  EffectKind kind = EffectKind::none;  ///< for rejected: any but acknowledged
  std::string reason = {};
};

class Store {
 public:
  virtual ~Store() = default;
  /// Resolves the branch now, never from memory. Errors happened = no; `unavailable` only if
  /// nothing left us.
  [[nodiscard]] virtual Result<Snapshot> snapshot(Duration timeout) = 0;
  /// The head alone, which may cost less.
  [[nodiscard]] virtual Result<std::optional<git_oid>> head(Duration timeout) = 0;
  /// Moves the branch from the snapshot's head to `to`, a commit in its repository, if nobody has
  /// moved it since.
  [[nodiscard]] virtual Move move(const Snapshot& from, const git_oid& to, Duration timeout) = 0;
  /// Held by whoever changes this repository from within the process.
  [[nodiscard]] virtual std::timed_mutex& writers() = 0;
  /// Its name, as far as it is known.
  [[nodiscard]] virtual std::string branch() const = 0;
  [[nodiscard]] virtual std::string notice() const = 0;
};

/// `not_found` etc. as GitConnector::open() says.
[[nodiscard]] Result<std::unique_ptr<Store>> open_local(const GitOptions& options);
[[nodiscard]] Result<std::unique_ptr<Store>> open_remote(const GitOptions& options);

/// The one mutex of the process for `repository` (a canonical path or URL).
[[nodiscard]] std::shared_ptr<std::timed_mutex> writers_of(const std::string& repository);

inline constexpr std::string_view kHeads = "refs/heads/";

/// Which branch is the target's: `configured`, or without it the one that `named` (HEAD's; may be
/// empty) names, or "main". Where there are `branches` it must be one of them: a wrong name must
/// not give birth to a second line of history. Error: invalid_argument, naming the branches there
/// are.
[[nodiscard]] Result<std::string> choose_branch(const std::string& repository,
                                                const std::string& configured,
                                                const std::string& named,
                                                const std::vector<std::string>& branches);

/// How an attempt ends that could not begin because of `error`.
[[nodiscard]] EffectKind kind_of(const Error& error);

}  // namespace trued::git
