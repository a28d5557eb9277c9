// handles.h: libgit2's objects with owners, and its errors with words. Private to this folder.
//
// libgit2 is set up once for the process: no user or system configuration, ownership of the
// repository is not checked (the operator named it; nothing in it is executed), objects and
// references are synced to disk. Handles belong to one thread at a time.
#pragma once

#include <git2.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trued::git {

struct Free {
  void operator()(git_repository* p) const { git_repository_free(p); }
  void operator()(git_reference* p) const { git_reference_free(p); }
  void operator()(git_commit* p) const { git_commit_free(p); }
  void operator()(git_tree* p) const { git_tree_free(p); }
  void operator()(git_blob* p) const { git_blob_free(p); }
  void operator()(git_odb* p) const { git_odb_free(p); }
  void operator()(git_treebuilder* p) const { git_treebuilder_free(p); }
  void operator()(git_revwalk* p) const { git_revwalk_free(p); }
  void operator()(git_remote* p) const { git_remote_free(p); }
  void operator()(git_signature* p) const { git_signature_free(p); }
  void operator()(git_branch_iterator* p) const { git_branch_iterator_free(p); }
  void operator()(git_transaction* p) const { git_transaction_free(p); }
};

template <class T>
using Handle = std::unique_ptr<T, Free>;

/// Calls `make(&object, arguments…)` and takes ownership of what it made. Returns its code.
template <class T, class Make, class... Arguments>
int acquire(Handle<T>& out, Make make, Arguments... arguments) {
  T* made = nullptr;
  const int code = make(&made, arguments...);
  out.reset(made);
  return code;
}

/// Idempotent; called by whatever opens a repository.
void set_up_library();

/// "cannot `doing`: " and what libgit2 says about its last error on this thread.
[[nodiscard]] std::string last_error(std::string_view doing);

/// The same as an Error whose code follows from libgit2's; nothing happened.
[[nodiscard]] Error error_of(int code, std::string_view doing);

[[nodiscard]] std::string hex_of(const git_oid& id);
/// The first ten digits, for people.
[[nodiscard]] std::string short_hex_of(const git_oid& id);
/// The version of a branch: its head, or for an unborn branch forty zeros, as git itself writes "no
/// commit". So "nothing was there" is never taken for "not known", which is the empty string.
[[nodiscard]] std::string version_of(const std::optional<git_oid>& head);
/// True for the forty zeros.
[[nodiscard]] bool is_unborn(const git_oid& id);
/// Nothing unless `text` is exactly 40 hexadecimal digits.
[[nodiscard]] std::optional<git_oid> parse_oid(std::string_view text);
[[nodiscard]] bool same(const git_oid& a, const git_oid& b);

[[nodiscard]] Result<Handle<git_commit>> commit_at(git_repository* repository, const git_oid& id);
/// The tree of a commit.
[[nodiscard]] Result<Handle<git_tree>> tree_at(git_repository* repository, const git_oid& commit);

}  // namespace trued::git
