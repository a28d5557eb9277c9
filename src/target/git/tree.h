// tree.h: what stands at a path of a tree, and a tree with an intent applied. Private to this
// folder. A handle of the repository belongs to one thread.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/evidence.h"
#include "target/git/handles.h"

namespace trued::git {

enum class EntryKind : std::uint8_t { none, file, directory, link, submodule };

/// What stands at a path. `id` and `executable` are of meaning for a file.
struct Entry {
  EntryKind kind = EntryKind::none;
  git_oid id{};
  bool executable = false;
};

/// True if they differ for whoever reads the path.
[[nodiscard]] bool differs(const Entry& a, const Entry& b);

/// The same where a directory counts as nothing: for a file that makes room for one (nesting.h).
[[nodiscard]] Entry without_directory(const Entry& entry);

/// "a file (blob 0123456789)", "nothing", …
[[nodiscard]] std::string describe(const Entry& entry);

/// `tree` may be null (an unborn branch). A path through something that is no directory is none.
[[nodiscard]] Result<Entry> entry_at(git_repository* repository, const git_tree* tree,
                                     const std::string& path);
/// The same in the tree of a commit; nothing in that of an unborn branch.
[[nodiscard]] Result<Entry> entry_in(git_repository* repository, const git_oid& commit,
                                     const std::string& path);

/// What `entry_at` would find if the artifact stood as it was meant.
[[nodiscard]] Result<Entry> meant_entry(const ArtifactIntent& artifact);
/// True if `entry` is what was meant, whatever its mode.
[[nodiscard]] bool holds(const Entry& meant, const Entry& entry);

/// Something is in the way of what was meant; for people.
struct Conflict {
  std::string reason;
};

/// The tree with every artifact of `intent` applied that `skip` does not mark: removals first, then
/// content. What makes room for a directory (nesting.h) may be one already. Executable bits stay;
/// directories that become empty go. Only regular files are written and removed.
[[nodiscard]] Result<std::variant<git_oid, Conflict>> apply(git_repository* repository,
                                                            const git_tree* tree,
                                                            const Intent& intent,
                                                            const std::vector<bool>& skip);

}  // namespace trued::git
