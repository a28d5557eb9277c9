#include "target/git/handles.h"

#include <array>

#include "base/assert.h"

namespace trued::git {

void set_up_library() {
  static const bool done = [] {
    TRUED_ASSERT(git_libgit2_init() > 0);
    for (const int level : {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
                            GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL}) {
      TRUED_ASSERT(git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "") == 0);
    }
    TRUED_ASSERT(git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0) == 0);
    TRUED_ASSERT(git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1) == 0);
    return true;
  }();
  (void)done;
}

std::string last_error(std::string_view doing) {
  std::string text = "cannot " + std::string(doing);
  const git_error* error = git_error_last();
  if (error != nullptr && error->message != nullptr) text += std::string(": ") + error->message;
  return text;
}

Error error_of(int code, std::string_view doing) {
  Error error;
  error.message = last_error(doing);
  error.retryable = true;
  const git_error* last = git_error_last();
  if (code == GIT_ENOTFOUND) {
    error.code = ErrorCode::not_found;
  } else if (code == GIT_EAUTH || code == GIT_ECERTIFICATE) {
    error.code = ErrorCode::permission_denied;
  } else if (code == GIT_EMISMATCH) {
    error.code = ErrorCode::corrupt;
  } else if (last != nullptr && last->klass == GIT_ERROR_OS) {
    error.code = ErrorCode::io;
  } else {
    error.code = ErrorCode::internal;
  }
  return error;
}

std::string hex_of(const git_oid& id) {
  std::array<char, GIT_OID_HEXSZ + 1> text{};
  return git_oid_tostr(text.data(), text.size(), &id);
}

std::string short_hex_of(const git_oid& id) {
  constexpr std::size_t kDigits = 10;
  return hex_of(id).substr(0, kDigits);
}

std::string version_of(const std::optional<git_oid>& head) {
  return hex_of(head.value_or(git_oid{}));
}

bool is_unborn(const git_oid& id) { return git_oid_is_zero(&id) == 1; }

std::optional<git_oid> parse_oid(std::string_view text) {
  git_oid id;
  if (text.size() != GIT_OID_HEXSZ) return std::nullopt;
  if (git_oid_fromstrn(&id, text.data(), text.size()) != 0) return std::nullopt;
  return id;
}

bool same(const git_oid& a, const git_oid& b) { return git_oid_equal(&a, &b) != 0; }

Result<Handle<git_commit>> commit_at(git_repository* repository, const git_oid& id) {
  Handle<git_commit> commit;
  if (const int code = acquire(commit, git_commit_lookup, repository, &id); code != 0) {
    return error_of(code, "read commit " + hex_of(id));
  }
  return commit;
}

Result<Handle<git_tree>> tree_at(git_repository* repository, const git_oid& commit) {
  TRUED_TRY(const auto found, commit_at(repository, commit));
  Handle<git_tree> tree;
  if (const int code = acquire(tree, git_commit_tree, found.get()); code != 0) {
    return error_of(code, "read the tree of " + hex_of(commit));
  }
  return tree;
}

}  // namespace trued::git
